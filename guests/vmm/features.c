// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What has the kernel detected about its CPUs?
 *
 * Only its log tells some of it, "Mismatched cache type (CTR_EL0)" among them: the
 * kernel then traps EL0's reads of CTR_EL0. Says also whether the log is whole:
 * a line that a log without its beginning lacks was not necessarily never there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#include "ccprobe.h"

/* Of linux/kernel/printk; no header for userspace has them. */
#define SYSLOG_ACTION_READ_ALL		3
#define SYSLOG_ACTION_SIZE_BUFFER	10

#define LOG_MAX		(16 << 20)
#define FIRST_WORDS	"Booting Linux on physical CPU"
#define FEATURE_WORDS	"CPU features: detected: "

/* Return what follows "<6>[    0.000000][    T0] " in a line, or in what is like it. */
static const char *message_in(const char *line, const char *end)
{
	while (line < end && (*line == '<' || *line == '[')) {
		const char *closed = memchr(line, *line == '<' ? '>' : ']', (size_t)(end - line));

		if (!closed)
			break;
		line = closed + 1;
	}
	return line < end && *line == ' ' ? line + 1 : line;
}

static bool begins(const char *message, const char *end, const char *words)
{
	size_t length = strlen(words);

	return (size_t)(end - message) >= length && !memcmp(message, words, length);
}

void send_features_in(struct wire *wire, const char *log, size_t size)
{
	const char *stop = log + size;

	for (const char *line = log; line < stop; ) {
		const char *newline = memchr(line, '\n', (size_t)(stop - line));
		const char *end = newline ? newline : stop;
		const char *message = message_in(line, end);

		if (line == log) {
			wire_line(wire, "log");
			wire_dec(wire, "whole", begins(message, end, FIRST_WORDS));
			wire_send(wire);
		}
		if (begins(message, end, FEATURE_WORDS)) {
			message += strlen(FEATURE_WORDS);
			wire_line(wire, "feature");
			wire_bytes(wire, "value", message, (size_t)(end - message));
			wire_send(wire);
		}
		line = newline ? newline + 1 : stop;
	}
}

static void send_no_log(struct wire *wire, int problem)
{
	wire_line(wire, "log");
	wire_str(wire, "errno", errno_name(problem));
	wire_send(wire);
}

void send_features(struct wire *wire)
{
	/* The text is longer than what the kernel keeps of it: each line's prefix is added. */
	int size = klogctl(SYSLOG_ACTION_SIZE_BUFFER, NULL, 0);
	int room = size > LOG_MAX / 2 ? LOG_MAX : 2 * size, count;
	char *log;

	if (size <= 0) {
		send_no_log(wire, size < 0 ? errno : ENODATA);
		return;
	}
	log = malloc((size_t)room);
	count = log ? klogctl(SYSLOG_ACTION_READ_ALL, log, room) : -1;
	if (count > 0)
		send_features_in(wire, log, (size_t)count);
	else
		send_no_log(wire, count < 0 ? errno : ENODATA);
	free(log);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What ccprobe is asked for, from its arguments to the end of the stream. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccprobe.h"
#include "library.h"

#define SECONDS_DEFAULT	10
#define SECONDS_MAX	3600

/* Where the stream goes. */
static FILE *out;

static void put(const char *line, unsigned int length)
{
	fwrite(line, 1, length, out);	/* finish() looks at the outcome */
}

static int finish(struct wire *wire)
{
	bool lost;

	wire_end(wire);
	lost = fflush(out) || ferror(out);
	return fclose(out) || lost ? 2 : wire->failed;
}

/* Return 0 when the text is not a number of seconds in the bounds. */
static unsigned int parse_seconds(const char *text)
{
	char *end;
	unsigned long seconds = strtoul(text, &end, 10);

	return *end || seconds > SECONDS_MAX ? 0 : (unsigned int)seconds;
}

static int usage(void)
{
	fputs("usage: ccprobe identity | ccprobe caches | ccprobe view|sweep GUEST.img [SECONDS]"
	      " | ccprobe script SCRIPT [SECONDS]"
	      " | ccprobe linux IMAGE INITRD DTB VCPUS SECONDS [ID=VALUE]...\n", stderr);
	return 2;
}

/* What takes nothing. */
static const struct {
	const char *name;
	const char *program;
	void (*send)(struct wire *wire);
} questions[] = {
	{ "identity", "ccprobe-identity", send_identity },
	{ "caches", "ccprobe-caches", send_leaves },
};

/* What takes a file and seconds. */
static const struct {
	const char *name;
	const char *program;
	void (*send)(struct wire *wire, const char *path, unsigned int seconds);
} commands[] = {
	{ "view", "ccprobe-view", send_view },
	{ "sweep", "ccprobe-sweep", send_sweep },
	{ "script", "ccprobe-script", send_script },
};

/* Begin a stream; false when it cannot be written. The caller's descriptor stays open. */
static bool begin(struct wire *wire, int out_fd, const char *program)
{
	int fd = dup(out_fd);

	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		perror("ccprobe: the stream cannot be written");
		return false;
	}
	wire_begin(wire, put, WIRE_LINE_MAX, program);
	return true;
}

#define LINUX_ARGUMENTS	7	/* those that must be there, with the program's and its own name */

static int do_linux(struct wire *wire, int argc, char **argv, int out_fd)
{
	struct linux_order order = { .files = argv + 2 };

	if (argc < LINUX_ARGUMENTS)
		return usage();
	order.vcpus = parse_seconds(argv[5]);
	order.seconds = parse_seconds(argv[6]);
	order.override = argv + LINUX_ARGUMENTS;
	order.overrides = (unsigned int)(argc - LINUX_ARGUMENTS);
	if (!order.vcpus || order.vcpus > VCPUS_MAX || !order.seconds)
		return usage();
	if (!begin(wire, out_fd, "ccprobe-linux"))
		return 2;
	send_linux(wire, &order);
	return finish(wire);
}

__attribute__((visibility("default")))
int ccprobe_main(int argc, char **argv, int out_fd)
{
	static struct wire wire;
	unsigned int seconds = argc == 4 ? parse_seconds(argv[3]) : SECONDS_DEFAULT;

	for (size_t i = 0; argc == 2 && i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (strcmp(argv[1], questions[i].name))
			continue;
		if (!begin(&wire, out_fd, questions[i].program))
			return 2;
		questions[i].send(&wire);
		return finish(&wire);
	}
	if (argc > 1 && !strcmp(argv[1], "linux"))
		return do_linux(&wire, argc, argv, out_fd);
	if ((argc != 3 && argc != 4) || !seconds)
		return usage();
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		if (!begin(&wire, out_fd, commands[i].program))
			return 2;
		commands[i].send(&wire, argv[2], seconds);
		return finish(&wire);
	}
	return usage();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ccprobe: say what this kernel is, and what its KVM shows of the caches.
 *
 *	ccprobe identity
 *	ccprobe view GUEST.img [SECONDS]
 *	ccprobe sweep GUEST.img [SECONDS]
 *	ccprobe script SCRIPT [SECONDS]
 *
 * SECONDS bound each run of a vCPU (default 10). Exit status: 0 when all was
 * observed, 1 when the stream holds an error, 2 on wrong usage or when the
 * stream could not be written.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccprobe.h"

#define SECONDS_DEFAULT	10
#define SECONDS_MAX	3600

static void put(const char *line, unsigned int length)
{
	fwrite(line, 1, length, stdout);	/* finish() looks at the outcome */
}

static int finish(struct wire *wire)
{
	wire_end(wire);
	if (fflush(stdout) || ferror(stdout))
		return 2;
	return wire->failed;
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
	fputs("usage: ccprobe identity | ccprobe view|sweep GUEST.img [SECONDS] | ccprobe script SCRIPT [SECONDS]\n", stderr);
	return 2;
}

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

int main(int argc, char **argv)
{
	static struct wire wire;
	unsigned int seconds = argc == 4 ? parse_seconds(argv[3]) : SECONDS_DEFAULT;

	if (argc == 2 && !strcmp(argv[1], "identity")) {
		wire_begin(&wire, put, WIRE_LINE_MAX, "ccprobe-identity");
		send_identity(&wire);
		return finish(&wire);
	}
	if ((argc != 3 && argc != 4) || !seconds)
		return usage();
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		wire_begin(&wire, put, WIRE_LINE_MAX, commands[i].program);
		commands[i].send(&wire, argv[2], seconds);
		return finish(&wire);
	}
	return usage();
}

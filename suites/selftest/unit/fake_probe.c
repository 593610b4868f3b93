// SPDX-License-Identifier: GPL-2.0-or-later
/* A stand-in for ccprobe.so that does what a word says: all that may go wrong in a library. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "library.h"

static unsigned int calls;
static volatile sig_atomic_t ticks;

static void on_alarm(int number)
{
	(void)number;
	ticks++;
}

/* Take the process's timer, as run.c does, and keep it. */
static void tick(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval clock = { .it_value.tv_usec = 2000, .it_interval.tv_usec = 2000 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &clock, NULL);
	while (ticks < 10)
		pause();
}

static int flood(int out_fd)
{
	static char block[1 << 16];

	while (write(out_fd, block, sizeof(block)) > 0)
		;
	return 2;
}

__attribute__((visibility("default")))
int ccprobe_main(int argc, char **argv, int out_fd)
{
	const char *word = argc > 1 ? argv[1] : "";

	calls++;
	if (!strcmp(word, "say")) {
		dprintf(out_fd, "%d %u %s", argc, calls, argc > 2 ? argv[2] : "-");
		printf("to stdout\n");
		fflush(stdout);
		fprintf(stderr, "to stderr\n");
		return 1;
	}
	if (!strcmp(word, "tick")) {
		tick();
		return dprintf(out_fd, "ticked") == 6 ? 0 : 2;
	}
	if (!strcmp(word, "hang")) {
		dprintf(out_fd, "%d", getpid());
		if (argc > 2)
			close(creat(argv[2], 0600));
		for (;;)
			pause();
	}
	if (!strcmp(word, "flood"))
		return flood(out_fd);
	abort();
}

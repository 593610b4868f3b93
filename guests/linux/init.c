// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first and only program of a Linux guest: what does its kernel know of the caches?
 *
 * Exists for guests that lose /sys/devices/system/cpu/cpuN/cache, or their scheduler domains, when
 * the device tree and CLIDR_EL1 do not fit together; see ../vmm/linux.c. It speaks through the
 * kernel's log, which any console shows, and turns the machine off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board.h"
#include "ccprobe.h"

#define DOMAINS_FOLDER	"/sys/kernel/debug/sched/domains"
#define DOMAINS_MAX	8
#define MESSAGES_MAX	32
#define MESSAGE_MAX	130	/* bytes in a line of the stream, escapes counted */
#define READ_ALL	3	/* SYSLOG_ACTION_READ_ALL */
#define LSCPU		"/bin/lscpu"
#define LSCPU_MAX	2048

static int log_file = -1;

static void put(const char *line, unsigned int length)
{
	static const char head[] = "<1>" LINUX_MARK;
	char text[sizeof(head) + WIRE_LINE_MAX];

	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + sizeof(head) - 1, line, length);
	if (write(log_file, text, sizeof(head) - 1 + length) < 0)
		reboot(RB_AUTOBOOT);	/* nobody would hear anything: an end that is told */
}

static bool mount_all(struct wire *wire)
{
	if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL)) {
		send_errno(wire, "mount", errno);
		return false;
	}
	return true;
}

/* Which domains the scheduler balances a CPU over; kernels without DEBUG_FS do not say. */
static void send_domains(struct wire *wire, unsigned int cpu)
{
	char path[128], name[16], flags[1024];

	for (unsigned int index = 0; index < DOMAINS_MAX; index++) {
		long count, flagged;

		snprintf(path, sizeof(path), DOMAINS_FOLDER "/cpu%u/domain%u/name", cpu, index);
		count = read_file(path, name, sizeof(name));
		if (count <= 0)
			return;
		snprintf(path, sizeof(path), DOMAINS_FOLDER "/cpu%u/domain%u/flags", cpu, index);
		flagged = read_file(path, flags, sizeof(flags) - 1);
		flags[flagged > 0 ? flagged : 0] = '\0';
		wire_line(wire, "domain");
		wire_dec(wire, "cpu", cpu);
		wire_dec(wire, "index", index);
		wire_bytes(wire, "name", name, (size_t)count - (name[count - 1] == '\n'));
		/* the flag's name until, and from v6.9 on: 54de44274176 ("sched/topology: Rename ...") */
		wire_dec(wire, "llc", strstr(flags, "SD_SHARE_PKG_RESOURCES") || strstr(flags, "SD_SHARE_LLC"));
		wire_send(wire);
	}
}

static void send_all_domains(struct wire *wire)
{
	static struct cpus cpus;
	int problem = 0;

	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) || access(DOMAINS_FOLDER, F_OK))
		problem = errno;
	wire_line(wire, "domains");
	if (problem)
		wire_str(wire, "errno", errno_name(problem));
	wire_send(wire);
	if (problem || !find_cpus(wire, &cpus))
		return;
	for (unsigned int i = 0; i < cpus.count; i++)
		send_domains(wire, cpus.index[i]);
}

/* Return how much of a text fits into one line of the stream. */
static size_t fitting(const char *text, size_t length)
{
	size_t count = 0, room = MESSAGE_MAX;

	while (count < length && room >= 3) {
		room -= text[count] > ' ' && text[count] < 0x7f && text[count] != '%' ? 1 : 3;
		count++;
	}
	return count;
}

static void send_message(struct wire *wire, const char *text, size_t length)
{
	wire_line(wire, "message");
	wire_bytes(wire, "value", text, fitting(text, length));
	wire_send(wire);
}

/* What the kernel's log says of caches, of what they promise, and of scheduler domains. */
static void send_messages(struct wire *wire)
{
	static const char *const words[] = {
		"acheinfo", "cache hierarchy", "sched-domain", "domain-", "topology", "cache level",
		"I/D coherence",
	};
	static char text[1 << 18];
	int count = klogctl(READ_ALL, text, sizeof(text) - 1), sent = 0;
	char *rest = text, *line;

	while (count > 0 && sent < MESSAGES_MAX && (line = strsep(&rest, "\n"))) {
		const char *said = strchr(line, '>') ? strchr(line, '>') + 1 : line;

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (!strstr(said, words[i]) || strstr(said, LINUX_MARK))
				continue;
			send_message(wire, said, strlen(said));
			sent++;
			break;
		}
	}
}

/* Run a program; return the bytes of what it says that fit, or -errno. */
static long said_by(char *const argv[], char *said, size_t size)
{
	int ends[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(ends[1]);
	while (child > 0 && (got = read(ends[0], said + used, size - used)) > 0)
		used += (size_t)got;
	close(ends[0]);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? (long)used : -ENOEXEC;
}

/* What a user of the guest is shown, where the initramfs has the program for it. */
static void send_lscpu(struct wire *wire)
{
	static char *const argv[] = { LSCPU, "-C", NULL };
	static char said[LSCPU_MAX];
	long length;
	size_t count;

	if (access(LSCPU, X_OK))
		return;
	length = said_by(argv, said, sizeof(said));
	if (length < 0) {
		wire_line(wire, "lscpu");
		wire_str(wire, "errno", errno_name((int)-length));
		wire_send(wire);
	}
	for (long at = 0; at < length; at += (long)count) {
		count = fitting(said + at, (size_t)(length - at));
		wire_line(wire, "lscpu");
		wire_dec(wire, "at", (uint64_t)at);
		wire_bytes(wire, "value", said + at, count);
		wire_send(wire);
	}
}

int main(void)
{
	static struct wire wire;

	log_file = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	wire_begin(&wire, put, WIRE_GUEST_LINE_MAX, "linux");
	if (mount_all(&wire)) {
		send_leaves(&wire);
		send_all_domains(&wire);
		send_messages(&wire);
		send_lscpu(&wire);
	}
	wire_end(&wire);
	reboot(RB_POWER_OFF);
	return 1;
}

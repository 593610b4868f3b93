// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which kernel runs here, on which machine?
 *
 * Exists because a machine that was told to boot a kernel may run another one:
 * what is measured next counts only if release, build-id and boot-id fit.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ccprobe.h"

static const struct {
	const char *name;
	const char *path;
} files[] = {
	{ "banner", "/proc/version" },
	{ "boot-id", "/proc/sys/kernel/random/boot_id" },
	{ "command-line", "/proc/cmdline" },
	{ "compatible", "/proc/device-tree/compatible" },
	{ "dmi-vendor", "/sys/class/dmi/id/sys_vendor" },
	{ "dmi-product", "/sys/class/dmi/id/product_name" },
};

static void send_build_id(struct wire *wire)
{
	char notes[FILE_MAX], hex[2 * 64 + 1];
	size_t length = 0;
	long count = read_file("/sys/kernel/notes", notes, sizeof(notes));
	const unsigned char *id = NULL;
	int problem = count < 0 ? (int)-count : ENODATA;

	if (count > 0)
		id = find_build_id((unsigned char *)notes, (size_t)count, &length);
	if (id && length && length <= 64) {
		for (size_t i = 0; i < length; i++)
			sprintf(hex + 2 * i, "%02x", id[i]);
		wire_text(wire, "build-id", hex, 2 * length);
		return;
	}
	wire_line(wire, "text");
	wire_str(wire, "name", "build-id");
	wire_str(wire, "errno", errno_name(problem));
	wire_send(wire);
}

/* Return 0, or an errno. */
static int read_identification(unsigned int cpu, const char *name, uint64_t *value)
{
	char path[128], text[64], *end;
	long count;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/regs/identification/%s", cpu, name);
	count = read_file(path, text, sizeof(text) - 1);
	if (count < 0)
		return (int)-count;
	text[count] = '\0';
	errno = 0;
	*value = strtoull(text, &end, 16);
	return errno ? errno : end == text || *end != '\n' ? EBADMSG : 0;
}

static void send_cpu(struct wire *wire, unsigned int cpu)
{
	uint64_t midr, revidr;
	int problem = read_identification(cpu, "midr_el1", &midr);

	if (!problem)
		problem = read_identification(cpu, "revidr_el1", &revidr);
	wire_line(wire, "cpu");
	wire_dec(wire, "index", cpu);
	if (problem) {
		wire_str(wire, "errno", errno_name(problem));
	} else {
		wire_hex(wire, "midr", midr);
		wire_hex(wire, "revidr", revidr);
	}
	wire_send(wire);
}

void send_identity(struct wire *wire)
{
	struct utsname names;
	struct cpus cpus;
	int kvm;

	if (uname(&names))
		send_errno(wire, "uname", errno);
	else
		wire_text(wire, "release", names.release, strlen(names.release));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		send_file(wire, files[i].name, files[i].path);
	send_build_id(wire);
	if (find_cpus(wire, &cpus)) {
		for (unsigned int i = 0; i < cpus.count; i++)
			send_cpu(wire, cpus.index[i]);
	}
	send_features(wire);
	if (open_kvm(wire, &kvm))
		close(kvm);
}

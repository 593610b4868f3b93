// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What does a Linux kernel tell its programs of the caches?
 *
 * The folders /sys/devices/system/cpu/cpuN/cache, as they are: ccprobe reads those of the host,
 * which small VMMs make a guest's device tree of, and our init those of a guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ccprobe.h"

#define CPU_FOLDER	"/sys/devices/system/cpu"
#define LEAVES_MAX	16
#define WORD_MAX	24	/* seven words of that size and their keys fit into a guest's line */

/* What is told of a leaf, file by file, and the key that it goes by. */
static const struct {
	const char *key;
	const char *file;
} facts[] = {
	{ "level", "level" }, { "type", "type" }, { "size", "size" }, { "line", "coherency_line_size" },
	{ "ways", "ways_of_associativity" }, { "sets", "number_of_sets" }, { "shared", "shared_cpu_list" },
};

/* Add a short file's content; one that is not there is left out. */
static void add_fact(struct wire *wire, const char *key, const char *path)
{
	char word[WORD_MAX + 2];
	long count = read_file(path, word, sizeof(word));

	if (count > 0 && word[count - 1] == '\n')
		count--;
	if (count > 0 && count <= WORD_MAX)
		wire_bytes(wire, key, word, (size_t)count);
}

static bool is_there(const char *path)
{
	return !access(path, F_OK);
}

static void send_leaf(struct wire *wire, unsigned int cpu, unsigned int leaf, const char *folder)
{
	char path[160];

	wire_line(wire, "leaf");
	wire_dec(wire, "cpu", cpu);
	wire_dec(wire, "index", leaf);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, facts[i].file);
		add_fact(wire, facts[i].key, path);
	}
	wire_send(wire);
}

static void send_cpu(struct wire *wire, unsigned int cpu)
{
	char folder[128], leaf[144];

	snprintf(folder, sizeof(folder), CPU_FOLDER "/cpu%u/cache", cpu);
	wire_line(wire, "cpu");
	wire_dec(wire, "index", cpu);
	wire_dec(wire, "cache", is_there(folder));
	wire_send(wire);
	for (unsigned int index = 0; index < LEAVES_MAX; index++) {
		snprintf(leaf, sizeof(leaf), "%s/index%u", folder, index);
		if (!is_there(leaf))
			return;
		send_leaf(wire, cpu, index, leaf);
	}
}

/* All CPUs that are online, and how many there could be. */
void send_leaves(struct wire *wire)
{
	static struct cpus cpus;

	wire_line(wire, "cpus");
	add_fact(wire, "possible", CPU_FOLDER "/possible");
	add_fact(wire, "online", CPU_FOLDER "/online");
	wire_send(wire);
	if (!find_cpus(wire, &cpus))
		return;
	for (unsigned int i = 0; i < cpus.count; i++)
		send_cpu(wire, cpus.index[i]);
}

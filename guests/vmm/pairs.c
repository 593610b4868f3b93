// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From which physical CPU to which one are values carried?
 *
 * All pairs of 256 CPUs would take minutes and tell the same again and again: a
 * CPU stands for all on which userspace reads what it reads there.
 */
#include "ccprobe.h"

static bool same(const struct reading *one, const struct reading *other)
{
	for (unsigned int index = 0; index < REGISTERS; index++) {
		if (one[index].value != other[index].value || one[index].problem != other[index].problem)
			return false;
	}
	return true;
}

/* The first CPU of each distinct set of readings. */
static unsigned int choose_representatives(const struct reading (*read)[REGISTERS], unsigned int cpus,
					   unsigned int chosen[REPRESENTATIVES_MAX])
{
	unsigned int count = 0;

	for (unsigned int cpu = 0; cpu < cpus && count < REPRESENTATIVES_MAX; cpu++) {
		unsigned int like = 0;

		while (like < count && !same(read[cpu], read[chosen[like]]))
			like++;
		if (like == count)
			chosen[count++] = cpu;
	}
	return count;
}

/* Where all CPUs read the same, the first and the last stand for them; a single one carries to itself. */
unsigned int choose_pairs(const struct reading (*read)[REGISTERS], unsigned int cpus,
			  struct pair pairs[PAIRS_MAX])
{
	unsigned int chosen[REPRESENTATIVES_MAX], count = 0;
	unsigned int distinct = choose_representatives(read, cpus, chosen);

	if (cpus == 1) {
		pairs[0] = (struct pair){ 0, 0 };
		return 1;
	}
	if (distinct == 1)
		chosen[distinct++] = cpus - 1;
	for (unsigned int origin = 0; origin < distinct; origin++) {
		for (unsigned int target = 0; target < distinct; target++) {
			if (origin != target)
				pairs[count++] = (struct pair){ chosen[origin], chosen[target] };
		}
	}
	return count;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The physical CPUs that are online, and the thread's way onto one of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "ccprobe.h"

_Static_assert(CPUS_MAX <= CPU_SETSIZE, "every CPU fits into a cpu_set_t");

/* Return false where there is no digit: strtoul() takes signs and spaces, too. */
static bool parse_number(const char **text, unsigned long *value)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*value = strtoul(*text, &end, 10);
	*text = end;
	return true;
}

/* The list is the kernel's own: "0-3,5\n", ascending. Return false where it is not. */
bool parse_cpus(struct cpus *cpus, const char *list)
{
	unsigned long first, last, next = 0;

	cpus->count = 0;
	while (parse_number(&list, &first)) {
		last = first;
		if (*list == '-') {
			list++;
			if (!parse_number(&list, &last))
				return false;
		}
		if (first < next || last < first || last >= CPUS_MAX)
			return false;
		for (next = first; next <= last; next++)
			cpus->index[cpus->count++] = (unsigned int)next;
		if (*list == '\n')
			return true;
		if (*list++ != ',')
			return false;
	}
	return false;
}

bool find_cpus(struct wire *wire, struct cpus *cpus)
{
	char list[FILE_MAX];
	long count = read_file("/sys/devices/system/cpu/online", list, sizeof(list) - 1);

	if (count >= 0)
		list[count] = '\0';
	if (count >= 0 && parse_cpus(cpus, list))
		return true;
	send_errno(wire, "cpus-online", count < 0 ? (int)-count : EBADMSG);
	return false;
}

bool pin_to(struct wire *wire, unsigned int cpu)
{
	cpu_set_t only;
	int problem = 0, there;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	if (sched_setaffinity(0, sizeof(only), &only))
		problem = errno;
	there = problem ? -1 : sched_getcpu();
	if (there == (int)cpu)
		return true;
	wire_error(wire, "pin-to-cpu");
	wire_dec(wire, "cpu", cpu);
	/* moved away at once: the CPU went offline, which takes the affinity back */
	wire_str(wire, "errno", errno_name(problem ? problem : ENODEV));
	wire_send(wire);
	return false;
}

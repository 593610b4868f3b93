// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a guest find the caches that it knows, after its VM was saved and restored elsewhere?
 *
 * Exists because Linux kernel commit 7af0c2534f4c ("KVM: arm64: Normalize cache
 * configuration") (in v6.3) lets a VM that moves between kernels see other caches,
 * or not move at all. So this guest reads once and remembers; each time that it is
 * run it sends what it remembers and what it reads now. Under a VMM that takes no
 * control, as QEMU, it goes on by itself, ten times a second.
 */
#include "guest.h"

const char guest_name[] = "remember";

static uint64_t now(void)
{
	uint64_t count;

	asm volatile("isb; mrs %0, cntvct_el0" : "=r"(count) :: "memory");
	return count;
}

static void wait(void)
{
	uint64_t frequency, until;

	asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
	until = now() + frequency / 10;
	while (now() < until)
		;
}

void guest_main(struct wire *wire)
{
	struct round known, found;

	read_round(&known);
	for (;; begin_stream(wire)) {
		read_round(&found);
		send_read(wire, "known", &known);
		send_read(wire, "regs", &found);
		wire_end(wire);
		if (!give_back())
			wait();
	}
}

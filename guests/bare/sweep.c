// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a guest see the same caches on whichever physical CPU it runs?
 *
 * Exists for the kernels before Linux kernel commit 7af0c2534f4c ("KVM: arm64:
 * Normalize cache configuration") (in v6.3): there a vCPU reads the registers of
 * the physical CPU under it, and finds other caches after the host's scheduler
 * has moved it to another cluster. So this guest reads once each time it is run;
 * on which CPU is for the VMM to choose.
 */
#include "guest.h"

#define VALUES_IN_A_LINE	6	/* as many as fit into WIRE_GUEST_LINE_MAX, whatever they are */

const char guest_name[] = "sweep";

static void begin_values(struct wire *wire, unsigned int el, unsigned int at)
{
	wire_line(wire, "regs");
	wire_dec(wire, "el", el);
	wire_dec(wire, "at", at);
	wire_key(wire, "values");
}

static void add_value(struct wire *wire, struct reading reading)
{
	if (reading.esr)
		wire_char(wire, '!');
	wire_0x(wire, reading.esr ? reading.esr : reading.value);
}

void guest_main(struct wire *wire)
{
	for (;; next_round(wire)) {
		for (unsigned int at = 0; at < REGISTERS; at += VALUES_IN_A_LINE) {
			begin_values(wire, 1, at);
			for (unsigned int i = at; i < REGISTERS && i < at + VALUES_IN_A_LINE; i++) {
				if (i > at)
					wire_char(wire, ',');
				add_value(wire, read_register(i));
			}
			wire_send(wire);
		}
		begin_values(wire, 0, 0);
		add_value(wire, read_ctr_at_el0());
		wire_send(wire);
	}
}

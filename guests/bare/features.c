// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a guest see other caches because its VM was given something: EL2, or tags?
 *
 * Exists for Linux kernel commit c6c167afa090 ("KVM: arm64: Fix shift-out-of-bounds
 * bug") (in v6.12): kernels before it put the tags of a VM with MTE into the type
 * of a cache. So it reads what "sweep" reads, the selectors of tags, and at EL2
 * what it reads at EL1; on a VM that was given neither all the same.
 */
#include "guest.h"

const char guest_name[] = "features";

#define TAGS	16	/* CSSELR_EL1.TnD; the level is above bit 0 */

asm("	.text\n"
    "at_el2_ctr:\n"
    "	mrs	x0, ctr_el0\n"
    "	ret\n"
    "at_el2_clidr:\n"
    "	mrs	x0, clidr_el1\n"
    "	ret\n"
    "at_el2_mmfr2:\n"
    "	mrs	x0, s3_0_c0_c7_2\n"
    "	ret\n"
    "at_el2_ccsidr:\n"
    "	msr	csselr_el1, x0\n"
    "	isb\n"
    "	mrs	x0, ccsidr_el1\n"
    "	ret\n");
#pragma GCC visibility push(hidden)
void at_el2_ctr(void);
void at_el2_clidr(void);
void at_el2_mmfr2(void);
void at_el2_ccsidr(void);
#pragma GCC visibility pop

static struct reading read_at_el2(unsigned int index)
{
	switch (index) {
	case REGISTER_CTR:
		return el2_call(at_el2_ctr, 0);
	case REGISTER_CLIDR:
		return el2_call(at_el2_clidr, 0);
	case REGISTER_MMFR2:
		return el2_call(at_el2_mmfr2, 0);
	default:
		return el2_call(at_el2_ccsidr, index - REGISTER_CCSIDR);
	}
}

static void send_tags(struct wire *wire)
{
	wire_line(wire, "tags");
	wire_key(wire, "values");
	for (unsigned int level = 0; level < 2; level++) {
		if (level)
			wire_char(wire, ',');
		try_msr(csselr_el1, TAGS | level << 1);
		asm volatile("isb");
		add_reading(wire, try_mrs(csselr_el1));
		wire_char(wire, ',');
		add_reading(wire, try_mrs(ccsidr_el1));
	}
	wire_send(wire);
}

void guest_main(struct wire *wire)
{
	char name[REGISTER_NAME_MAX];

	for (;; next_round(wire)) {
		send_round(wire);
		send_reading(wire, 1, "ID_AA64PFR1_EL1", try_mrs(s3_0_c0_c4_1));
		send_tags(wire);
		for (unsigned int index = 0; index < REGISTERS && this_vcpu()->el == 2; index++) {
			name_register(index, name);
			send_reading(wire, 2, name, read_at_el2(index));
		}
	}
}

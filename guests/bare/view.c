// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which cache registers does a guest see, at EL1 and at EL0?
 *
 * Exists for Linux kernel commit 7af0c2534f4c ("KVM: arm64: Normalize cache
 * configuration") (in v6.3): a guest that moves across it finds other caches.
 * KVM_GET_ONE_REG alone does not show this: before that commit the guest read
 * the physical CPU, untrapped, and all 64 bits of CCSIDR_EL1.
 */
#include "guest.h"

#define SELECTORS	14	/* seven levels, each with a data and an instruction side */

const char guest_name[] = "view";

asm("	.text\n"
    "el0_read_ctr:\n"
    "	mrs	x0, ctr_el0\n"
    "	svc	#0\n");
__attribute__((visibility("hidden"))) void el0_read_ctr(void);

static struct reading read_ccsidr(uint64_t selector)
{
	struct reading reading;
	uint64_t esr;

	fault_arm();
	asm volatile("msr csselr_el1, %0\n\tisb" :: "r"(selector) : "memory");
	esr = fault_disarm();
	reading = try_mrs(ccsidr_el1);
	if (esr)
		reading.esr = esr;
	return reading;
}

static void send_ccsidr(struct wire *wire, unsigned int selector)
{
	char name[] = "CCSIDR_EL1[00]";
	char *digit = name + sizeof("CCSIDR_EL1[") - 1;

	if (selector >= 10)
		*digit++ = '1';
	*digit++ = (char)('0' + selector % 10);
	*digit++ = ']';
	*digit = '\0';
	send_reading(wire, 1, name, read_ccsidr(selector));
}

void guest_main(struct wire *wire)
{
	send_reading(wire, 1, "CTR_EL0", try_mrs(ctr_el0));
	send_reading(wire, 0, "CTR_EL0", el0_call(el0_read_ctr));
	send_reading(wire, 1, "CLIDR_EL1", try_mrs(clidr_el1));
	send_reading(wire, 1, "ID_AA64MMFR2_EL1", try_mrs(s3_0_c0_c7_2));
	for (unsigned int selector = 0; selector < SELECTORS; selector++)
		send_ccsidr(wire, selector);
}

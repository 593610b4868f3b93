// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Do the cache registers behave where a guest asks for something odd?
 *
 * Exists for Linux kernel commit 7af0c2534f4c ("KVM: arm64: Normalize cache
 * configuration") (in v6.3): since then every guest's CSSELR_EL1, CCSIDR_EL1 and
 * CCSIDR2_EL1 are trapped, and a value that no operating system writes meets the
 * kernel's table. So: each selector there and back, also of caches that there are
 * not; registers that are read-only or not there; and EL0 with and without leave.
 */
#include "guest.h"

#define SELECTORS	16
#define SELECTORS_IN_A_LINE	(VALUES_IN_A_LINE / 2)
#define TAGGED		3	/* and as many behind them, with CSSELR_EL1.TnD */

#define SCTLR_DZE	(1UL << 14)	/* EL0 may DC ZVA, and DCZID_EL0.DZP says so */
#define SCTLR_UCT	(1UL << 15)	/* EL0 may read CTR_EL0 */

#define CTR_EL0		s3_3_c0_c0_1
#define CLIDR_EL1	s3_1_c0_c0_1
#define CCSIDR_EL1	s3_1_c0_c0_0
#define CCSIDR2_EL1	s3_1_c0_c0_2
#define DCZID_EL0	s3_3_c0_c0_7

const char guest_name[] = "selectors";

asm("	.text\n"
    "el0_read_dczid:\n"
    "	mrs	x0, dczid_el0\n"
    "	svc	#0\n"
    "el0_read_clidr:\n"
    "	mrs	x0, clidr_el1\n"
    "	svc	#0\n"
    "el0_read_ccsidr:\n"
    "	mrs	x0, ccsidr_el1\n"
    "	svc	#0\n");
#pragma GCC visibility push(hidden)
void el0_read_dczid(void);
void el0_read_clidr(void);
void el0_read_ccsidr(void);
#pragma GCC visibility pop

#define EXPANDED(sysreg, value)	try_msr(sysreg, value)
/* A write of what is there already, so that one that is taken does no harm. */
#define try_rewrite(sysreg)	EXPANDED(sysreg, try_mrs(sysreg).value)

static struct reading there_and_back(uint64_t selector)
{
	struct reading written = try_msr(csselr_el1, selector);

	asm volatile("isb");
	return written.esr ? written : try_mrs(csselr_el1);
}

/* For each selector two values: CSSELR_EL1 as it comes back, and CCSIDR_EL1. */
static void send_selectors(struct wire *wire, uint64_t end)
{
	for (uint64_t selector = 0; selector < end; selector++) {
		if (selector % SELECTORS_IN_A_LINE == 0) {
			wire_line(wire, "selectors");
			wire_dec(wire, "from", selector);
			wire_key(wire, "values");
		} else {
			wire_char(wire, ',');
		}
		add_reading(wire, there_and_back(selector));
		wire_char(wire, ',');
		add_reading(wire, try_mrs(ccsidr_el1));
		if (selector % SELECTORS_IN_A_LINE == SELECTORS_IN_A_LINE - 1 || selector == end - 1)
			wire_send(wire);
	}
}

static struct reading ctr_without_leave(void)
{
	struct reading reading;
	uint64_t sctlr;

	asm volatile("mrs %0, sctlr_el1" : "=r"(sctlr));
	asm volatile("msr sctlr_el1, %0\n\tisb" :: "r"(sctlr & ~SCTLR_UCT));
	reading = read_ctr_at_el0();
	asm volatile("msr sctlr_el1, %0\n\tisb" :: "r"(sctlr | SCTLR_DZE));
	return reading;
}

void guest_main(struct wire *wire)
{
	send_reading(wire, 1, "CLIDR_EL1", try_mrs(clidr_el1));
	send_selectors(wire, SELECTORS + TAGGED);
	there_and_back(0);
	send_reading(wire, 1, "CCSIDR2_EL1", try_mrs(s3_1_c0_c0_2));
	send_reading(wire, 1, "DCZID_EL0", try_mrs(dczid_el0));
	send_reading(wire, 1, "MSR CTR_EL0", try_rewrite(CTR_EL0));
	send_reading(wire, 1, "MSR CLIDR_EL1", try_rewrite(CLIDR_EL1));
	send_reading(wire, 1, "MSR CCSIDR_EL1", try_rewrite(CCSIDR_EL1));
	send_reading(wire, 1, "MSR CCSIDR2_EL1", try_rewrite(CCSIDR2_EL1));
	send_reading(wire, 1, "MSR DCZID_EL0", try_rewrite(DCZID_EL0));
	send_reading(wire, 0, "CTR_EL0", read_ctr_at_el0());
	send_reading(wire, 0, "CTR_EL0 UCT=0", ctr_without_leave());
	send_reading(wire, 0, "DCZID_EL0", el0_call(el0_read_dczid));
	send_reading(wire, 0, "CLIDR_EL1", el0_call(el0_read_clidr));
	send_reading(wire, 0, "CCSIDR_EL1", el0_call(el0_read_ccsidr));
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The registers that tell a guest about its caches: three by name, then
 * CCSIDR_EL1 by selector, for seven levels with a data and an instruction side.
 */
#include "guest.h"

static const char names[REGISTER_CCSIDR][REGISTER_NAME_MAX] = { "CTR_EL0", "CLIDR_EL1", "ID_AA64MMFR2_EL1" };

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

struct reading read_register(unsigned int index)
{
	switch (index) {
	case REGISTER_CTR:
		return try_mrs(ctr_el0);
	case REGISTER_CLIDR:
		return try_mrs(clidr_el1);
	case REGISTER_MMFR2:
		return try_mrs(s3_0_c0_c7_2);
	default:
		return read_ccsidr(index - REGISTER_CCSIDR);
	}
}

struct reading read_ctr_at_el0(void)
{
	return el0_call(el0_read_ctr);
}

void name_register(unsigned int index, char name[REGISTER_NAME_MAX])
{
	const char *from = index < REGISTER_CCSIDR ? names[index] : "CCSIDR_EL1[";
	unsigned int selector = index - REGISTER_CCSIDR;

	while (*from)
		*name++ = *from++;
	if (index >= REGISTER_CCSIDR) {
		if (selector >= 10)
			*name++ = '1';
		*name++ = (char)('0' + selector % 10);
		*name++ = ']';
	}
	*name = '\0';
}

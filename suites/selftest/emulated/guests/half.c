// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of a guest that turns off within a line? */
#include "guest.h"

#define PSCI_SYSTEM_OFF	0x84000008UL

const char guest_name[] = "half";

static void turn_off_now(void)
{
	register uint64_t x0 asm("x0") = PSCI_SYSTEM_OFF;

	asm volatile("hvc #0" : "+r"(x0) :: "memory");
}

void guest_main(struct wire *wire)
{
	wire->put("reg n=1 na", 10);
	turn_off_now();
}

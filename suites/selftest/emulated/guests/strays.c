// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of a guest that writes where neither memory nor a device is? */
#include "guest.h"

#define NOWHERE	0x123450000UL

const char guest_name[] = "strays";

void guest_main(struct wire *wire)
{
	wire_line(wire, "last");
	wire_send(wire);
	asm volatile("str xzr, [%0]" :: "r"(NOWHERE) : "memory");
}

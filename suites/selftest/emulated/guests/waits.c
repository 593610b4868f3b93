// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of a guest that never ends, and waits for an interrupt that nobody sends? */
#include "guest.h"

const char guest_name[] = "waits";

void guest_main(struct wire *wire)
{
	wire_line(wire, "last");
	wire_send(wire);
	for (;;)
		asm volatile("wfi");
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of a guest that meets an exception which no read expected? */
#include "guest.h"

const char guest_name[] = "faults";

void guest_main(struct wire *wire)
{
	wire_line(wire, "last");
	wire_send(wire);
	asm volatile("udf #0");
}

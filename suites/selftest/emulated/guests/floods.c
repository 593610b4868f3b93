// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of a guest that never stops talking? */
#include "guest.h"

const char guest_name[] = "floods";

void guest_main(struct wire *wire)
{
	for (;;) {
		wire_line(wire, "again");
		wire_send(wire);
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of a guest whose line does not end? */
#include "guest.h"

const char guest_name[] = "endless";

void guest_main(struct wire *wire)
{
	for (;;)
		wire->put("and so on ", 10);
}

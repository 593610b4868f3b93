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

const char guest_name[] = "view";

void guest_main(struct wire *wire)
{
	char name[REGISTER_NAME_MAX];

	send_reading(wire, 0, "CTR_EL0", read_ctr_at_el0());
	for (unsigned int index = 0; index < REGISTERS; index++) {
		name_register(index, name);
		send_reading(wire, 1, name, read_register(index));
	}
}

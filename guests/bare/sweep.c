// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a guest see the same caches on whichever physical CPU it runs?
 *
 * Exists for the kernels before Linux kernel commit 7af0c2534f4c ("KVM: arm64:
 * Normalize cache configuration") (in v6.3): there a vCPU reads the registers of
 * the physical CPU under it, and finds other caches after the host's scheduler
 * has moved it to another cluster. So this guest reads once each time it is run;
 * on which CPU is for the VMM to choose.
 */
#include "guest.h"

const char guest_name[] = "sweep";

void guest_main(struct wire *wire)
{
	for (;; next_round(wire))
		send_round(wire);
}

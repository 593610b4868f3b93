// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What do userspace and a guest see of the cache registers at launch?
 *
 * Userspace is asked first, before any vCPU has run: that is what a VMM would
 * save. Then the guest image runs on one vCPU after the other.
 */
#define _GNU_SOURCE
#include <linux/kvm.h>

#include "ccprobe.h"

#define VIEWED	2	/* vCPUs */

void send_view(struct wire *wire, const char *image, unsigned int seconds)
{
	struct vm vm = { 0 };	/* its descriptors and mappings end with the process */

	if (!open_kvm(wire, &vm.kvm)) {
		wire->failed = true;	/* no error of ours: the "kvm" line says why */
		return;
	}
	if (!make_vm(wire, &vm, VIEWED))
		return;
	wire_line(wire, "vm");
	wire_dec(wire, "vcpus", vm.vcpu_count);
	wire_send(wire);
	for (unsigned int index = 0; index < vm.vcpu_count; index++) {
		send_registers(wire, &vm.vcpus[index]);
		send_register_list(wire, &vm.vcpus[index]);
	}
	if (!load_image(wire, &vm, image))
		return;
	for (unsigned int index = 0; index < vm.vcpu_count; index++) {
		if (!start_vcpu(wire, &vm.vcpus[index]) ||
		    !run_until(wire, &vm.vcpus[index], seconds, END_OFF))
			continue;
		wire_line(wire, "off");
		wire_dec(wire, "vcpu", index);
		wire_send(wire);
	}
}

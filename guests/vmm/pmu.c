// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A PMU for vCPUs that were initialised with one. VMMs give their VMs one wherever KVM has it, QEMU
 * unless it is told not to, and its registers are listed, saved and refused as any other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "board.h"
#include "ccprobe.h"

static bool set_attribute(struct wire *wire, const struct vcpu *vcpu, uint64_t what, uint64_t address)
{
	struct kvm_device_attr attribute = {
		.group = KVM_ARM_VCPU_PMU_V3_CTRL, .attr = what, .addr = address,
	};

	if (!ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attribute))
		return true;
	send_vcpu_errno(wire, "KVM_SET_DEVICE_ATTR-pmu", vcpu->index, errno);
	return false;
}

/* To be made behind the GIC, which has to know the interrupt; where it returns false, it has said why. */
bool make_pmu(struct wire *wire, const struct vm *vm)
{
	int interrupt = BOARD_PMU_INTERRUPT;

	for (unsigned int index = 0; index < vm->vcpu_count; index++) {
		const struct vcpu *vcpu = &vm->vcpus[index];

		if (!set_attribute(wire, vcpu, KVM_ARM_VCPU_PMU_V3_IRQ, (uintptr_t)&interrupt) ||
		    !set_attribute(wire, vcpu, KVM_ARM_VCPU_PMU_V3_INIT, 0))
			return false;
	}
	return true;
}

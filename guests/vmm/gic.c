// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM's own interrupt controller, a GICv3: the one device without which no Linux guest starts. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "board.h"
#include "ccprobe.h"

static bool set_attribute(struct wire *wire, int gic, struct kvm_device_attr attribute)
{
	if (!ioctl(gic, KVM_SET_DEVICE_ATTR, &attribute))
		return true;
	send_errno(wire, "KVM_SET_DEVICE_ATTR-gic", errno);
	return false;
}

static bool place(struct wire *wire, int gic, uint64_t what, uint64_t address)
{
	struct kvm_device_attr attribute = {
		.group = KVM_DEV_ARM_VGIC_GRP_ADDR, .attr = what, .addr = (uintptr_t)&address,
	};

	return set_attribute(wire, gic, attribute);
}

/* To be made when all vCPUs are there; where it returns false, it has said why. It lives as long as the VM. */
bool make_gic(struct wire *wire, struct vm *vm)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	struct kvm_device_attr start = {
		.group = KVM_DEV_ARM_VGIC_GRP_CTRL, .attr = KVM_DEV_ARM_VGIC_CTRL_INIT,
	};
	int gic;
	bool made;

	if (ioctl(vm->fd, KVM_CREATE_DEVICE, &device)) {
		send_errno(wire, "KVM_CREATE_DEVICE-gic", errno);
		return false;
	}
	gic = (int)device.fd;
	made = place(wire, gic, KVM_VGIC_V3_ADDR_TYPE_DIST, BOARD_GIC_DISTRIBUTOR) &&
	       place(wire, gic, KVM_VGIC_V3_ADDR_TYPE_REDIST, BOARD_GIC_REDISTRIBUTORS) &&
	       set_attribute(wire, gic, start);
	close(gic);
	vm->gic = made ? 3 : 0;
	return made;
}

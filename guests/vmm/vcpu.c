// SPDX-License-Identifier: GPL-2.0-or-later
/* A vCPU from KVM_CREATE_VCPU to the entry of its guest. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "ccprobe.h"

/* The next one of a machine, not initialised; NULL when it cannot be, which was said. */
struct vcpu *create_vcpu(struct wire *wire, struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpus[vm->vcpu_count];
	void *run;

	vcpu->index = vm->vcpu_count;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)vcpu->index);
	if (vcpu->fd < 0) {
		send_vcpu_errno(wire, "KVM_CREATE_VCPU", vcpu->index, errno);
		return NULL;
	}
	run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED) {
		send_vcpu_errno(wire, "mmap-vcpu", vcpu->index, errno);
		return NULL;
	}
	vcpu->run = run;
	if (vm->ring_offset)
		vcpu->ring = (void *)((char *)run + vm->ring_offset);
	vm->vcpu_count++;
	return vcpu;
}

/* Initialise a vCPU, or reset one that has been; return 0, or an errno. */
int init_vcpu(const struct vm *vm, struct vcpu *vcpu, uint32_t features)
{
	struct kvm_vcpu_init init = { 0 };

	if (ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init))
		return errno;
	init.features[0] |= features;
	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		return errno;
	vcpu->features = init.features[0] & ~(1U << KVM_ARM_VCPU_POWER_OFF);
	return 0;
}

#define CORE_REGISTER(name) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))

/*
 * A vCPU that was initialised waits at its reset state. MP_STATE wakes it after
 * another one's SYSTEM_OFF, which stops all of them. One that has run before has
 * something left in x0, which a guest could take for the address of a device tree.
 */
bool start_vcpu(struct wire *wire, const struct vcpu *vcpu)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	uint64_t entry = IMAGE_BASE, no_tree = 0;
	struct kvm_one_reg pc = { .id = CORE_REGISTER(regs.pc), .addr = (uintptr_t)&entry };
	struct kvm_one_reg x0 = { .id = CORE_REGISTER(regs.regs[0]), .addr = (uintptr_t)&no_tree };

	if (ioctl(vcpu->fd, KVM_SET_MP_STATE, &state)) {
		send_vcpu_errno(wire, "KVM_SET_MP_STATE", vcpu->index, errno);
		return false;
	}
	if (ioctl(vcpu->fd, KVM_SET_ONE_REG, &pc)) {
		send_vcpu_errno(wire, "KVM_SET_ONE_REG-pc", vcpu->index, errno);
		return false;
	}
	if (ioctl(vcpu->fd, KVM_SET_ONE_REG, &x0)) {
		send_vcpu_errno(wire, "KVM_SET_ONE_REG-x0", vcpu->index, errno);
		return false;
	}
	return true;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a Linux guest find its caches, on all its vCPUs?
 *
 * Exists for Linux kernel commit 7af0c2534f4c ("KVM: arm64: Normalize cache configuration") (in
 * v6.3): a guest whose device tree, which its VMM made of the host's sysfs, lists other caches
 * than its CLIDR_EL1 loses all of /sys/devices/system/cpu/cpuN/cache; and a CLIDR_EL1 that a VMM
 * wrote was lost again when the guest turned a vCPU on (in v6.3 to v6.9).
 *
 * And what a Linux guest makes of a CTR_EL0 that its VMM lowered (2843cae26644, in v6.11).
 *
 * Boots IMAGE with INITRD and DTB, in which is what board.h says, on VCPUS that run at once. What
 * is to be written to each vCPU before comes as ID=VALUE.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board.h"
#include "ccprobe.h"

#define IMAGE_MAGIC_AT	56
#define CLIDR		1	/* its index among the registers */
#define PL011_FR	0x18
#define PL011_FR_EMPTY	0x90	/* TXFE and RXFE: ready to send, nothing received */

/* Put a file into the guest's memory. */
static bool load(struct wire *wire, const struct vm *vm, const char *path, uint64_t address, uint64_t end)
{
	long count = read_file(path, (char *)vm->memory + (address - MEMORY_BASE), end - address);

	if (count >= 0)
		return true;
	wire_error(wire, "read-image");
	wire_str(wire, "errno", errno_name((int)-count));
	wire_dec(wire, "at", address - MEMORY_BASE);
	wire_send(wire);
	return false;
}

static bool load_linux(struct wire *wire, const struct vm *vm, char *const files[3])
{
	if (!load(wire, vm, files[0], IMAGE_BASE, LINUX_INITRD) ||
	    !load(wire, vm, files[1], LINUX_INITRD, MEMORY_BASE + LINUX_MEMORY) ||
	    !load(wire, vm, files[2], LINUX_DTB, IMAGE_BASE))
		return false;
	if (!memcmp(vm->memory + (IMAGE_BASE - MEMORY_BASE) + IMAGE_MAGIC_AT, "ARM\x64", 4))
		return true;
	send_errno(wire, "load-image", ENOEXEC);
	return false;
}

/*
 * The console is a PL011 that is always ready: memory that can only be read. So the guest's
 * polling costs nothing, and each byte that it writes ends in KVM's ring.
 */
static bool make_pl011(struct wire *wire, const struct vm *vm)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.slot = 1, .flags = KVM_MEM_READONLY, .guest_phys_addr = BOARD_PL011, .memory_size = size,
		.userspace_addr = (uintptr_t)page,
	};

	if (page == MAP_FAILED) {
		send_errno(wire, "mmap-memory", errno);
		return false;
	}
	page[PL011_FR] = PL011_FR_EMPTY;
	if (!ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		return true;
	send_errno(wire, "KVM_SET_USER_MEMORY_REGION", errno);
	return false;
}

/* As a VMM does it: all but the first vCPU are off until the guest turns them on. */
static bool make_vcpus(struct wire *wire, struct vm *vm, unsigned int vcpus)
{
	while (vm->vcpu_count < vcpus) {
		struct vcpu *vcpu = create_vcpu(wire, vm);
		uint32_t off = vm->vcpu_count > 1 ? 1U << KVM_ARM_VCPU_POWER_OFF : 0;
		int problem = vcpu ? init_vcpu(vm, vcpu, 1U << KVM_ARM_VCPU_PSCI_0_2 | off) : 0;

		if (problem)
			send_vcpu_errno(wire, "KVM_ARM_VCPU_INIT", vcpu->index, problem);
		if (!vcpu || problem)
			return false;
	}
	return make_gic(wire, vm);
}

static void send_clidr(struct wire *wire, const struct vm *vm, const char *when)
{
	for (unsigned int index = 0; index < vm->vcpu_count; index++) {
		wire_line(wire, "clidr");
		wire_dec(wire, "vcpu", index);
		wire_str(wire, "when", when);
		wire_key(wire, "value");
		add_reading(wire, get_register(&vm->vcpus[index], CLIDR));
		wire_send(wire);
	}
}

/* Write ID=VALUE to every vCPU. That one is refused is an observation, and no error. */
static bool override(struct wire *wire, const struct vm *vm, const char *text, bool *refused)
{
	char *end;
	uint64_t id = strtoull(text, &end, 16), value = *end == '=' ? strtoull(end + 1, &end, 16) : 0;

	if (*end || !id) {
		send_errno(wire, "malformed-override", EINVAL);
		return false;
	}
	for (unsigned int index = 0; index < vm->vcpu_count; index++) {
		int problem = set_id(&vm->vcpus[index], id, value);

		wire_line(wire, "set");
		wire_dec(wire, "vcpu", index);
		wire_hex(wire, "id", id);
		wire_hex(wire, "value", value);
		if (problem)
			wire_str(wire, "errno", errno_name(problem));
		wire_send(wire);
		*refused = *refused || problem;
	}
	return true;
}

/* The first vCPU enters the kernel with the address of the device tree. */
static bool enter(struct wire *wire, const struct vcpu *vcpu)
{
	const uint64_t x0 = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.regs[0]);
	int problem;

	if (!start_vcpu(wire, vcpu))
		return false;
	problem = set_id(vcpu, x0, LINUX_DTB);
	if (problem)
		send_vcpu_errno(wire, "KVM_SET_ONE_REG-x0", vcpu->index, problem);
	return !problem;
}

static void send_end(struct wire *wire, const char *how)
{
	wire_line(wire, "end");
	wire_str(wire, "how", how);
	wire_send(wire);
}

/* A VMM whose values are refused starts no guest. */
static bool make_ready(struct wire *wire, struct vm *vm, const struct linux_order *order)
{
	bool refused = false;

	vm->memory_size = LINUX_MEMORY;
	if (!create_vm(wire, vm) || !make_pl011(wire, vm) || !make_vcpus(wire, vm, order->vcpus) ||
	    !load_linux(wire, vm, order->files))
		return false;
	wire_line(wire, "vm");
	wire_dec(wire, "vcpus", vm->vcpu_count);
	wire_send(wire);
	for (unsigned int i = 0; i < order->overrides; i++) {
		if (!override(wire, vm, order->override[i], &refused))
			return false;
	}
	send_clidr(wire, vm, "start");
	if (refused) {
		send_end(wire, "refused");
		return false;
	}
	return enter(wire, &vm->vcpus[0]);
}

void send_linux(struct wire *wire, const struct linux_order *order)
{
	static struct serial serial;
	struct vm vm = { 0 };	/* its descriptors and mappings end with the process */
	enum end end;

	if (!open_kvm(wire, &vm.kvm)) {
		wire->failed = true;	/* no error of ours: the "kvm" line says why */
		return;
	}
	if (!make_ready(wire, &vm, order))
		return;
	serial.wire = wire;
	end = run_together(&serial, &vm, order->seconds);
	send_clidr(wire, &vm, "end");
	serial_end(&serial);
	if (end != END_FAILED)
		send_end(wire, end_name(end));
}

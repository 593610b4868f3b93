// SPDX-License-Identifier: GPL-2.0-or-later
/* The smallest virtual machine: some memory, a few vCPUs, no interrupt controller. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board.h"
#include "ccprobe.h"

#define IMAGE_OFFSET	(IMAGE_BASE - MEMORY_BASE)
#define IMAGE_HEADER	64
#define IMAGE_SIZE_AT	16
#define IMAGE_MAGIC_AT	56

bool open_kvm(struct wire *wire, int *fd)
{
	int version = -1, problem = 0;

	*fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		version = ioctl(*fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		problem = errno;
	wire_line(wire, "kvm");
	if (problem)
		wire_str(wire, "errno", errno_name(problem));
	else
		wire_dec(wire, "api", (uint64_t)version);
	wire_send(wire);
	return !problem;
}

/*
 * 40 bits of guest addresses are KVM's default, and more than some CPUs have:
 * there, KVM_CREATE_VM wants to be told a size. Linux kernel commit 233a7cb23531
 * ("kvm: arm64: Allow tuning the physical address size for VM") (in v4.20).
 */
static unsigned long machine_type(int kvm)
{
	int bits = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 && bits < 40 ? KVM_VM_TYPE_ARM_IPA_SIZE((unsigned long)bits) : 0;
}

static bool make_memory(struct wire *wire, struct vm *vm)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = MEMORY_BASE,
		.memory_size = vm->memory_size,
	};
	void *memory = mmap(NULL, vm->memory_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		send_errno(wire, "mmap-memory", errno);
		return false;
	}
	vm->memory = memory;
	/* a guest touches a few pages; a huge one would have to be cleared, and its caches cleaned */
	if (vm->memory_size == MEMORY_SIZE)
		madvise(memory, MEMORY_SIZE, MADV_NOHUGEPAGE);
	region.userspace_addr = (uintptr_t)memory;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region)) {
		send_errno(wire, "KVM_SET_USER_MEMORY_REGION", errno);
		return false;
	}
	return true;
}

/* Let KVM collect what guests write to the console; without it, every access is an exit of its own. */
static void make_ring(struct vm *vm)
{
	static struct kvm_coalesced_mmio_zone zones[] = {
		{ .addr = BOARD_PL011, .size = 4 },
		{ .addr = BOARD_TEXT, .size = BOARD_TEXT_SIZE },
	};
	int pages = ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);

	for (size_t i = 0; pages > 0 && i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (!ioctl(vm->fd, KVM_REGISTER_COALESCED_MMIO, &zones[i]))
			vm->ring_offset = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
	}
}

/* A machine with memory, and no vCPU yet; "kvm" is all that is set of it before, and maybe "memory_size". */
bool create_vm(struct wire *wire, struct vm *vm)
{
	int run_size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (run_size < (int)sizeof(struct kvm_run)) {
		send_errno(wire, "KVM_GET_VCPU_MMAP_SIZE", run_size < 0 ? errno : EBADMSG);
		return false;
	}
	vm->run_size = (size_t)run_size;
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, machine_type(vm->kvm));
	if (vm->fd < 0) {
		send_errno(wire, "KVM_CREATE_VM", errno);
		return false;
	}
	if (!vm->memory_size)
		vm->memory_size = MEMORY_SIZE;
	if (!make_memory(wire, vm))
		return false;
	make_ring(vm);
	return true;
}

/* As a VMM launches one: all vCPUs are there, initialised, and may run. */
bool make_vm(struct wire *wire, struct vm *vm, unsigned int vcpus)
{
	if (!create_vm(wire, vm))
		return false;
	while (vm->vcpu_count < vcpus) {
		struct vcpu *vcpu = create_vcpu(wire, vm);
		int problem = vcpu ? init_vcpu(vm, vcpu, 1U << KVM_ARM_VCPU_PSCI_0_2) : 0;	/* for SYSTEM_OFF */

		if (problem)
			send_vcpu_errno(wire, "KVM_ARM_VCPU_INIT", vcpu->index, problem);
		if (!vcpu || problem)
			return false;
	}
	return true;
}

/* Leave nothing of what create_vm() and create_vcpu() have made; /dev/kvm stays open. */
void destroy_vm(struct vm *vm)
{
	for (unsigned int index = 0; index < vm->vcpu_count; index++) {
		munmap(vm->vcpus[index].run, vm->run_size);
		close(vm->vcpus[index].fd);
	}
	close(vm->fd);
	munmap(vm->memory, vm->memory_size);
	*vm = (struct vm){ .kvm = vm->kvm };
}

/* Guests are told apart by the names of their files, without folder and ending. */
static void name_guest(struct vm *vm, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t length = strcspn(name, ".");

	memset(vm->guest, 0, sizeof(vm->guest));
	memcpy(vm->guest, name, length < sizeof(vm->guest) ? length : sizeof(vm->guest) - 1);
}

/* Put an arm64 Image where start_vcpu() enters it; its header says how much memory it needs. */
bool load_image(struct wire *wire, struct vm *vm, const char *path)
{
	unsigned char *image = vm->memory + IMAGE_OFFSET;
	uint64_t needed = 0;
	long count = read_file(path, (char *)image, MEMORY_SIZE - IMAGE_OFFSET);

	if (count < 0) {
		send_errno(wire, "read-image", (int)-count);
		return false;
	}
	memcpy(&needed, image + IMAGE_SIZE_AT, sizeof(needed));
	if (count < IMAGE_HEADER || memcmp(image + IMAGE_MAGIC_AT, "ARM\x64", 4) ||
	    needed > MEMORY_SIZE - IMAGE_OFFSET) {
		send_errno(wire, "load-image", ENOEXEC);
		return false;
	}
	name_guest(vm, path);
	return true;
}

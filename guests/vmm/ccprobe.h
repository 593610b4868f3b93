/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ccprobe's parts. Each sub-program gets a begun stream, observes, and sends;
 * what it could not do is an "error" line, and judging is not its business.
 */
#ifndef CCPROBE_H
#define CCPROBE_H

#include "wire.h"

#define VCPUS		2
#define CONSOLE_BASE	0x09000000UL	/* a PL011, as on QEMU's virt machine */

/* A virtual machine with its memory and vCPUs, see vm.c. */
struct vcpu {
	unsigned int index;
	int fd;
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *ring;	/* the machine's; may be NULL */
};

struct vm {
	int kvm;
	int fd;
	unsigned char *memory;
	size_t run_size;
	size_t ring_offset;	/* in a vCPU's mapping; 0: no ring */
	struct vcpu vcpus[VCPUS];
};

/* identity.c */
void send_identity(struct wire *wire);

/* view.c */
void send_view(struct wire *wire, const char *image, unsigned int seconds);

/* registers.c: what userspace is shown of a vCPU */
void send_registers(struct wire *wire, const struct vcpu *vcpu);
void send_register_list(struct wire *wire, const struct vcpu *vcpu);

/* vm.c; where they return false, they have said why */
bool open_kvm(struct wire *wire, int *fd);
bool make_vm(struct wire *wire, struct vm *vm);
bool load_image(struct wire *wire, struct vm *vm, const char *path);
bool start_vcpu(struct wire *wire, const struct vcpu *vcpu);

/* run.c */
void run_vcpu(struct wire *wire, const struct vcpu *vcpu, unsigned int seconds);

/* console.c: a guest's bytes, line by line, into the stream */
struct console {
	struct wire *wire;
	unsigned int vcpu;
	unsigned int lines;
	unsigned int used;
	bool full;		/* an error was sent; nothing more is taken */
	char line[WIRE_GUEST_LINE_MAX];
};

void console_put(struct console *console, char c);
void console_end(struct console *console);

/* files.c */
#define FILE_MAX	8192

long read_file(const char *path, char *buffer, size_t size);
void send_file(struct wire *wire, const char *name, const char *path);

/* notes.c */
const unsigned char *find_build_id(const unsigned char *notes, size_t size, size_t *length);

/* errors.c */
const char *errno_name(int number);
void send_errno(struct wire *wire, const char *what, int number);
void send_vcpu_errno(struct wire *wire, const char *what, unsigned int vcpu, int number);

#endif /* CCPROBE_H */

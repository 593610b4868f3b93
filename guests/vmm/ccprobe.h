/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ccprobe's parts. Each sub-program gets a begun stream, observes, and sends;
 * what it could not do is an "error" line, and judging is not its business.
 */
#ifndef CCPROBE_H
#define CCPROBE_H

#include "wire.h"

#define VCPUS_MAX	2

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
	unsigned int vcpu_count;
	struct vcpu vcpus[VCPUS_MAX];
};

/* identity.c */
void send_identity(struct wire *wire);

/* view.c */
void send_view(struct wire *wire, const char *image, unsigned int seconds);

/* sweep.c */
void send_sweep(struct wire *wire, const char *image, unsigned int seconds);

/* registers.c: what userspace is shown of a vCPU; registers go by index */
#define REGISTERS		17
#define REGISTER_NAME_MAX	32

struct reading {
	uint64_t value;
	int problem;	/* 0, or the errno that came instead */
};

struct reading get_register(const struct vcpu *vcpu, unsigned int index);
int set_register(const struct vcpu *vcpu, unsigned int index, uint64_t value);	/* 0, or an errno */
void name_register(unsigned int index, char name[REGISTER_NAME_MAX]);
void send_registers(struct wire *wire, const struct vcpu *vcpu);
void send_register_list(struct wire *wire, const struct vcpu *vcpu);

/* vm.c; where they return false, they have said why */
bool open_kvm(struct wire *wire, int *fd);
bool make_vm(struct wire *wire, struct vm *vm, unsigned int vcpus);
void destroy_vm(struct vm *vm);
bool load_image(struct wire *wire, struct vm *vm, const char *path);
bool start_vcpu(struct wire *wire, const struct vcpu *vcpu);

/* run.c; returns false when the run did not end as it should, and has said why */
enum run_until { RUN_UNTIL_OFF, RUN_UNTIL_GIVEN_BACK };

bool run_vcpu(struct wire *wire, const struct vcpu *vcpu, unsigned int seconds, enum run_until until);

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
bool console_end(struct console *console);	/* false when the guest said too much or too little */

/* cpus.c: the physical CPUs that are online, in order; where they return false, they have said why */
#define CPUS_MAX	1024

struct cpus {
	unsigned int count;
	unsigned int index[CPUS_MAX];
};

bool parse_cpus(struct cpus *cpus, const char *list);	/* says nothing */
bool find_cpus(struct wire *wire, struct cpus *cpus);
bool pin_to(struct wire *wire, unsigned int cpu);

/* pairs.c: from which CPU to which one values are carried */
#define REPRESENTATIVES_MAX	8
#define PAIRS_MAX		(REPRESENTATIVES_MAX * (REPRESENTATIVES_MAX - 1))

struct pair {
	unsigned int origin, target;	/* both count CPUs in their order, not by number */
};

unsigned int choose_pairs(const struct reading (*read)[REGISTERS], unsigned int cpus,
			  struct pair pairs[PAIRS_MAX]);

/* features.c */
void send_features_in(struct wire *wire, const char *log, size_t size);
void send_features(struct wire *wire);

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

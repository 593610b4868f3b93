/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ccprobe's parts. Each sub-program gets a begun stream, observes, and sends;
 * what it could not do is an "error" line, and judging is not its business.
 */
#ifndef CCPROBE_H
#define CCPROBE_H

#include "wire.h"

#define VCPUS_MAX	8

/* A virtual machine with its memory and vCPUs, see vm.c. */
struct vcpu {
	unsigned int index;
	int fd;
	uint32_t features;	/* with which it was initialised last, but POWER_OFF */
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *ring;	/* the machine's; may be NULL */
};

struct vm {
	int kvm;
	int fd;
	unsigned int gic;	/* its version; 0: there is none */
	char guest[20];		/* the bare guest in its memory; longer names are cut */
	unsigned char *memory;
	size_t memory_size;	/* 0 before create_vm(): as little as a bare guest needs */
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

/* script.c */
void send_script(struct wire *wire, const char *path, unsigned int seconds);

/* leaves.c: the caches that the running kernel tells of in sysfs */
void send_leaves(struct wire *wire);

/* linux.c: "files" are an Image, an initramfs and a device tree */
struct linux_order {
	char *const *files;
	unsigned int vcpus;
	unsigned int seconds;
	char *const *override;
	unsigned int overrides;
};

void send_linux(struct wire *wire, const struct linux_order *order);

/* registers.c: what userspace is shown of a vCPU; 17 registers go by index, all others by KVM's id */
#define REGISTERS		17
#define REGISTER_NAME_MAX	32

struct reading {
	uint64_t value;
	int problem;	/* 0, or the errno that came instead */
};

struct kvm_reg_list;

/* KVM moves as many bytes as an id says; no id can say more than these. */
#define REGISTER_VALUE_MAX	(1 << 15)

int move_register(const struct vcpu *vcpu, unsigned long request, uint64_t id, const void *at);

/* Those that set return 0, or an errno. */
struct reading get_id(const struct vcpu *vcpu, uint64_t id);
int set_id(const struct vcpu *vcpu, uint64_t id, uint64_t value);
int set_id_from_nowhere(const struct vcpu *vcpu, uint64_t id);
uint64_t register_id(unsigned int index);
struct reading get_register(const struct vcpu *vcpu, unsigned int index);
int set_register(const struct vcpu *vcpu, unsigned int index, uint64_t value);
void name_register(unsigned int index, char name[REGISTER_NAME_MAX]);
void add_reading(struct wire *wire, struct reading reading);
void add_readings(struct wire *wire, const char *key, const struct reading readings[REGISTERS]);
void send_registers(struct wire *wire, const struct vcpu *vcpu);
struct kvm_reg_list *get_register_list(const struct vcpu *vcpu, int *problem);
void send_ids(struct wire *wire, const struct vcpu *vcpu, const struct kvm_reg_list *list);
void send_register_list(struct wire *wire, const struct vcpu *vcpu);

/* Like QEMU's virt machine: the same image runs there. */
#define MEMORY_BASE	0x40000000UL
#define IMAGE_BASE	0x40200000UL
#define MEMORY_SIZE	0x400000UL

/* vm.c; where they return false, they have said why */
bool open_kvm(struct wire *wire, int *fd);
bool create_vm(struct wire *wire, struct vm *vm);
bool make_vm(struct wire *wire, struct vm *vm, unsigned int vcpus);
void destroy_vm(struct vm *vm);
bool load_image(struct wire *wire, struct vm *vm, const char *path);

/* vcpu.c */
struct vcpu *create_vcpu(struct wire *wire, struct vm *vm);
int init_vcpu(const struct vm *vm, struct vcpu *vcpu, uint32_t features);
bool start_vcpu(struct wire *wire, const struct vcpu *vcpu);

/* run.c */
enum end { END_NOT_YET, END_FAILED, END_GIVEN_BACK, END_OFF, END_RESET, END_PARKED };	/* FAILED: it was said why */

const char *end_name(enum end end);
enum end run_vcpu(struct wire *wire, const struct vcpu *vcpu, unsigned int seconds, uint64_t command);
bool run_until(struct wire *wire, const struct vcpu *vcpu, unsigned int seconds, enum end wanted);

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
void console_value(struct console *console, uint32_t value);
bool console_end(struct console *console);	/* false when the guest said too much or too little */

/* serial.c: a Linux guest's console */
#define SERIAL_KEPT	32

struct serial_line {
	unsigned int length;
	char text[WIRE_TEXT_CHUNK];
};

struct serial {
	struct wire *wire;
	unsigned int bytes;
	unsigned int said;
	unsigned int lines;
	unsigned int used;
	bool full;		/* an error was sent; nothing more is taken */
	char line[2 * WIRE_GUEST_LINE_MAX];	/* with what the kernel puts before it */
	struct serial_line kept[SERIAL_KEPT];
};

void serial_put(struct serial *serial, char c);
void serial_end(struct serial *serial);

/* gic.c */
bool make_gic(struct wire *wire, struct vm *vm);

/* pmu.c */
bool make_pmu(struct wire *wire, const struct vm *vm);

/* together.c */
enum end run_together(struct serial *serial, struct vm *vm, unsigned int seconds);

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

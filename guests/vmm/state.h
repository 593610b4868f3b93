/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual machine's state as a file: of what type it is, every register of every vCPU, and memory.
 *
 *	struct state_head
 *	for each vCPU:	struct state_vcpu
 *		for each register, in KVM's order:
 *			struct state_register, its value, zeros up to a multiple of 8 bytes
 *	for each page that is not all zeros, by address: its address, 8 bytes; its bytes
 *
 * All numbers are little-endian. Nothing in it is believed before check_state() has,
 * and check_type() has to find that it fits a machine before anything is set there.
 */
#ifndef CCPROBE_STATE_H
#define CCPROBE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_MAGIC	"CCSIGHT\n"
#define STATE_VERSION	2
#define STATE_MACHINE	183	/* EM_AARCH64 */
#define STATE_PAGE	4096
#define STATE_MAX	(8UL << 20)
#define STATE_WORD	(8 * sizeof(long))
#define STATE_NAME	20
#define STATE_VCPUS	8

struct state_head {
	char magic[8];
	uint32_t version, machine;
	uint32_t word, wire;	/* of the probe that wrote it: bits of a word, WIRE_VERSION */
	uint32_t gic;		/* its version, 0: none */
	uint32_t vcpus, page;
	char guest[STATE_NAME];	/* the program in memory, with a zero behind its name */
	uint64_t base, memory;	/* where guest memory is, and its bytes */
	uint64_t pages;
	uint64_t size;		/* of the file */
	uint64_t checksum;	/* CRC-32 of all that follows */
};

struct state_vcpu {
	uint32_t mp_state, registers;
	uint64_t features;	/* as KVM_ARM_VCPU_INIT was given them, but POWER_OFF, which goes by */
};

/* Without a value where KVM_GET_ONE_REG had a problem, an errno. */
struct state_register {
	uint64_t id;
	uint32_t problem, size;
};

_Static_assert(sizeof(struct state_head) == 96 && sizeof(struct state_register) == 16, "no holes");

/* What is read from front to back, or written so. Whoever runs over the end gets NULL, now and for ever. */
struct state_cursor {
	unsigned char *at, *end;
	bool over;
};

void *state_take(struct state_cursor *cursor, size_t size);
uint64_t state_checksum(const unsigned char *bytes, size_t size);

/* The machine that a state is to go into. */
struct state_type {
	uint32_t gic, vcpus;
	uint64_t features[STATE_VCPUS];
};

/* Return NULL for a state that can be restored, or the name of what is wrong with it. */
const char *check_state(unsigned char *bytes, size_t size, uint64_t base, uint64_t memory);
/* Return NULL where a state that was checked fits, or the name of what is another one. */
const char *check_type(unsigned char *bytes, size_t size, const struct state_type *type);

#endif /* CCPROBE_STATE_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a bare guest is given: a stream on the console, reads that may fault, EL0.
 *
 * A guest is one C file that defines guest_name and guest_main(). It runs at EL1
 * with the MMU off on every vCPU that is started at its entry, and has no
 * writable data but its stack.
 */
#ifndef CCSIGHT_GUEST_H
#define CCSIGHT_GUEST_H

/* Also known to guest.lds and start.S. */
#define GUEST_VCPUS_MAX		8
#define GUEST_STACK_SIZE	4096
#define VCPU_ARMED		0
#define VCPU_ESR		8
#define VCPU_EL			24
#define VCPU_SIZE		48

#ifndef __ASSEMBLER__
#include "devicetree.h"
#include "wire.h"

/* At the top of each vCPU's stack; TPIDR_EL1 points to it. */
struct vcpu {
	uint64_t armed;		/* non-zero: a fault is noted and skipped */
	uint64_t esr;		/* ESR_EL1 of the fault that was noted, or 0 */
	struct wire *wire;	/* where an exception that nobody expected is reported, or NULL */
	uint64_t el;		/* the exception level at which it was entered: 1, or 2, which it left */
	struct uart uart;	/* the console */
};

/* What came back from a read: a value, or the ESR_EL1 of the exception instead. */
struct reading {
	uint64_t value;
	uint64_t esr;
};

/* Hidden, or the compiler reaches them through a table of addresses that somebody would have to relocate. */
#pragma GCC visibility push(hidden)

extern const char guest_name[];
void guest_main(struct wire *wire);

/* In start.S: run code at EL0 until its SVC, and return its x0. */
struct reading el0_call(void (*code)(void));

/*
 * In el2.S, on a vCPU that was entered at EL2: run code with its argument at EL2, and
 * return its x0. It is assembly that leaves x19 to x30 alone, and may fault.
 */
struct reading el2_call(void (*code)(void), uint64_t argument);

/*
 * End the stream, give control back to the VMM, and begin another stream when the
 * vCPU is run again. Where nobody takes control, this was the last one: turn off.
 */
void next_round(struct wire *wire);

/* The parts of it: the first says whether anybody has taken control. */
bool give_back(void);
void begin_stream(struct wire *wire);

/* In registers.c: the cache registers at EL1, by index, and the one that EL0 has. */
#define REGISTERS		17
#define REGISTER_CTR		0
#define REGISTER_CLIDR		1
#define REGISTER_MMFR2		2
#define REGISTER_CCSIDR		3	/* of selector 0; others follow */
#define REGISTER_NAME_MAX	20

struct reading read_register(unsigned int index);
struct reading read_ctr_at_el0(void);
void name_register(unsigned int index, char name[REGISTER_NAME_MAX]);

/* In round.c: an item of a list, after a comma or the list's key; and all registers, from both levels. */
#define VALUES_IN_A_LINE	6	/* as many as fit into WIRE_GUEST_LINE_MAX, whatever they are */

struct round {
	struct reading el1[REGISTERS];
	struct reading el0[1];	/* CTR_EL0 */
};

void add_reading(struct wire *wire, struct reading reading);
void read_round(struct round *round);
void send_read(struct wire *wire, const char *kind, const struct round *round);
void send_round(struct wire *wire);

/* Send "reg el=EL name=NAME value=..." or, after a fault, "... esr=...". */
void send_reading(struct wire *wire, unsigned int el, const char *name, struct reading reading);

#pragma GCC visibility pop

static inline struct vcpu *this_vcpu(void)
{
	struct vcpu *vcpu;

	asm volatile("mrs %0, tpidr_el1" : "=r"(vcpu));
	return vcpu;
}

static inline void fault_arm(void)
{
	struct vcpu *vcpu = this_vcpu();

	vcpu->esr = 0;
	vcpu->armed = 1;
	asm volatile("" ::: "memory");
}

/* Return the ESR_EL1 of a fault since fault_arm(); 0 if there was none (even UNDEF sets ESR.IL). */
static inline uint64_t fault_disarm(void)
{
	struct vcpu *vcpu = this_vcpu();

	asm volatile("" ::: "memory");
	vcpu->armed = 0;
	return vcpu->esr;
}

#define try_mrs(sysreg)								\
({										\
	struct reading reading_ = { 0, 0 };					\
										\
	fault_arm();								\
	asm volatile("mrs %0, " #sysreg : "+r"(reading_.value) :: "memory");	\
	reading_.esr = fault_disarm();						\
	reading_;								\
})

/* Write a register, which may fault: only the esr of what comes back means something. */
#define try_msr(sysreg, number)							\
({										\
	uint64_t value_ = (number);						\
	struct reading written_ = { 0, 0 };					\
										\
	fault_arm();								\
	asm volatile("msr " #sysreg ", %0" :: "r"(value_) : "memory");		\
	written_.esr = fault_disarm();						\
	written_;								\
})

#endif /* __ASSEMBLER__ */
#endif /* CCSIGHT_GUEST_H */

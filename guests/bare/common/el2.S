/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For a guest that is entered at EL2: the way down to EL1, and calls back up.
 *
 * A vCPU with KVM_ARM_VCPU_HAS_EL2 begins there, and so does QEMU's virt machine
 * with virtualization=on. All guests run at EL1, so EL2 traps nothing and stands
 * by: it passes PSCI calls on, by SMC, which is the conduit beneath EL2.
 */
#include "guest.h"
#include "vectors.h"

#define ESR_HVC		(0x16 << 26 | 1 << 25)	/* HVC #0 from AArch64 */
#define HVC_CALL	1
#define HCR_RW		(1 << 31)		/* EL1 is in AArch64 */
#define HCR_E2H		(1 << 34)		/* RES1 in some: what the CPU says stays */

	.text
/* Go on at EL1 where this was called; clobbers x0. */
	.global leave_el2
leave_el2:
	mrs	x0, midr_el1		// what EL1 reads as its own
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	adr	x0, vectors_el2
	msr	vbar_el2, x0
	mrs	x0, hcr_el2
	and	x0, x0, #HCR_E2H
	orr	x0, x0, #HCR_RW
	msr	hcr_el2, x0
	mov	x0, #0x3c5		// EL1h, DAIF masked
	msr	spsr_el2, x0
	msr	elr_el2, x30
	isb
	eret

/* struct reading el2_call(void (*code)(void), uint64_t argument) */
	.global el2_call
el2_call:
	hvc	#HVC_CALL
	ret

/* EL1's stack is ours as long as it waits. */
from_el1:
	msr	tpidr_el2, x9
	mrs	x9, sp_el1
	mov	sp, x9
	stp	x10, x11, [sp, #-16]!
	mrs	x9, esr_el2
	ldr	w10, =ESR_HVC
	sub	w9, w9, w10
	ldp	x10, x11, [sp], #16
	cbz	w9, pass_on
	cmp	w9, #HVC_CALL
	b.ne	no_way_on
	stp	x29, x30, [sp, #-32]!
	mrs	x9, elr_el2
	mrs	x10, spsr_el2
	stp	x9, x10, [sp, #16]
	mov	x9, sp
	msr	tpidr_el2, x9
	mov	x9, x0
	mov	x0, x1
	blr	x9
	mov	x1, xzr
back:
	ldp	x9, x10, [sp, #16]
	msr	elr_el2, x9
	msr	spsr_el2, x10
	ldp	x29, x30, [sp], #32
	eret

/* A fault in the code that was called. */
at_el2:
	mrs	x9, tpidr_el2
	mov	sp, x9
	mov	x0, xzr
	mrs	x1, esr_el2
	b	back

pass_on:
	mrs	x9, tpidr_el2
	smc	#0
	eret

no_way_on:
	ldr	w0, =0x84000008		// PSCI SYSTEM_OFF
	smc	#0
	b	park

	vector_table vectors_el2, own=at_el2, lower=from_el1, all_else=no_way_on

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry, exception vectors and the way to EL0 and back, for every bare guest.
 */
#include "guest.h"
#include "vectors.h"

	.section .head, "ax"
	.global _start
_start:
	b	start			// code0
	.long	0			// code1; guest.lds lays the rest of the header

	.text
start:
	msr	daifset, #0xf
	mov	x19, x0			// a device tree, if whoever starts us has one
	mrs	x20, CurrentEL
	lsr	x20, x20, #2
	cmp	x20, #2
	b.ne	1f
	bl	leave_el2
1:
	mrs	x0, mpidr_el1
	and	x0, x0, #0xff		// Aff0: KVM and QEMU number the first vCPUs by it
	cmp	x0, #GUEST_VCPUS_MAX
	b.hs	park
	adrp	x1, stacks
	add	x1, x1, :lo12:stacks
	mov	x2, #GUEST_STACK_SIZE
	madd	x1, x0, x2, x1
	add	x1, x1, x2
	sub	x1, x1, #VCPU_SIZE
	mov	sp, x1
	stp	xzr, xzr, [sp]
	stp	xzr, x20, [sp, #16]	// VCPU_EL
	stp	xzr, xzr, [sp, #32]
	// RES1 of Armv8.0 (MMU and caches off), and UCT: EL0 may read CTR_EL0
	ldr	w2, =(0x30d00800 | 1 << 15)
	mrs	x0, CurrentEL
	lsr	x0, x0, #2
	cmp	x0, #1
	b.ne	2f			// guest_start() says so: VBAR_EL1 is not ours to use
	msr	sctlr_el1, x2
	adr	x2, vectors
	msr	vbar_el1, x2
2:	msr	tpidr_el1, x1
	isb
	mov	x1, x19
	bl	guest_start
	.global turn_off
turn_off:
	// The conduit is HVC under KVM, and under QEMU without virtualization=on; el2.S passes it on
	ldr	w0, =0x84000008		// PSCI SYSTEM_OFF
	hvc	#0
	.global park
park:
	wfi
	b	park

/*
 * struct reading el0_call(void (*code)(void)): x0 = code; returns x0 = value, x1 = esr.
 * SP_EL1 stays as it is while EL0 runs, so el0_sync finds this frame.
 */
	.global el0_call
el0_call:
	stp	x29, x30, [sp, #-96]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	mov	x1, #0x3c0		// EL0t, DAIF masked
	msr	spsr_el1, x1
	msr	elr_el1, x0
	mov	x0, xzr
	eret

el0_sync:
	mrs	x1, esr_el1
	lsr	x2, x1, #26
	cmp	x2, #0x15		// SVC from AArch64
	csel	x1, xzr, x1, eq
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #96
	ret

/* A fault at EL1: note it and go on behind it if one was expected. */
el1_sync:
	stp	x0, x1, [sp, #-16]!
	mrs	x0, tpidr_el1
	ldr	x1, [x0, #VCPU_ARMED]
	cbz	x1, unexpected
	mrs	x1, esr_el1
	str	x1, [x0, #VCPU_ESR]
	mrs	x1, elr_el1
	add	x1, x1, #4
	msr	elr_el1, x1
	ldp	x0, x1, [sp], #16
	eret

unexpected:
	mrs	x0, esr_el1
	mrs	x1, elr_el1
	mrs	x2, far_el1
	b	guest_unexpected

	vector_table vectors, own=el1_sync, lower=el0_sync, all_else=unexpected

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For assembler: the vector table of an exception level (Arm ARM DDI 0487,
 * section D1.3.1), 16 entries of 128 bytes. Of all that can come, two are
 * expected: a synchronous exception of the level itself, on its own stack
 * pointer, and one of the level below, in AArch64.
 */
	.macro	vector target
	.balign	128
	b	\target
	.endm

	.macro	vector_table name, own, lower, all_else
	.section .vectors, "ax"
	.balign	2048
\name:
	.rept	4			// this level, on SP_EL0
	vector	\all_else
	.endr
	vector	\own			// this level, on its own stack pointer
	.rept	3
	vector	\all_else
	.endr
	vector	\lower			// the level below, AArch64
	.rept	7			// the rest of it, and AArch32
	vector	\all_else
	.endr
	.endm

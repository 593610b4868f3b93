/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which cache registers does a guest see whose EL1 is in AArch32?
 *
 * Exists for Linux kernel commit 7af0c2534f4c ("KVM: arm64: Normalize cache
 * configuration") (in v6.3): KVM has a second table for CP15, which names none of
 * the registers that the first one keeps, so that the same read can end elsewhere.
 *
 * Of each read two words go to BOARD_VALUE: 0 and what came back, or 1 and 0 where
 * it was UNDEFINED. The word 2 is any other exception, and the end. The reads are
 * CTR, CLIDR, and with selector 0 CCSIDR2; then, for the selectors 0 to 13, CSSELR
 * as it comes back, and CCSIDR. Then control goes back.
 *
 * As few machines have an assembler for it, the A32 code is in words, each with
 * its meaning. The first of them is harmless in A64: a vCPU that could not be made
 * an AArch32 one goes on with the second, and gives control back without a word.
 */
#include "board.h"

	.macro	a32_branch opcode, target
	.long	\opcode | ((\target - . - 8) >> 2 & 0xffffff)
	.endm

#define B	0xea000000
#define BNE	0x1a000000
#define BL	0xeb000000

	.section .head, "ax"
	.global _start
_start:
	.long	0xea00000e		// b a32_start, behind the header; in A64: ands x14, x0, x0
	b	a64_start

	.text
a32_start:
	.long	0xe28f0000 | (vectors - . - 8)	// add r0, pc, #...
	.long	0xee0c0f10		// mcr p15, 0, r0, c12, c0, 0	VBAR
	.long	0xe3008000 | (BOARD_VALUE & 0xfff)		// movw r8, #...; bits 15:12 are 0
	.long	0xe3408000 | (BOARD_VALUE >> 28 << 16) | (BOARD_VALUE >> 16 & 0xfff)	// movt r8, #...
	.long	0xe3a01000		// mov r1, #0
	.long	0xe3a04000		// mov r4, #0
	.long	0xf57ff06f		// isb
	.long	0xee100f30		// mrc p15, 0, r0, c0, c0, 1	CTR
	a32_branch BL, send
	.long	0xee300f30		// mrc p15, 1, r0, c0, c0, 1	CLIDR
	a32_branch BL, send
	.long	0xee404f10		// mcr p15, 2, r4, c0, c0, 0	CSSELR
	.long	0xf57ff06f		// isb
	.long	0xee300f50		// mrc p15, 1, r0, c0, c0, 2	CCSIDR2
	a32_branch BL, send
next:
	.long	0xee404f10		// mcr p15, 2, r4, c0, c0, 0	CSSELR
	.long	0xf57ff06f		// isb
	.long	0xee500f10		// mrc p15, 2, r0, c0, c0, 0	CSSELR
	a32_branch BL, send
	.long	0xee300f10		// mrc p15, 1, r0, c0, c0, 0	CCSIDR
	a32_branch BL, send
	.long	0xe2844001		// add r4, r4, #1
	.long	0xe354000e		// cmp r4, #14
	a32_branch BNE, next
end:
	.long	0xe5081000 | (BOARD_VALUE - BOARD_GIVE_BACK)	// str r1, [r8, #-...]
	a32_branch B, end

send:
	.long	0xe5881000		// str r1, [r8]
	.long	0xe5880000		// str r0, [r8]
	.long	0xe3a00000		// mov r0, #0
	.long	0xe3a01000		// mov r1, #0
	.long	0xe12fff1e		// bx lr
undefined:
	.long	0xe3a01001		// mov r1, #1
	.long	0xe1b0f00e		// movs pc, lr			behind the instruction
unexpected:
	.long	0xe3a01002		// mov r1, #2
	.long	0xe5881000		// str r1, [r8]
	a32_branch B, end

	.balign	32
vectors:
	a32_branch B, unexpected
	a32_branch B, undefined
	.rept	6
	a32_branch B, unexpected
	.endr

a64_start:
	ldr	x0, =BOARD_GIVE_BACK
	str	wzr, [x0]
	b	a64_start

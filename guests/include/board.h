/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the bare guests and ccprobe's virtual machine agree on. QEMU's virt
 * machine has its PL011 at the same place, and nobody at BOARD_GIVE_BACK.
 */
#ifndef CCSIGHT_BOARD_H
#define CCSIGHT_BOARD_H

#define BOARD_PL011	0x09000000UL
/* A guest that writes here gives control back to ccprobe, which may run it again. */
#define BOARD_GIVE_BACK	0x09f00000UL
/* A guest without a console of its own writes 32-bit values here ... */
#define BOARD_VALUE	0x09f00008UL
/* ... and whoever is told what to do reads a number here, which ccprobe was given with the run. */
#define BOARD_COMMAND	0x09f00010UL
/*
 * Characters, as many at once as one access can hold, the first one lowest; those that
 * are 0 count for nothing. Every access of a console is dear, above all under emulation.
 */
#define BOARD_TEXT	0x09f00018UL
#define BOARD_TEXT_SIZE	8

/*
 * A Linux guest: its interrupt controller, its memory from MEMORY_BASE on, and where in it the
 * initramfs and the device tree lie. harness/ccsight/probes/board.py has the same numbers.
 */
#define BOARD_GIC_DISTRIBUTOR		0x08000000UL
#define BOARD_GIC_REDISTRIBUTORS	0x080a0000UL
/* Each vCPU's own, as in QEMU's virt machine. */
#define BOARD_PMU_INTERRUPT		23
#define LINUX_MEMORY	0x08000000UL
#define LINUX_DTB	0x40000000UL
#define LINUX_INITRD	0x47800000UL
/* What each line begins with that our init says in the kernel's log. */
#define LINUX_MARK	"ccsight: "

#endif /* CCSIGHT_BOARD_H */

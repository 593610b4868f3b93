// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a vCPU see the same caches after every moment of its life, and do all see the same?
 *
 * Exists for the kernels before Linux kernel commit e016333745c7 ("KVM: arm64: Only
 * reset vCPU-scoped feature ID regs once") (in v6.10): with what a VMM had written
 * to CLIDR_EL1 the boot vCPU ran, and each vCPU that PSCI CPU_ON woke ran without
 * (Firecracker issue 6139). So this guest reads, and then does with itself or with
 * another vCPU what the VMM asks of it.
 */
#include "board.h"
#include "guest.h"

#define PSCI_CPU_OFF		0x84000002UL
#define PSCI_CPU_ON		0xc4000003UL
#define PSCI_SYSTEM_OFF		0x84000008UL
#define PSCI_SYSTEM_RESET	0x84000009UL

/* A command's low byte; of what is above it each bit is another vCPU's. */
enum { GIVE_BACK, CPU_ON, CPU_OFF, SYSTEM_RESET };

const char guest_name[] = "life";

extern char _start[] __attribute__((visibility("hidden")));

static uint64_t psci(uint64_t function, uint64_t vcpu)
{
	register uint64_t x0 asm("x0") = function;
	register uint64_t x1 asm("x1") = vcpu;
	register uint64_t x2 asm("x2") = (uint64_t)_start;
	register uint64_t x3 asm("x3") = 0;	/* x0 of the vCPU: there is no device tree */

	asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) :: "memory");
	return x0;
}

/* Where nobody answers, as in QEMU, there is nothing to do but to give back. */
static uint64_t read_command(void)
{
	uint64_t command = GIVE_BACK;

	fault_arm();
	asm volatile("ldr %0, [%1]" : "+r"(command) : "r"(BOARD_COMMAND) : "memory");
	return fault_disarm() ? GIVE_BACK : command;
}

static void turn_on(struct wire *wire, uint64_t vcpu)
{
	uint64_t said = psci(PSCI_CPU_ON, vcpu);

	wire_line(wire, "psci");
	wire_dec(wire, "on", vcpu);
	wire_hex(wire, "said", said);
	wire_send(wire);
}

/* What comes back from here is a fault of KVM's; the VMM then sees another end than it asked for. */
static void leave(struct wire *wire, uint64_t function)
{
	wire_end(wire);
	psci(function, 0);
	psci(PSCI_SYSTEM_OFF, 0);
}

void guest_main(struct wire *wire)
{
	for (;; next_round(wire)) {
		uint64_t command = read_command();

		send_round(wire);
		for (unsigned int vcpu = 0; vcpu < GUEST_VCPUS_MAX; vcpu++) {
			if ((command & 0xff) == CPU_ON && command >> 8 >> vcpu & 1)
				turn_on(wire, vcpu);
		}
		if ((command & 0xff) == CPU_OFF)
			leave(wire, PSCI_CPU_OFF);
		if ((command & 0xff) == SYSTEM_RESET)
			leave(wire, PSCI_SYSTEM_RESET);
	}
}

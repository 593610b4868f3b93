// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Run one vCPU until it turns the machine off or gives control back, with a PL011
 * for its console. Every end but the one that is waited for is an error line; a
 * guest that never ends meets the clock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "board.h"
#include "ccprobe.h"

#define PL011_SIZE	0x1000
#define PL011_DR	0x00
#define PL011_FR	0x18
#define PL011_FR_EMPTY	0x90	/* TXFE and RXFE: ready to send, nothing received */

enum next { GO_ON, ENDED, FAILED };

static struct kvm_run *running;

/* KVM_RUN looks at the flag before it enters the guest: a signal just before it is not lost. */
static void on_alarm(int number)
{
	(void)number;
	*(volatile __u8 *)&running->immediate_exit = 1;
}

static void set_clock(const struct vcpu *vcpu, unsigned int seconds)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval clock = { .it_value.tv_sec = seconds };

	running = vcpu->run;
	running->immediate_exit = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &clock, NULL);
}

static void send_end(struct wire *wire, const struct vcpu *vcpu, const char *what,
		     const char *key, uint64_t value)
{
	wire_error(wire, what);
	wire_dec(wire, "vcpu", vcpu->index);
	wire_hex(wire, key, value);
	wire_send(wire);
}

/* Return false when the address is nobody's. */
static bool do_mmio(struct kvm_run *run, struct console *console)
{
	uint64_t offset = run->mmio.phys_addr - BOARD_PL011;

	if (run->mmio.phys_addr < BOARD_PL011 || offset >= PL011_SIZE)
		return false;
	if (run->mmio.is_write && offset == PL011_DR)
		console_put(console, (char)run->mmio.data[0]);
	if (!run->mmio.is_write) {
		memset(run->mmio.data, 0, sizeof(run->mmio.data));
		run->mmio.data[0] = offset == PL011_FR ? PL011_FR_EMPTY : 0;
	}
	return true;
}

/*
 * Take what the guest wrote to the console since the last exit: KVM collects it in
 * a ring, and an exit for every byte would be most of the time of a run.
 */
static void drain_ring(const struct vcpu *vcpu, struct console *console)
{
	struct kvm_coalesced_mmio_ring *ring = vcpu->ring;
	size_t room = (size_t)sysconf(_SC_PAGESIZE) - sizeof(*ring);
	uint32_t entries = (uint32_t)(room / sizeof(ring->coalesced_mmio[0]));

	while (ring && ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		console_put(console, (char)ring->coalesced_mmio[ring->first].data[0]);
		__atomic_store_n(&ring->first, (ring->first + 1) % entries, __ATOMIC_RELEASE);
	}
}

static enum next handle_exit(struct wire *wire, const struct vcpu *vcpu, struct console *console,
			     enum run_until until)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		if (do_mmio(run, console))
			return console->full ? FAILED : GO_ON;
		if (run->mmio.phys_addr == BOARD_GIVE_BACK && until == RUN_UNTIL_GIVEN_BACK)
			return ENDED;
		send_end(wire, vcpu, "guest-mmio", "address", run->mmio.phys_addr);
		return FAILED;
	case KVM_EXIT_SYSTEM_EVENT:
		if (run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN && until == RUN_UNTIL_OFF)
			return ENDED;
		send_end(wire, vcpu, "guest-system-event", "type", run->system_event.type);
		return FAILED;
	case KVM_EXIT_INTR:
		return GO_ON;
	default:
		send_end(wire, vcpu, "guest-exit", "reason", run->exit_reason);
		return FAILED;
	}
}

/* The same for a KVM_RUN that failed; it says EINTR when the clock has run out. */
static enum next handle_problem(struct wire *wire, const struct vcpu *vcpu, int problem)
{
	if (problem != EINTR) {
		send_vcpu_errno(wire, "KVM_RUN", vcpu->index, problem);
		return FAILED;
	}
	if (!vcpu->run->immediate_exit)
		return GO_ON;
	wire_error(wire, "guest-does-not-end");
	wire_dec(wire, "vcpu", vcpu->index);
	wire_send(wire);
	return FAILED;
}

bool run_vcpu(struct wire *wire, const struct vcpu *vcpu, unsigned int seconds, enum run_until until)
{
	struct console console = { .wire = wire, .vcpu = vcpu->index };
	enum next next = GO_ON;

	set_clock(vcpu, seconds);
	while (next == GO_ON) {
		int problem = ioctl(vcpu->fd, KVM_RUN, 0) ? errno : 0;

		drain_ring(vcpu, &console);
		if (console.full)
			next = FAILED;
		else if (problem)
			next = handle_problem(wire, vcpu, problem);
		else
			next = handle_exit(wire, vcpu, &console, until);
	}
	set_clock(vcpu, 0);
	return console_end(&console) && next == ENDED;
}

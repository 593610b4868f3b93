// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Run one vCPU until it turns the machine off, with a PL011 for its console.
 * Every other end is an error line; a guest that never ends meets the clock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "ccprobe.h"

#define PL011_SIZE	0x1000
#define PL011_DR	0x00
#define PL011_FR	0x18
#define PL011_FR_EMPTY	0x90	/* TXFE and RXFE: ready to send, nothing received */

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
	uint64_t offset = run->mmio.phys_addr - CONSOLE_BASE;

	if (run->mmio.phys_addr < CONSOLE_BASE || offset >= PL011_SIZE)
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

/* Return true when the vCPU is to go on; else a line about its end was sent. */
static bool handle_exit(struct wire *wire, const struct vcpu *vcpu, struct console *console)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		if (do_mmio(run, console))
			return true;
		send_end(wire, vcpu, "guest-mmio", "address", run->mmio.phys_addr);
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		if (run->system_event.type != KVM_SYSTEM_EVENT_SHUTDOWN) {
			send_end(wire, vcpu, "guest-system-event", "type", run->system_event.type);
			return false;
		}
		wire_line(wire, "off");
		wire_dec(wire, "vcpu", vcpu->index);
		wire_send(wire);
		return false;
	case KVM_EXIT_INTR:
		return true;
	default:
		send_end(wire, vcpu, "guest-exit", "reason", run->exit_reason);
		return false;
	}
}

/* The same for a KVM_RUN that failed; it says EINTR when the clock has run out. */
static bool handle_problem(struct wire *wire, const struct vcpu *vcpu, int problem)
{
	if (problem != EINTR) {
		send_vcpu_errno(wire, "KVM_RUN", vcpu->index, problem);
		return false;
	}
	if (!vcpu->run->immediate_exit)
		return true;
	wire_error(wire, "guest-does-not-end");
	wire_dec(wire, "vcpu", vcpu->index);
	wire_send(wire);
	return false;
}

void run_vcpu(struct wire *wire, const struct vcpu *vcpu, unsigned int seconds)
{
	struct console console = { .wire = wire, .vcpu = vcpu->index };
	bool goes_on = true;

	set_clock(vcpu, seconds);
	while (goes_on) {
		int problem = ioctl(vcpu->fd, KVM_RUN, 0) ? errno : 0;

		drain_ring(vcpu, &console);
		if (!problem)
			goes_on = handle_exit(wire, vcpu, &console);
		else
			goes_on = handle_problem(wire, vcpu, problem);
		goes_on = goes_on && !console.full;
	}
	set_clock(vcpu, 0);
	console_end(&console);
}

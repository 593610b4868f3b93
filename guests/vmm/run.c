// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Run one vCPU, with a PL011 for its console, until it ends in one of a few ways:
 * it gives control back, turns the machine off, resets it, or is powered off
 * itself. Every other end is an error line; a guest that never ends meets the clock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "ccprobe.h"

#define PL011_SIZE	0x1000
#define PL011_DR	0x00
#define PL011_FR	0x18
#define PL011_FR_EMPTY	0x90	/* TXFE and RXFE: ready to send, nothing received */

/* How often to look whether the vCPU is powered off: KVM_RUN sleeps then, and does not say so. */
#define TICK_USEC	2000

struct run {
	struct wire *wire;
	const struct vcpu *vcpu;
	struct console console;
	uint64_t command;	/* what a guest reads that asks what to do */
	struct timespec until;
};

/* NULL while no vCPU runs: the page of one that is gone is not mapped any more. */
static struct kvm_run *volatile running;

/* KVM_RUN looks at the flag before it enters the guest: a signal just before it is not lost. */
static void on_alarm(int number)
{
	(void)number;
	if (running)
		*(volatile __u8 *)&running->immediate_exit = 1;
}

static void set_ticks(const struct vcpu *vcpu, long usec)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval clock = { .it_value.tv_usec = usec, .it_interval.tv_usec = usec };

	running = usec ? vcpu->run : NULL;
	vcpu->run->immediate_exit = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &clock, NULL);
}

static void send_end(struct run *run, const char *what, const char *key, uint64_t value)
{
	wire_error(run->wire, what);
	wire_dec(run->wire, "vcpu", run->vcpu->index);
	wire_hex(run->wire, key, value);
	wire_send(run->wire);
}

/* What a guest says, in an access of its own or out of KVM's ring. */
static void put_text(struct run *run, uint64_t address, const unsigned char *data)
{
	if (address != BOARD_TEXT)
		console_put(&run->console, (char)data[0]);
	for (unsigned int i = 0; address == BOARD_TEXT && i < BOARD_TEXT_SIZE; i++) {
		if (data[i])
			console_put(&run->console, (char)data[i]);
	}
}

static void do_write(struct run *run, uint64_t address, const unsigned char *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));	/* the host is little-endian */
	if (address == BOARD_PL011 + PL011_DR || address == BOARD_TEXT)
		put_text(run, address, data);
	else if (address == BOARD_VALUE)
		console_value(&run->console, value);
}

static void do_read(struct run *run, uint64_t address, unsigned char data[8])
{
	memset(data, 0, 8);
	if (address == BOARD_PL011 + PL011_FR)
		data[0] = PL011_FR_EMPTY;
	else if (address == BOARD_COMMAND)
		memcpy(data, &run->command, sizeof(run->command));
}

/* Is the address somebody's, to write or to read? */
static bool is_ours(uint64_t address, bool is_write)
{
	if (address >= BOARD_PL011 && address - BOARD_PL011 < PL011_SIZE)
		return true;
	return is_write ? address == BOARD_TEXT || address == BOARD_VALUE : address == BOARD_COMMAND;
}

static enum end do_mmio(struct run *run)
{
	struct kvm_run *shared = run->vcpu->run;
	uint64_t address = shared->mmio.phys_addr;

	if (shared->mmio.is_write && address == BOARD_GIVE_BACK)
		return END_GIVEN_BACK;
	if (!is_ours(address, shared->mmio.is_write)) {
		send_end(run, "guest-mmio", "address", address);
		return END_FAILED;
	}
	if (shared->mmio.is_write)
		do_write(run, address, shared->mmio.data);
	else
		do_read(run, address, shared->mmio.data);
	return run->console.full ? END_FAILED : END_NOT_YET;
}

/*
 * Take what the guest wrote to the console since the last exit: KVM collects it in
 * a ring, and an exit for every byte would be most of the time of a run.
 */
static void drain_ring(struct run *run)
{
	struct kvm_coalesced_mmio_ring *ring = run->vcpu->ring;
	size_t room = (size_t)sysconf(_SC_PAGESIZE) - sizeof(*ring);
	uint32_t entries = (uint32_t)(room / sizeof(ring->coalesced_mmio[0]));

	while (ring && ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[ring->first];

		put_text(run, entry->phys_addr, entry->data);
		__atomic_store_n(&ring->first, (ring->first + 1) % entries, __ATOMIC_RELEASE);
	}
}

static enum end handle_exit(struct run *run)
{
	const struct kvm_run *shared = run->vcpu->run;

	switch (shared->exit_reason) {
	case KVM_EXIT_MMIO:
		return do_mmio(run);
	case KVM_EXIT_SYSTEM_EVENT:
		if (shared->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN)
			return END_OFF;
		if (shared->system_event.type == KVM_SYSTEM_EVENT_RESET)
			return END_RESET;
		send_end(run, "guest-system-event", "type", shared->system_event.type);
		return END_FAILED;
	default:
		send_end(run, "guest-exit", "reason", shared->exit_reason);
		return END_FAILED;
	}
}

static bool is_powered_off(const struct vcpu *vcpu)
{
	struct kvm_mp_state state = { 0 };

	return !ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) && state.mp_state == KVM_MP_STATE_STOPPED;
}

static bool is_late(const struct run *run)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > run->until.tv_sec ||
	       (now.tv_sec == run->until.tv_sec && now.tv_nsec >= run->until.tv_nsec);
}

/* The same for a KVM_RUN that failed; it says EINTR at a tick. */
static enum end handle_problem(struct run *run, int problem)
{
	if (problem != EINTR) {
		send_vcpu_errno(run->wire, "KVM_RUN", run->vcpu->index, problem);
		return END_FAILED;
	}
	run->vcpu->run->immediate_exit = 0;
	if (is_powered_off(run->vcpu))
		return END_PARKED;
	if (!is_late(run))
		return END_NOT_YET;
	wire_error(run->wire, "guest-does-not-end");
	wire_dec(run->wire, "vcpu", run->vcpu->index);
	wire_send(run->wire);
	return END_FAILED;
}

/* KVM ends an access to memory when the vCPU is run again: before somebody resets it, here. */
static void end_access(const struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	ioctl(vcpu->fd, KVM_RUN, 0);
	vcpu->run->immediate_exit = 0;
}

const char *end_name(enum end end)
{
	static const char *const names[] = {
		[END_GIVEN_BACK] = "given-back", [END_OFF] = "off", [END_RESET] = "reset",
		[END_PARKED] = "parked",
	};

	return names[end];
}

enum end run_vcpu(struct wire *wire, const struct vcpu *vcpu, unsigned int seconds, uint64_t command)
{
	struct run run = {
		.wire = wire, .vcpu = vcpu, .console = { .wire = wire, .vcpu = vcpu->index }, .command = command,
	};
	enum end end = END_NOT_YET;

	clock_gettime(CLOCK_MONOTONIC, &run.until);
	run.until.tv_sec += seconds;
	set_ticks(vcpu, TICK_USEC);
	while (end == END_NOT_YET) {
		int problem = ioctl(vcpu->fd, KVM_RUN, 0) ? errno : 0;

		drain_ring(&run);
		if (run.console.full)
			end = END_FAILED;
		else
			end = problem ? handle_problem(&run, problem) : handle_exit(&run);
	}
	set_ticks(vcpu, 0);
	if (end == END_GIVEN_BACK)
		end_access(vcpu);
	return console_end(&run.console) ? end : END_FAILED;
}

/* Return false when the run did not end as it should, and say why. */
bool run_until(struct wire *wire, const struct vcpu *vcpu, unsigned int seconds, enum end wanted)
{
	enum end end = run_vcpu(wire, vcpu, seconds, 0);

	if (end != END_FAILED && end != wanted) {
		wire_error(wire, "guest-ends");
		wire_dec(wire, "vcpu", vcpu->index);
		wire_str(wire, "end", end_name(end));
		wire_send(wire);
	}
	return end == wanted;
}

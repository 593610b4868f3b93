// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Run all vCPUs of a Linux guest at once, a thread each, until one of them ends the machine
 * or the time is up. A vCPU that is powered off sleeps in KVM_RUN.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "ccprobe.h"

#define PL011_SIZE	0x1000
#define TICK_NSEC	10000000	/* how often the console is emptied that nobody else empties */

/* One machine that runs; everything in it but the vCPUs themselves is under the lock. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct serial *serial;
	const struct vm *vm;
	enum end end;
	pthread_t threads[VCPUS_MAX];
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static void on_kick(int number)
{
	(void)number;	/* it is enough that KVM_RUN is interrupted */
}

/* What the guest wrote to its console since somebody looked: all vCPUs share KVM's ring. */
static void drain(void)
{
	struct kvm_coalesced_mmio_ring *ring = all.vm->vcpus[0].ring;
	size_t room = (size_t)sysconf(_SC_PAGESIZE) - sizeof(*ring);
	uint32_t entries = (uint32_t)(room / sizeof(ring->coalesced_mmio[0]));

	while (ring && ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		serial_put(all.serial, (char)ring->coalesced_mmio[ring->first].data[0]);
		__atomic_store_n(&ring->first, (ring->first + 1) % entries, __ATOMIC_RELEASE);
	}
}

static enum end refuse(const struct vcpu *vcpu, const char *what, const char *key, uint64_t value)
{
	wire_error(all.serial->wire, what);
	wire_dec(all.serial->wire, "vcpu", vcpu->index);
	wire_hex(all.serial->wire, key, value);
	wire_send(all.serial->wire);
	return END_FAILED;
}

/* Reads of the console are no exits: see make_pl011(). */
static enum end do_mmio(const struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint64_t address = run->mmio.phys_addr;

	if (!run->mmio.is_write || address < BOARD_PL011 || address - BOARD_PL011 >= PL011_SIZE)
		return refuse(vcpu, "guest-mmio", "address", address);
	if (address == BOARD_PL011)
		serial_put(all.serial, (char)run->mmio.data[0]);
	return END_NOT_YET;
}

static enum end handle_exit(const struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		return do_mmio(vcpu);
	case KVM_EXIT_SYSTEM_EVENT:
		if (run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN)
			return END_OFF;
		if (run->system_event.type == KVM_SYSTEM_EVENT_RESET)
			return END_RESET;
		return refuse(vcpu, "guest-system-event", "type", run->system_event.type);
	default:
		return refuse(vcpu, "guest-exit", "reason", run->exit_reason);
	}
}

static enum end handle(const struct vcpu *vcpu, int problem)
{
	drain();
	if (all.serial->full)
		return END_FAILED;	/* it was said why */
	if (!problem)
		return handle_exit(vcpu);
	if (problem == EINTR || problem == EAGAIN)
		return END_NOT_YET;
	send_vcpu_errno(all.serial->wire, "KVM_RUN", vcpu->index, problem);
	return END_FAILED;
}

static void *run_thread(void *argument)
{
	const struct vcpu *vcpu = argument;
	enum end end = END_NOT_YET;

	while (end == END_NOT_YET) {
		int problem = ioctl(vcpu->fd, KVM_RUN, 0) ? errno : 0;

		pthread_mutex_lock(&all.lock);
		if (all.end == END_NOT_YET) {
			all.end = handle(vcpu, problem);
			if (all.end != END_NOT_YET)
				pthread_cond_signal(&all.ended);
		}
		end = all.end;
		pthread_mutex_unlock(&all.lock);
	}
	return NULL;
}

static bool is_past(const struct timespec *until, const struct timespec *now)
{
	return now->tv_sec > until->tv_sec || (now->tv_sec == until->tv_sec && now->tv_nsec >= until->tv_nsec);
}

/* Wait for an end, emptying the console meanwhile; the lock is held. */
static void wait_for_end(unsigned int seconds)
{
	struct timespec now, until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	while (all.end == END_NOT_YET) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (is_past(&until, &now)) {
			all.end = refuse(&all.vm->vcpus[0], "guest-does-not-end", "seconds", seconds);
			return;
		}
		now.tv_nsec += TICK_NSEC;
		now.tv_sec += now.tv_nsec / 1000000000;
		now.tv_nsec %= 1000000000;
		pthread_cond_clockwait(&all.ended, &all.lock, CLOCK_MONOTONIC, &now);
		drain();
		if (all.serial->full && all.end == END_NOT_YET)
			all.end = END_FAILED;
	}
}

/* The flag is looked at before the guest is entered, so that a signal that comes too early is not lost. */
static void stop(unsigned int threads)
{
	for (unsigned int index = 0; index < threads; index++) {
		*(volatile __u8 *)&all.vm->vcpus[index].run->immediate_exit = 1;
		pthread_kill(all.threads[index], SIGUSR1);
	}
	for (unsigned int index = 0; index < threads; index++)
		pthread_join(all.threads[index], NULL);
}

enum end run_together(struct serial *serial, struct vm *vm, unsigned int seconds)
{
	struct sigaction action = { .sa_handler = on_kick };
	unsigned int started = 0;
	int problem = 0;

	all.serial = serial;
	all.vm = vm;
	all.end = END_NOT_YET;
	sigaction(SIGUSR1, &action, NULL);
	pthread_mutex_lock(&all.lock);
	while (started < vm->vcpu_count && !problem) {
		problem = pthread_create(&all.threads[started], NULL, run_thread, &vm->vcpus[started]);
		started += !problem;
	}
	if (problem) {
		send_errno(serial->wire, "pthread_create", problem);
		all.end = END_FAILED;
	}
	wait_for_end(seconds);
	pthread_mutex_unlock(&all.lock);
	stop(started);
	drain();
	return all.end;
}

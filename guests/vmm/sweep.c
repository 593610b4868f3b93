// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Do userspace and a guest see the same caches on every physical CPU?
 *
 * Exists for the kernels before Linux kernel commit 7af0c2534f4c ("KVM: arm64:
 * Normalize cache configuration") (in v6.3): KVM_GET_ONE_REG and KVM_SET_ONE_REG
 * act there on the CPU that the ioctl runs on. On machines with unlike CPUs, such
 * as RK3588 or Apple's M1, a VMM whose threads move between clusters is refused
 * what it has read: "failed to boot CPU1".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>

#include "ccprobe.h"

/* With more, the stream could get longer than WIRE_LINES_MAX. */
#define SWEPT_MAX	256

struct sweep {
	struct wire *wire;
	const char *image;
	unsigned int seconds;
	struct vm vm;
	struct cpus cpus;
	struct reading pinned[SWEPT_MAX][REGISTERS];
};

/* Go to a CPU, and make a machine there that the guest is ready to run on. */
static bool make_ready(struct sweep *sweep, unsigned int cpu)
{
	return pin_to(sweep->wire, cpu) && make_vm(sweep->wire, &sweep->vm, 1) &&
	       load_image(sweep->wire, &sweep->vm, sweep->image) &&
	       start_vcpu(sweep->wire, &sweep->vm.vcpus[0]);
}

/* Look from userspace, then let the guest look, on the CPU where the thread is. */
static bool visit(struct sweep *sweep, const char *phase, unsigned int cpu, struct reading *readings)
{
	const struct vcpu *vcpu = &sweep->vm.vcpus[0];

	for (unsigned int index = 0; index < REGISTERS; index++)
		readings[index] = get_register(vcpu, index);
	wire_line(sweep->wire, "visit");
	wire_str(sweep->wire, "phase", phase);
	wire_dec(sweep->wire, "cpu", cpu);
	add_readings(sweep->wire, "values", readings);
	wire_send(sweep->wire);
	return run_until(sweep->wire, vcpu, sweep->seconds, END_GIVEN_BACK);
}

/* A machine for each CPU, that knows no other one. */
static bool stay(struct sweep *sweep)
{
	for (unsigned int i = 0; i < sweep->cpus.count; i++) {
		unsigned int cpu = sweep->cpus.index[i];

		if (!make_ready(sweep, cpu) || !visit(sweep, "pinned", cpu, sweep->pinned[i]))
			return false;
		destroy_vm(&sweep->vm);
	}
	return true;
}

/* One machine, made on the first CPU, that goes from CPU to CPU and back to the first. */
static bool move(struct sweep *sweep)
{
	unsigned int count = sweep->cpus.count, visits = count > 1 ? count + 1 : 1;
	struct reading readings[REGISTERS];

	if (!make_ready(sweep, sweep->cpus.index[0]))
		return false;
	for (unsigned int i = 0; i < visits; i++) {
		unsigned int cpu = sweep->cpus.index[i % count];

		if (!pin_to(sweep->wire, cpu) || !visit(sweep, "moved", cpu, readings))
			return false;
	}
	destroy_vm(&sweep->vm);
	return true;
}

static void set(struct sweep *sweep, struct pair pair, unsigned int index)
{
	const struct vcpu *vcpu = &sweep->vm.vcpus[0];
	uint64_t value = sweep->pinned[pair.origin][index].value;
	int problem = set_register(vcpu, index, value);
	char name[REGISTER_NAME_MAX];

	name_register(index, name);
	wire_line(sweep->wire, "set");
	wire_dec(sweep->wire, "origin", sweep->cpus.index[pair.origin]);
	wire_dec(sweep->wire, "cpu", sweep->cpus.index[pair.target]);
	wire_str(sweep->wire, "name", name);
	wire_hex(sweep->wire, "value", value);
	if (problem)
		wire_str(sweep->wire, "errno", errno_name(problem));
	wire_key(sweep->wire, "after");
	add_reading(sweep->wire, get_register(vcpu, index));
	wire_send(sweep->wire);
}

/* Give a machine on one CPU what was read on another one, as a VMM does that restores a guest. */
static bool carry(struct sweep *sweep)
{
	struct pair pairs[PAIRS_MAX];
	unsigned int count = choose_pairs(sweep->pinned, sweep->cpus.count, pairs);

	for (unsigned int i = 0; i < count; i++) {
		if (!pin_to(sweep->wire, sweep->cpus.index[pairs[i].target]) ||
		    !make_vm(sweep->wire, &sweep->vm, 1))
			return false;
		for (unsigned int index = 0; index < REGISTERS; index++) {
			if (!sweep->pinned[pairs[i].origin][index].problem)
				set(sweep, pairs[i], index);
		}
		destroy_vm(&sweep->vm);
	}
	return true;
}

/* Leave the thread as free to go anywhere as it was. */
static void sweep_all(struct sweep *sweep)
{
	cpu_set_t before;

	if (sched_getaffinity(0, sizeof(before), &before)) {
		send_errno(sweep->wire, "sched_getaffinity", errno);
		return;
	}
	if (stay(sweep) && move(sweep))
		carry(sweep);
	if (sched_setaffinity(0, sizeof(before), &before))
		send_errno(sweep->wire, "sched_setaffinity", errno);
}

void send_sweep(struct wire *wire, const char *image, unsigned int seconds)
{
	static struct sweep sweep;

	sweep.wire = wire;
	sweep.image = image;
	sweep.seconds = seconds;
	if (!open_kvm(wire, &sweep.vm.kvm)) {
		wire->failed = true;	/* no error of ours: the "kvm" line says why */
		return;
	}
	if (!find_cpus(wire, &sweep.cpus))
		return;
	if (sweep.cpus.count > SWEPT_MAX) {
		wire_error(wire, "too-many-cpus");
		wire_dec(wire, "count", sweep.cpus.count);
		wire_send(wire);
		return;
	}
	wire_line(wire, "cpus");
	wire_dec(wire, "count", sweep.cpus.count);
	wire_send(wire);
	sweep_all(&sweep);
}

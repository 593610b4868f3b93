// SPDX-License-Identifier: GPL-2.0-or-later
/* What each step of a script does, and the result that it sends. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "migrate.h"
#include "script.h"

static void begin_result(struct script *script, unsigned int number, const struct step *step)
{
	wire_line(script->wire, "step");
	wire_dec(script->wire, "step", number);
	wire_str(script->wire, "what", step_name(step->what));
}

static bool make(struct script *script, unsigned int vcpus)
{
	struct vm *vm = &script->slot->vm;

	*script->slot = (struct slot){ .vm.kvm = script->kvm };
	if (!create_vm(script->wire, vm))
		return false;
	script->slot->made = true;
	while (vm->vcpu_count < vcpus) {
		if (!create_vcpu(script->wire, vm))
			return false;
	}
	return true;
}

static void drop(struct slot *slot)
{
	destroy_vm(&slot->vm);
	slot->made = false;
}

static bool unpin(struct script *script)
{
	if (!sched_setaffinity(0, sizeof(script->before), &script->before))
		return true;
	send_errno(script->wire, "sched_setaffinity", errno);
	return false;
}

/* The steps that have just to be done. */
static bool do_step(struct script *script, const struct step *step)
{
	switch (step->what) {
	case STEP_VM:
		return make(script, step->amount);
	case STEP_VCPU:
		return create_vcpu(script->wire, &script->slot->vm) != NULL;
	case STEP_DROP:
		drop(script->slot);
		return true;
	case STEP_LOAD:
		return load_image(script->wire, &script->slot->vm, step->path);
	case STEP_START:
		return start_vcpu(script->wire, script->vcpu);
	case STEP_GIC:	/* KVM runs no vCPU with EL2 without one (kvm_vgic_vcpu_nv_init()) */
		return make_gic(script->wire, &script->slot->vm);
	case STEP_PMU:
		return make_pmu(script->wire, &script->slot->vm);
	case STEP_SAVE:
		return save_vm(script->wire, &script->slot->vm, step->path);
	case STEP_RESTORE:
		return restore_vm(script->wire, &script->slot->vm, (enum way)step->amount, step->path);
	case STEP_PIN:
		return pin_to(script->wire, step->amount);
	default:
		return unpin(script);
	}
}

static void add_problem(struct script *script, int problem)
{
	if (problem)
		wire_str(script->wire, "errno", errno_name(problem));
}

static void init(struct script *script, unsigned int number, const struct step *step)
{
	int problem = init_vcpu(&script->slot->vm, script->vcpu, (uint32_t)step->numbers[0]);

	if (!problem)
		script->slot->initialised[step->vcpu] = true;
	begin_result(script, number, step);
	add_problem(script, problem);
}

static void get(struct script *script, unsigned int number, const struct step *step)
{
	struct reading readings[REGISTERS];

	for (unsigned int index = 0; index < REGISTERS; index++)
		readings[index] = get_register(script->vcpu, index);
	begin_result(script, number, step);
	add_readings(script->wire, "values", readings);
}

static void list(struct script *script, unsigned int number, const struct step *step)
{
	int problem;
	struct kvm_reg_list *list = get_register_list(script->vcpu, &problem);

	if (list)
		send_ids(script->wire, script->vcpu, list);
	begin_result(script, number, step);
	add_problem(script, problem);
	if (list)
		wire_dec(script->wire, "count", list->n);
	free(list);
}

static void set(struct script *script, unsigned int number, const struct step *step)
{
	uint64_t id = step->numbers[0];
	struct reading after;
	int problem;

	look_before_write(script->slot);
	problem = step->what == STEP_SET ? set_id(script->vcpu, id, step->numbers[1]) :
					   set_id_from_nowhere(script->vcpu, id);
	after = get_id(script->vcpu, id);
	look_after_write(script->wire, script->slot, step->vcpu, id);
	begin_result(script, number, step);
	add_problem(script, problem);
	wire_key(script->wire, "after");
	add_reading(script->wire, after);
}

/* What KVM_CHECK_EXTENSION says is 0 for a capability that KVM never heard of. */
static void check(struct script *script, unsigned int number, const struct step *step)
{
	int says = ioctl(script->slot->vm.fd, KVM_CHECK_EXTENSION, (unsigned long)step->amount);
	int problem = says < 0 ? errno : 0;

	begin_result(script, number, step);
	add_problem(script, problem);
	if (!problem)
		wire_dec(script->wire, "says", (uint64_t)says);
}

/* To the machine, or to one vCPU: capabilities of the two are not the same ones. */
static void give(struct script *script, unsigned int number, const struct step *step)
{
	struct kvm_enable_cap enable = { .cap = step->amount, .args = { step->numbers[0] } };
	int fd = step->what == STEP_CAP ? script->slot->vm.fd : script->vcpu->fd;
	int problem = ioctl(fd, KVM_ENABLE_CAP, &enable) ? errno : 0;

	begin_result(script, number, step);
	add_problem(script, problem);
}

static bool run(struct script *script, unsigned int number, const struct step *step)
{
	enum end end = run_vcpu(script->wire, script->vcpu, script->seconds, step->numbers[0]);

	begin_result(script, number, step);
	if (end != END_FAILED)
		wire_str(script->wire, "end", end_name(end));
	return end != END_FAILED;
}

/* Take a step, and leave its result in the wire's line, to be sent. Return false when it said why not. */
bool take_step(struct script *script, unsigned int number, const struct step *step)
{
	switch (step->what) {
	case STEP_INIT:
		init(script, number, step);
		return true;
	case STEP_GET:
		get(script, number, step);
		return true;
	case STEP_GETID:
		begin_result(script, number, step);
		wire_key(script->wire, "value");
		add_reading(script->wire, get_id(script->vcpu, step->numbers[0]));
		return true;
	case STEP_LIST:
		list(script, number, step);
		return true;
	case STEP_SET:
	case STEP_SETBAD:
		set(script, number, step);
		return true;
	case STEP_CAP:
	case STEP_VCPUCAP:
		give(script, number, step);
		return true;
	case STEP_RUN:
		return run(script, number, step);
	case STEP_CHECK:
		check(script, number, step);
		return true;
	default:
		if (!do_step(script, step))
			return false;
		begin_result(script, number, step);
		return true;
	}
}

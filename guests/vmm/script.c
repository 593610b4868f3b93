// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What does KVM do when a VMM does this, then that?
 *
 * Exists so that a new experiment needs no new program: a script is a text file
 * with a step a line, and each step sends exactly one result, with its number. A
 * refusal by KVM is the result of a step that asks for it; where a step that has
 * just to be done cannot be, an error is sent and the script ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "migrate.h"
#include "script.h"

#define SCRIPT_MAX	(1 << 20)
#define STEPS_MAX	16384	/* each is a line of the stream, and some are more */

/* Is there what the step is about? */
static bool find(struct script *script, const struct step *step)
{
	struct vm *vm;

	script->slot = &script->slots[step->slot];
	script->vcpu = &script->slot->vm.vcpus[step->vcpu];
	vm = &script->slot->vm;
	switch (step->what) {
	case STEP_PIN:
		return step->amount < CPUS_MAX;
	case STEP_UNPIN:
		return true;
	case STEP_VM:
		return !script->slot->made && step->amount <= VCPUS_MAX;
	case STEP_VCPU:
		return script->slot->made && vm->vcpu_count < VCPUS_MAX;
	case STEP_DROP:
	case STEP_LOAD:
	case STEP_CHECK:
	case STEP_CAP:
	case STEP_GIC:
	case STEP_SAVE:
		return script->slot->made;
	case STEP_RESTORE:
		return script->slot->made && step->amount < WAYS;
	default:
		return script->slot->made && step->vcpu < vm->vcpu_count;
	}
}

static void send_bad_step(struct wire *wire, const char *what, unsigned int number)
{
	wire_error(wire, what);
	wire_dec(wire, "step", number);
	wire_send(wire);
}

/* What was seen counts for the write behind a write only: any other step may change registers. */
static void forget(struct script *script, enum what what)
{
	for (unsigned int slot = 0; slot < SLOTS && what != STEP_SET && what != STEP_SETBAD; slot++)
		script->slots[slot].known = false;
}

static bool take_line(struct script *script, char *line, unsigned int number)
{
	struct step step;

	if (number > STEPS_MAX || !parse_step(line, &step)) {
		send_bad_step(script->wire, "malformed-step", number);
		return false;
	}
	if (!find(script, &step)) {
		send_bad_step(script->wire, "impossible-step", number);
		return false;
	}
	forget(script, step.what);
	if (!take_step(script, number, &step))
		return false;
	wire_send(script->wire);
	return true;
}

/* Every line ends with a newline, and holds no byte 0. */
static void take_all(struct script *script, char *text, size_t size)
{
	unsigned int number = 0;

	for (char *line = text, *stop = text + size; line < stop; ) {
		char *end = memchr(line, '\n', (size_t)(stop - line));

		number++;
		if (!end || memchr(line, '\0', (size_t)(end - line))) {
			send_bad_step(script->wire, "malformed-step", number);
			return;
		}
		*end = '\0';
		if (!take_line(script, line, number))
			return;
		line = end + 1;
	}
}

void send_script(struct wire *wire, const char *path, unsigned int seconds)
{
	static struct script script;
	char *text = malloc(SCRIPT_MAX);
	long count = text ? read_file(path, text, SCRIPT_MAX) : -ENOMEM;

	script.wire = wire;
	script.seconds = seconds;
	if (!open_kvm(wire, &script.kvm))
		wire->failed = true;	/* no error of ours: the "kvm" line says why */
	else if (count < 0)
		send_errno(wire, "read-script", (int)-count);
	else if (sched_getaffinity(0, sizeof(script.before), &script.before))
		send_errno(wire, "sched_getaffinity", errno);
	else
		take_all(&script, text, (size_t)count);
	free(text);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of "ccprobe script". */
#ifndef CCPROBE_SCRIPT_H
#define CCPROBE_SCRIPT_H

#include <sched.h>

#include "ccprobe.h"

#define SLOTS		2

enum what {
	STEP_VM, STEP_VCPU, STEP_DROP, STEP_INIT, STEP_LOAD, STEP_START, STEP_GET, STEP_GETID, STEP_LIST,
	STEP_SET, STEP_SETBAD, STEP_PIN, STEP_UNPIN, STEP_RUN, STEP_CHECK, STEP_CAP, STEP_VCPUCAP, STEP_GIC,
	STEP_PMU, STEP_SAVE, STEP_RESTORE, STEPS
};

struct step {
	enum what what;
	unsigned int slot, vcpu, amount;
	uint64_t numbers[2];
	unsigned int count;	/* of those */
	const char *path;
};

/* A place for a virtual machine, and what was last seen of it. */
struct slot {
	struct vm vm;
	bool made;
	bool known;	/* "seen" is what the registers of each initialised vCPU are */
	bool initialised[VCPUS_MAX];
	struct reading seen[VCPUS_MAX][REGISTERS];
};

struct script {
	struct wire *wire;
	unsigned int seconds;
	int kvm;
	cpu_set_t before;	/* where the thread could go when it came */
	struct slot slots[SLOTS];
	struct slot *slot;	/* the step's, and its vCPU */
	struct vcpu *vcpu;
};

/* step.c: one step from its line, which is cut into pieces; says nothing */
bool parse_step(char *line, struct step *step);
const char *step_name(enum what what);

/* take.c: do what a step says, and leave its result to be sent; false when it could not, and has said why */
bool take_step(struct script *script, unsigned int number, const struct step *step);

/* writes.c: what moves with a write */
void look_before_write(struct slot *slot);
void look_after_write(struct wire *wire, struct slot *slot, unsigned int written, uint64_t id);

#endif /* CCPROBE_SCRIPT_H */

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A write, and all that it does: whether it is taken, what is there afterwards,
 * and which other register of which vCPU is no longer what it was.
 *
 * Nobody looks before a write that follows another one: what the last look behind
 * that one has seen is what was there.
 */
#define _GNU_SOURCE
#include "script.h"

void look_before_write(struct slot *slot)
{
	for (unsigned int vcpu = 0; vcpu < slot->vm.vcpu_count && !slot->known; vcpu++) {
		for (unsigned int index = 0; index < REGISTERS && slot->initialised[vcpu]; index++)
			slot->seen[vcpu][index] = get_register(&slot->vm.vcpus[vcpu], index);
	}
	slot->known = true;
}

static void send_moved(struct wire *wire, unsigned int vcpu, unsigned int index, struct reading reading)
{
	char name[REGISTER_NAME_MAX];

	name_register(index, name);
	wire_line(wire, "moved");
	wire_dec(wire, "vcpu", vcpu);
	wire_str(wire, "name", name);
	wire_key(wire, "value");
	add_reading(wire, reading);
	wire_send(wire);
}

/* Say what moved, but for the register that was written. */
void look_after_write(struct wire *wire, struct slot *slot, unsigned int written, uint64_t id)
{
	for (unsigned int vcpu = 0; vcpu < slot->vm.vcpu_count; vcpu++) {
		for (unsigned int index = 0; index < REGISTERS && slot->initialised[vcpu]; index++) {
			struct reading *seen = &slot->seen[vcpu][index], before = *seen;

			*seen = get_register(&slot->vm.vcpus[vcpu], index);
			if (seen->value == before.value && seen->problem == before.problem)
				continue;
			if (vcpu != written || register_id(index) != id)
				send_moved(wire, vcpu, index, *seen);
		}
	}
}

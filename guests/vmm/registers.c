// SPDX-License-Identifier: GPL-2.0-or-later
/* What userspace is shown of a vCPU's registers: KVM_GET_ONE_REG and its like. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "ccprobe.h"

#define IDS_MAX		2048
#define IDS_IN_A_LINE	16

static const struct {
	const char *name;
	uint64_t id;
} named[] = {
	{ "CTR_EL0", ARM64_SYS_REG(3, 3, 0, 0, 1) },
	{ "CLIDR_EL1", ARM64_SYS_REG(3, 1, 0, 0, 1) },
	{ "ID_AA64MMFR2_EL1", ARM64_SYS_REG(3, 0, 0, 7, 2) },
};

#define NAMED	(sizeof(named) / sizeof(named[0]))

/* Behind the named ones: seven levels of caches, each with a data and an instruction side. */
_Static_assert(REGISTERS == NAMED + 14, "each register has an index");

static uint64_t register_id(unsigned int index)
{
	if (index < NAMED)
		return named[index].id;
	return KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | KVM_REG_ARM_DEMUX_ID_CCSIDR |
	       (index - NAMED);
}

void name_register(unsigned int index, char name[REGISTER_NAME_MAX])
{
	if (index < NAMED)
		snprintf(name, REGISTER_NAME_MAX, "%s", named[index].name);
	else
		snprintf(name, REGISTER_NAME_MAX, "CCSIDR_EL1[%zu]", index - NAMED);
}

/* KVM moves as many bytes as the id says: 4 or 8 of these, and the host is little-endian. */
static int move_register(const struct vcpu *vcpu, unsigned long request, unsigned int index, uint64_t *value)
{
	struct kvm_one_reg reg = { .id = register_id(index), .addr = (uintptr_t)value };

	return ioctl(vcpu->fd, request, &reg) ? errno : 0;
}

struct reading get_register(const struct vcpu *vcpu, unsigned int index)
{
	struct reading reading = { 0 };

	reading.problem = move_register(vcpu, KVM_GET_ONE_REG, index, &reading.value);
	return reading;
}

int set_register(const struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	return move_register(vcpu, KVM_SET_ONE_REG, index, &value);
}

void send_registers(struct wire *wire, const struct vcpu *vcpu)
{
	char name[REGISTER_NAME_MAX];

	for (unsigned int index = 0; index < REGISTERS; index++) {
		struct reading reading = get_register(vcpu, index);

		name_register(index, name);
		wire_line(wire, "reg");
		wire_dec(wire, "vcpu", vcpu->index);
		wire_str(wire, "name", name);
		if (reading.problem)
			wire_str(wire, "errno", errno_name(reading.problem));
		else
			wire_hex(wire, "value", reading.value);
		wire_send(wire);
	}
}

static void send_ids(struct wire *wire, const struct vcpu *vcpu, const struct kvm_reg_list *list)
{
	char ids[IDS_IN_A_LINE * 20];

	for (uint64_t at = 0; at < list->n; at += IDS_IN_A_LINE) {
		int used = 0;

		for (uint64_t i = at; i < list->n && i < at + IDS_IN_A_LINE; i++)
			used += snprintf(ids + used, sizeof(ids) - (size_t)used, "%s0x%llx",
					 i == at ? "" : ",", (unsigned long long)list->reg[i]);
		wire_line(wire, "ids");
		wire_dec(wire, "vcpu", vcpu->index);
		wire_dec(wire, "at", at);
		wire_str(wire, "ids", ids);
		wire_send(wire);
	}
}

void send_register_list(struct wire *wire, const struct vcpu *vcpu)
{
	struct kvm_reg_list *list = calloc(1, sizeof(*list) + IDS_MAX * sizeof(list->reg[0]));

	if (!list) {
		send_vcpu_errno(wire, "KVM_GET_REG_LIST", vcpu->index, ENOMEM);
		return;
	}
	list->n = IDS_MAX;
	if (ioctl(vcpu->fd, KVM_GET_REG_LIST, list)) {
		send_vcpu_errno(wire, "KVM_GET_REG_LIST", vcpu->index, errno);
	} else {
		wire_line(wire, "list");
		wire_dec(wire, "vcpu", vcpu->index);
		wire_dec(wire, "count", list->n);
		wire_send(wire);
		send_ids(wire, vcpu, list);
	}
	free(list);
}

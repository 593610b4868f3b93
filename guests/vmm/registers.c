// SPDX-License-Identifier: GPL-2.0-or-later
/* What userspace is shown of a vCPU's registers: KVM_GET_ONE_REG and its like. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

uint64_t register_id(unsigned int index)
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

static uint64_t buffer[REGISTER_VALUE_MAX / sizeof(uint64_t)];

_Static_assert(KVM_REG_SIZE(KVM_REG_SIZE_MASK) == sizeof(buffer), "every id's value fits");

int move_register(const struct vcpu *vcpu, unsigned long request, uint64_t id, const void *at)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)at };

	return ioctl(vcpu->fd, request, &reg) ? errno : 0;
}

static struct reading get(const struct vcpu *vcpu, uint64_t id, uint64_t *value)
{
	struct reading reading = { 0 };

	*value = 0;
	reading.problem = move_register(vcpu, KVM_GET_ONE_REG, id, value);
	if (!reading.problem)
		reading.value = *value;	/* the host is little-endian */
	return reading;
}

/* Of a longer value this is the first 8 bytes. */
struct reading get_id(const struct vcpu *vcpu, uint64_t id)
{
	return get(vcpu, id, buffer);
}

int set_id(const struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	memset(buffer, 0, KVM_REG_SIZE(id));
	buffer[0] = value;
	return move_register(vcpu, KVM_SET_ONE_REG, id, buffer);
}

/* Nobody can map the first page (vm.mmap_min_addr). */
int set_id_from_nowhere(const struct vcpu *vcpu, uint64_t id)
{
	return move_register(vcpu, KVM_SET_ONE_REG, id, (void *)8);
}

struct reading get_register(const struct vcpu *vcpu, unsigned int index)
{
	uint64_t value;	/* of 4 or 8 bytes */

	return get(vcpu, register_id(index), &value);
}

int set_register(const struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	return set_id(vcpu, register_id(index), value);
}

void add_reading(struct wire *wire, struct reading reading)
{
	if (reading.problem)
		wire_raw(wire, errno_name(reading.problem));
	else
		wire_0x(wire, reading.value);
}

void add_readings(struct wire *wire, const char *key, const struct reading readings[REGISTERS])
{
	wire_key(wire, key);
	for (unsigned int index = 0; index < REGISTERS; index++) {
		if (index)
			wire_char(wire, ',');
		add_reading(wire, readings[index]);
	}
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

void send_ids(struct wire *wire, const struct vcpu *vcpu, const struct kvm_reg_list *list)
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

/* To be freed; NULL where it cannot be had, and why. */
struct kvm_reg_list *get_register_list(const struct vcpu *vcpu, int *problem)
{
	struct kvm_reg_list *list = calloc(1, sizeof(*list) + IDS_MAX * sizeof(list->reg[0]));

	*problem = list ? 0 : ENOMEM;
	if (!list)
		return NULL;
	list->n = IDS_MAX;
	if (!ioctl(vcpu->fd, KVM_GET_REG_LIST, list))
		return list;
	*problem = errno;
	free(list);
	return NULL;
}

void send_register_list(struct wire *wire, const struct vcpu *vcpu)
{
	int problem;
	struct kvm_reg_list *list = get_register_list(vcpu, &problem);

	if (!list) {
		send_vcpu_errno(wire, "KVM_GET_REG_LIST", vcpu->index, problem);
		return;
	}
	wire_line(wire, "list");
	wire_dec(wire, "vcpu", vcpu->index);
	wire_dec(wire, "count", list->n);
	wire_send(wire);
	send_ids(wire, vcpu, list);
	free(list);
}

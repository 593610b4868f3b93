// SPDX-License-Identifier: GPL-2.0-or-later
/* What userspace is shown of a vCPU's registers: KVM_GET_ONE_REG and KVM_GET_REG_LIST. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "ccprobe.h"

#define SELECTORS	14	/* seven levels, each with a data and an instruction side */
#define IDS_MAX		2048
#define IDS_IN_A_LINE	16

static const struct {
	const char *name;
	uint64_t id;
} registers[] = {
	{ "CTR_EL0", ARM64_SYS_REG(3, 3, 0, 0, 1) },
	{ "CLIDR_EL1", ARM64_SYS_REG(3, 1, 0, 0, 1) },
	{ "ID_AA64MMFR2_EL1", ARM64_SYS_REG(3, 0, 0, 7, 2) },
};

static void send_register(struct wire *wire, const struct vcpu *vcpu, const char *name, uint64_t id)
{
	uint32_t narrow = 0;
	uint64_t wide = 0;
	bool is_wide = (id & KVM_REG_SIZE_MASK) == KVM_REG_SIZE_U64;
	struct kvm_one_reg reg = {
		.id = id,
		.addr = is_wide ? (uintptr_t)&wide : (uintptr_t)&narrow,
	};
	int problem = ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg) ? errno : 0;

	wire_line(wire, "reg");
	wire_dec(wire, "vcpu", vcpu->index);
	wire_str(wire, "name", name);
	if (problem)
		wire_str(wire, "errno", errno_name(problem));
	else
		wire_hex(wire, "value", is_wide ? wide : narrow);
	wire_send(wire);
}

void send_registers(struct wire *wire, const struct vcpu *vcpu)
{
	char name[32];

	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		send_register(wire, vcpu, registers[i].name, registers[i].id);
	for (unsigned int selector = 0; selector < SELECTORS; selector++) {
		snprintf(name, sizeof(name), "CCSIDR_EL1[%u]", selector);
		send_register(wire, vcpu, name,
			      KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX |
			      KVM_REG_ARM_DEMUX_ID_CCSIDR | selector);
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

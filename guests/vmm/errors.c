// SPDX-License-Identifier: GPL-2.0-or-later
/* Failures by name: "error what=KVM_CREATE_VM errno=EINVAL". */
#define _GNU_SOURCE
#include <string.h>

#include "ccprobe.h"

const char *errno_name(int number)
{
	const char *name = strerrorname_np(number);

	return name ? name : "EUNNAMED";
}

void send_errno(struct wire *wire, const char *what, int number)
{
	wire_error(wire, what);
	wire_str(wire, "errno", errno_name(number));
	wire_send(wire);
}

void send_vcpu_errno(struct wire *wire, const char *what, unsigned int vcpu, int number)
{
	wire_error(wire, what);
	wire_dec(wire, "vcpu", vcpu);
	wire_str(wire, "errno", errno_name(number));
	wire_send(wire);
}

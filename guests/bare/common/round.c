// SPDX-License-Identifier: GPL-2.0-or-later
/* All registers in a few lines, for guests that read them again and again. */
#include "guest.h"

static void begin_values(struct wire *wire, unsigned int el, unsigned int at)
{
	wire_line(wire, "regs");
	wire_dec(wire, "el", el);
	wire_dec(wire, "at", at);
	wire_key(wire, "values");
}

void add_reading(struct wire *wire, struct reading reading)
{
	if (reading.esr)
		wire_char(wire, '!');
	wire_0x(wire, reading.esr ? reading.esr : reading.value);
}

void send_round(struct wire *wire)
{
	for (unsigned int at = 0; at < REGISTERS; at += VALUES_IN_A_LINE) {
		begin_values(wire, 1, at);
		for (unsigned int i = at; i < REGISTERS && i < at + VALUES_IN_A_LINE; i++) {
			if (i > at)
				wire_char(wire, ',');
			add_reading(wire, read_register(i));
		}
		wire_send(wire);
	}
	begin_values(wire, 0, 0);
	add_reading(wire, read_ctr_at_el0());
	wire_send(wire);
}

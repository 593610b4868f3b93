// SPDX-License-Identifier: GPL-2.0-or-later
/* All registers in a few lines, for guests that read them again and again. */
#include "guest.h"

void add_reading(struct wire *wire, struct reading reading)
{
	if (reading.esr)
		wire_char(wire, '!');
	wire_0x(wire, reading.esr ? reading.esr : reading.value);
}

void read_round(struct round *round)
{
	for (unsigned int index = 0; index < REGISTERS; index++)
		round->el1[index] = read_register(index);
	round->el0[0] = read_ctr_at_el0();
}

static void send_values(struct wire *wire, const char *kind, unsigned int el, const struct reading *values,
			unsigned int count)
{
	for (unsigned int at = 0; at < count; at += VALUES_IN_A_LINE) {
		wire_line(wire, kind);
		wire_dec(wire, "el", el);
		wire_dec(wire, "at", at);
		wire_key(wire, "values");
		for (unsigned int i = at; i < count && i < at + VALUES_IN_A_LINE; i++) {
			if (i > at)
				wire_char(wire, ',');
			add_reading(wire, values[i]);
		}
		wire_send(wire);
	}
}

void send_read(struct wire *wire, const char *kind, const struct round *round)
{
	send_values(wire, kind, 1, round->el1, REGISTERS);
	send_values(wire, kind, 0, round->el0, 1);
}

void send_round(struct wire *wire)
{
	struct round round;

	read_round(&round);
	send_read(wire, "regs", &round);
}

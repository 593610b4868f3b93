// SPDX-License-Identifier: GPL-2.0-or-later
/* What a guest writes to its console, line by line into the stream; bounded, otherwise as it comes. */
#include "ccprobe.h"

#define GUEST_LINES_MAX	512

static void refuse(struct console *console, const char *what)
{
	console->full = true;
	wire_error(console->wire, what);
	wire_dec(console->wire, "vcpu", console->vcpu);
	wire_send(console->wire);
}

static bool take_one(struct console *console)
{
	if (++console->lines > GUEST_LINES_MAX)
		refuse(console, "guest-says-too-much");
	return !console->full;
}

void console_put(struct console *console, char c)
{
	if (console->full)
		return;
	if (c != '\n') {
		/* one byte of the bound is the newline's */
		if (console->used == sizeof(console->line) - 1)
			refuse(console, "guest-line-too-long");
		else
			console->line[console->used++] = c;
		return;
	}
	if (!take_one(console))
		return;
	wire_line(console->wire, "guest");
	wire_dec(console->wire, "vcpu", console->vcpu);
	wire_bytes(console->wire, "line", console->line, console->used);
	wire_send(console->wire);
	console->used = 0;
}

/* What a guest without a console says. */
void console_value(struct console *console, uint32_t value)
{
	if (console->full || !take_one(console))
		return;
	wire_line(console->wire, "value");
	wire_dec(console->wire, "vcpu", console->vcpu);
	wire_hex(console->wire, "value", value);
	wire_send(console->wire);
}

/* The guest has ended: what it left without a newline is kept (as much as fits), and is an error. */
bool console_end(struct console *console)
{
	unsigned int kept = console->used < WIRE_TEXT_CHUNK ? console->used : WIRE_TEXT_CHUNK;

	if (!console->used || console->full)
		return !console->full;
	wire_error(console->wire, "guest-line-unfinished");
	wire_dec(console->wire, "vcpu", console->vcpu);
	wire_bytes(console->wire, "line", console->line, kept);
	wire_send(console->wire);
	return false;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A Linux guest's console: what our init says in it goes on line by line, of the kernel's own
 * words the last ones are kept. Bounded, whatever the guest does.
 */
#include <string.h>

#include "board.h"
#include "ccprobe.h"

#define SAID_MAX	512		/* lines of our init */
#define LINES_MAX	1024		/* lines of its kernel */
#define BYTES_MAX	(1U << 16)	/* of everything: a kernel in good health says 2 KiB */

static void refuse(struct serial *serial)
{
	serial->full = true;
	wire_error(serial->wire, "guest-says-too-much");
	wire_dec(serial->wire, "vcpu", 0);
	wire_send(serial->wire);
}

/* Return the length of what stands before a message: "[    0.000000] ", "[    T1] ". */
static size_t prefix(const struct serial *serial)
{
	const char *closed = serial->line[0] == '[' ? memchr(serial->line, ']', serial->used) : NULL;
	size_t length = closed ? (size_t)(closed - serial->line) + 2 : 0;

	return length < serial->used ? length : 0;
}

static void take_line(struct serial *serial)
{
	size_t before = prefix(serial), mark = before + sizeof(LINUX_MARK) - 1;

	if (serial->used >= mark && !memcmp(serial->line + before, LINUX_MARK, mark - before)) {
		if (++serial->said > SAID_MAX) {
			refuse(serial);
			return;
		}
		wire_line(serial->wire, "guest");
		wire_dec(serial->wire, "vcpu", 0);
		wire_bytes(serial->wire, "line", serial->line + mark, serial->used - mark);
		wire_send(serial->wire);
	} else if (serial->lines == LINES_MAX) {
		refuse(serial);
	} else if (serial->used) {
		struct serial_line *kept = &serial->kept[serial->lines++ % SERIAL_KEPT];

		kept->length = serial->used < WIRE_TEXT_CHUNK ? serial->used : WIRE_TEXT_CHUNK;
		memcpy(kept->text, serial->line, kept->length);
	}
}

/* One byte that the guest writes; what does not fit into a line is left out. */
void serial_put(struct serial *serial, char c)
{
	if (serial->full || c == '\r')
		return;
	if (++serial->bytes > BYTES_MAX) {
		refuse(serial);
		return;
	}
	if (c != '\n') {
		if (serial->used < sizeof(serial->line))
			serial->line[serial->used++] = c;
		return;
	}
	take_line(serial);
	serial->used = 0;
}

/* Send the kernel's last words, half a line included. */
void serial_end(struct serial *serial)
{
	unsigned int first;

	if (serial->used)
		take_line(serial);
	serial->used = 0;
	first = serial->lines > SERIAL_KEPT ? serial->lines - SERIAL_KEPT : 0;
	for (unsigned int line = first; line < serial->lines; line++) {
		const struct serial_line *kept = &serial->kept[line % SERIAL_KEPT];

		wire_line(serial->wire, "console");
		wire_bytes(serial->wire, "line", kept->text, kept->length);
		wire_send(serial->wire);
	}
}

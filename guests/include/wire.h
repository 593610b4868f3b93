/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wire format: how every program under guests/ says what it saw.
 *
 *	@begin ccsight 1 PROGRAM
 *	KIND n=1 key=value key=value ...
 *	KIND n=2 ...
 *	@end 2
 *
 * - Printable ASCII, one '\n' at the end of every line, single spaces.
 * - "n" comes first and counts from 1, so that a lost, repeated or moved line
 *   shows at that line; "@end" repeats the last one, so that a cut shows, too.
 * - KIND is [a-z]+, a key is [a-z]+ and occurs once in a line.
 * - In a value, every byte outside 0x21..0x7e, and '%', is written %XX (upper
 *   case); nothing else may be. So there is one way to write a line, not two.
 * - Numbers: hexadecimal ones as 0x1f (lower case, no leading zeros), counts
 *   and errno-free indices in decimal.
 * - A line has at most WIRE_LINE_MAX bytes with its newline, a stream at most
 *   WIRE_LINES_MAX lines. A line of a bare guest has at most
 *   WIRE_GUEST_LINE_MAX: ccprobe wraps it into a line of its own, where every
 *   byte may become three.
 * - "error what=..." means that the sender could not do its job; the stream is
 *   well-formed and still ends with "@end".
 *
 * The kinds of each program are listed in guests/README.md. Any change that
 * an old reader would notice raises WIRE_VERSION.
 *
 * This writer needs no libc: ccprobe, the bare guests and our kernel module share it.
 */
#ifndef CCSIGHT_WIRE_H
#define CCSIGHT_WIRE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#define WIRE_VERSION		1
#define WIRE_LINE_MAX		512
#define WIRE_GUEST_LINE_MAX	160
#define WIRE_LINES_MAX		32768	/* thousands of writes; "ccprobe sweep" of 256 CPUs takes 5058 */
/* Bytes of a text that go into one line, whatever they are. */
#define WIRE_TEXT_CHUNK		128

struct wire {
	void (*put)(const char *line, unsigned int length);
	unsigned int limit;	/* bytes in a line, with its newline */
	unsigned int lines;	/* sent since "@begin" */
	unsigned int used;
	bool too_long;
	bool failed;		/* an "error" line was sent */
	char line[WIRE_LINE_MAX];
};

static inline void wire_char(struct wire *wire, char c)
{
	if (wire->used + 1 < wire->limit)
		wire->line[wire->used++] = c;
	else
		wire->too_long = true;
}

static inline void wire_raw(struct wire *wire, const char *s)
{
	while (*s)
		wire_char(wire, *s++);
}

static inline void wire_digits(struct wire *wire, uint64_t value, unsigned int base)
{
	char digits[20];
	unsigned int count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (count)
		wire_char(wire, digits[--count]);
}

static inline void wire_key(struct wire *wire, const char *key)
{
	wire_char(wire, ' ');
	wire_raw(wire, key);
	wire_char(wire, '=');
}

/* A number alone, as an item of a list. */
static inline void wire_0x(struct wire *wire, uint64_t value)
{
	wire_raw(wire, "0x");
	wire_digits(wire, value, 16);
}

static inline void wire_hex(struct wire *wire, const char *key, uint64_t value)
{
	wire_key(wire, key);
	wire_0x(wire, value);
}

static inline void wire_dec(struct wire *wire, const char *key, uint64_t value)
{
	wire_key(wire, key);
	wire_digits(wire, value, 10);
}

static inline void wire_bytes(struct wire *wire, const char *key, const void *bytes, size_t count)
{
	const unsigned char *byte = bytes;

	wire_key(wire, key);
	for (; count; count--, byte++) {
		if (*byte > 0x20 && *byte < 0x7f && *byte != '%') {
			wire_char(wire, (char)*byte);
			continue;
		}
		wire_char(wire, '%');
		wire_char(wire, "0123456789ABCDEF"[*byte >> 4]);
		wire_char(wire, "0123456789ABCDEF"[*byte & 15]);
	}
}

static inline void wire_str(struct wire *wire, const char *key, const char *s)
{
	size_t count = 0;

	while (s[count])
		count++;
	wire_bytes(wire, key, s, count);
}

/* Start a line; whatever was begun before and not sent is dropped. */
static inline void wire_line(struct wire *wire, const char *kind)
{
	wire->used = 0;
	wire->too_long = false;
	wire_raw(wire, kind);
	wire_dec(wire, "n", wire->lines + 1);
}

/* Start a line that says what could not be done. */
static inline void wire_error(struct wire *wire, const char *what)
{
	wire->failed = true;
	wire_line(wire, "error");
	wire_str(wire, "what", what);
}

static inline void wire_flush(struct wire *wire)
{
	wire->line[wire->used++] = '\n';
	wire->put(wire->line, wire->used);
}

/*
 * End a line and send it. One that does not fit is replaced by an error, never
 * cut; beyond the bound on lines, one error is sent and then nothing.
 */
static inline void wire_send(struct wire *wire)
{
	if (wire->lines >= WIRE_LINES_MAX)
		return;
	if (wire->lines == WIRE_LINES_MAX - 1)
		wire_error(wire, "too-many-lines");
	else if (wire->too_long)
		wire_error(wire, "line-too-long");
	wire_flush(wire);
	wire->lines++;
}

/* Send bytes of any length: "text name=NAME at=OFFSET value=..." as often as needed. */
static inline void wire_text(struct wire *wire, const char *name, const char *bytes, size_t count)
{
	size_t at = 0;

	do {
		size_t left = count - at;

		wire_line(wire, "text");
		wire_str(wire, "name", name);
		wire_dec(wire, "at", at);
		wire_bytes(wire, "value", bytes + at, left < WIRE_TEXT_CHUNK ? left : WIRE_TEXT_CHUNK);
		wire_send(wire);
		at += WIRE_TEXT_CHUNK;
	} while (at < count);
}

static inline void wire_begin(struct wire *wire, void (*put)(const char *, unsigned int),
			      unsigned int limit, const char *program)
{
	wire->put = put;
	wire->limit = limit;
	wire->lines = 0;
	wire->failed = false;
	wire->used = 0;
	wire_raw(wire, "@begin ccsight ");
	wire_digits(wire, WIRE_VERSION, 10);
	wire_char(wire, ' ');
	wire_raw(wire, program);
	wire_flush(wire);
}

static inline void wire_end(struct wire *wire)
{
	wire->used = 0;
	wire_raw(wire, "@end ");
	wire_digits(wire, wire->lines, 10);
	wire_flush(wire);
}

#endif /* CCSIGHT_WIRE_H */

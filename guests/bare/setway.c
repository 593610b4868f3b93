// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a guest that cleans its caches by set and way get to an end?
 *
 * Exists for Linux kernel commit 7af0c2534f4c ("KVM: arm64: Normalize cache
 * configuration") (in v6.3): boot loaders and small operating systems take the
 * bounds of these loops from CLIDR_EL1 and CCSIDR_EL1, and each operation in them
 * is a trap. Here the first few of each cache are done, and all are counted.
 */
#include "guest.h"

#define LEVELS		7
#define CTYPE_DATA	2		/* CLIDR_EL1.Ctype: from here on there is a data side, or a unified cache */
#define ISSUED_MAX	32		/* operations, of each cache: the loop goes on without them */
#define COUNTED_MAX	(1UL << 20)	/* 64 MiB of 64 bytes a line; a longer loop is given up */

#define MMFR2_CCIDX	20

const char guest_name[] = "setway";

/* What CCSIDR_EL1 says of a cache, as counts; the shifts are those of DC CISW's operand. */
struct shape {
	uint64_t sets, ways;
	unsigned int set_shift, way_shift;
};

struct loop {
	uint64_t count;
	uint64_t esr;
	bool ended;
};

static struct shape shape_of(uint64_t ccsidr, bool ccidx)
{
	struct shape shape = {
		.sets = (ccidx ? ccsidr >> 32 & 0xffffff : ccsidr >> 13 & 0x7fff) + 1,
		.ways = (ccidx ? ccsidr >> 3 & 0x1fffff : ccsidr >> 3 & 0x3ff) + 1,
		.set_shift = (ccsidr & 7) + 4,
		.way_shift = 31,	/* of one way, whose number is 0 */
	};

	if (shape.ways > 1)
		shape.way_shift = (unsigned int)__builtin_clz((uint32_t)shape.ways - 1);
	return shape;
}

static uint64_t clean(uint64_t operand)
{
	fault_arm();
	asm volatile("dc cisw, %0" :: "r"(operand) : "memory");
	return fault_disarm();
}

/* As an operating system does it: way by way, set by set. */
static struct loop clean_level(unsigned int level, struct shape shape)
{
	struct loop loop = { 0, 0, false };

	for (uint64_t way = 0; way < shape.ways; way++) {
		for (uint64_t set = 0; set < shape.sets; set++) {
			if (loop.count == COUNTED_MAX)
				return loop;
			if (loop.count++ < ISSUED_MAX)
				loop.esr = clean(way << shape.way_shift | set << shape.set_shift |
						 (uint64_t)level << 1);
			if (loop.esr)
				return loop;
		}
	}
	loop.ended = true;
	return loop;
}

static void send_loop(struct wire *wire, unsigned int level, struct loop loop)
{
	wire_line(wire, "loop");
	wire_dec(wire, "level", level + 1);
	wire_hex(wire, "count", loop.count);
	if (loop.esr)
		wire_hex(wire, "esr", loop.esr);
	else
		wire_dec(wire, "ended", loop.ended);
	wire_send(wire);
}

static struct reading send_register(struct wire *wire, unsigned int index)
{
	struct reading reading = read_register(index);
	char name[REGISTER_NAME_MAX];

	name_register(index, name);
	send_reading(wire, 1, name, reading);
	return reading;
}

void guest_main(struct wire *wire)
{
	uint64_t clidr = send_register(wire, REGISTER_CLIDR).value;
	bool ccidx = send_register(wire, REGISTER_MMFR2).value >> MMFR2_CCIDX & 15;
	unsigned int coherence = clidr >> 24 & 7;

	for (unsigned int level = 0; level < LEVELS && level < coherence; level++) {
		if ((clidr >> 3 * level & 7) < CTYPE_DATA)
			continue;
		send_loop(wire, level,
			  clean_level(level, shape_of(send_register(wire, REGISTER_CCSIDR + 2 * level).value,
						      ccidx)));
	}
}

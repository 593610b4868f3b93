// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens around guest_main(): the console, the frame of the stream, and
 * the report of an exception that nobody expected.
 */
#include "board.h"
#include "guest.h"

#define PL011_DR	BOARD_PL011
#define PL011_FR	(BOARD_PL011 + 0x18)
#define PL011_FR_TXFE	(1U << 7)
#define PL011_LCR_H	(BOARD_PL011 + 0x2c)
#define PL011_LCR_H_8N1	(3U << 5 | 1U << 4)	/* 8 bits, FIFO on */
#define PL011_FIFO	16

void guest_start(unsigned long el);
void guest_unexpected(uint64_t esr, uint64_t elr, uint64_t far) __attribute__((noreturn));
void turn_off(void) __attribute__((noreturn));
void park(void) __attribute__((noreturn));

/* Each access is an exit to the VMM: fill an empty FIFO instead of asking before every byte. */
static void console(const char *line, unsigned int length)
{
	for (unsigned int sent = 0; sent < length; sent++) {
		while (sent % PL011_FIFO == 0 && !(*(volatile uint32_t *)PL011_FR & PL011_FR_TXFE))
			;
		*(volatile uint32_t *)PL011_DR = (unsigned char)line[sent];
	}
}

void send_reading(struct wire *wire, unsigned int el, const char *name, struct reading reading)
{
	wire_line(wire, "reg");
	wire_dec(wire, "el", el);
	wire_str(wire, "name", name);
	if (reading.esr)
		wire_hex(wire, "esr", reading.esr);
	else
		wire_hex(wire, "value", reading.value);
	wire_send(wire);
}

static void begin_stream(struct wire *wire)
{
	uint64_t mpidr;

	asm volatile("mrs %0, mpidr_el1" : "=r"(mpidr));
	wire_begin(wire, console, WIRE_GUEST_LINE_MAX, guest_name);
	wire_line(wire, "vcpu");
	wire_hex(wire, "mpidr", mpidr);
	wire_send(wire);
}

/* QEMU answers an access to nobody's address with an abort. */
void next_round(struct wire *wire)
{
	wire_end(wire);
	fault_arm();
	asm volatile("str wzr, [%0]" :: "r"(BOARD_GIVE_BACK) : "memory");
	if (fault_disarm())
		turn_off();
	begin_stream(wire);
}

void guest_start(unsigned long el)
{
	struct wire wire;

	*(volatile uint32_t *)PL011_LCR_H = PL011_LCR_H_8N1;
	begin_stream(&wire);
	this_vcpu()->wire = &wire;
	if (el == 1) {
		guest_main(&wire);
	} else {
		wire_error(&wire, "entered-at-el");
		wire_dec(&wire, "el", el);
		wire_send(&wire);
	}
	wire_end(&wire);
	if (el != 1)
		park();
}

/* End the stream with an error; an exception on the way there, or before the stream, ends all. */
void guest_unexpected(uint64_t esr, uint64_t elr, uint64_t far)
{
	struct wire *wire = this_vcpu()->wire;

	this_vcpu()->wire = NULL;
	if (!wire)
		turn_off();
	wire_error(wire, "unexpected-exception");
	wire_hex(wire, "esr", esr);
	wire_hex(wire, "elr", elr);
	wire_hex(wire, "far", far);
	wire_send(wire);
	wire_end(wire);
	turn_off();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens around guest_main(): the console, the frame of the stream, and
 * the report of an exception that nobody expected.
 */
#include "board.h"
#include "guest.h"

_Static_assert(sizeof(struct vcpu) == VCPU_SIZE, "start.S makes room for it");

#define PL011_DR	0x00
#define PL011_FR	0x18
#define PL011_FR_TXFE	(1U << 7)
#define PL011_LCR_H	0x2c
#define PL011_LCR_H_8N1	(3U << 5 | 1U << 4)	/* 8 bits, FIFO on */
#define PL011_FIFO	16

/* Of an 8250, by the number of the register. */
#define UART8250_THR	0
#define UART8250_LCR	3
#define UART8250_LCR_8N1	0x03
#define UART8250_LSR	5
#define UART8250_LSR_THRE	0x20

/* Below, virtual machines have devices, some of which act on being read. */
#define MEMORY_MIN	0x40000000UL

void guest_start(unsigned long el, const unsigned char *tree);
void guest_unexpected(uint64_t esr, uint64_t elr, uint64_t far) __attribute__((noreturn));
void turn_off(void) __attribute__((noreturn));
void park(void) __attribute__((noreturn));

static volatile uint32_t *pl011(unsigned int offset)
{
	return (volatile uint32_t *)(this_vcpu()->uart.base + offset);
}

static volatile unsigned char *uart8250(unsigned int number)
{
	const struct uart *uart = &this_vcpu()->uart;

	return (volatile unsigned char *)(uart->base + ((uint64_t)number << uart->shift));
}

/* Each access is an exit to the VMM: fill an empty FIFO instead of asking before every byte. */
static void pl011_put(const char *line, unsigned int length)
{
	for (unsigned int sent = 0; sent < length; sent++) {
		while (sent % PL011_FIFO == 0 && !(*pl011(PL011_FR) & PL011_FR_TXFE))
			;
		*pl011(PL011_DR) = (unsigned char)line[sent];
	}
}

static void uart8250_put(const char *line, unsigned int length)
{
	for (unsigned int sent = 0; sent < length; sent++) {
		while (!(*uart8250(UART8250_LSR) & UART8250_LSR_THRE))
			;
		*uart8250(UART8250_THR) = (unsigned char)line[sent];
	}
}

static void board_put(const char *line, unsigned int length)
{
	for (unsigned int sent = 0; sent < length; sent += BOARD_TEXT_SIZE) {
		uint64_t text = 0;

		for (unsigned int i = 0; i < BOARD_TEXT_SIZE && sent + i < length; i++)
			text |= (uint64_t)(unsigned char)line[sent + i] << 8 * i;
		asm volatile("str %0, [%1]" :: "r"(text), "r"(BOARD_TEXT) : "memory");
	}
}

static void console(const char *line, unsigned int length)
{
	if (this_vcpu()->uart.kind == UART_BOARD)
		board_put(line, length);
	else if (this_vcpu()->uart.kind == UART_8250)
		uart8250_put(line, length);
	else
		pl011_put(line, length);
}

/* How many bytes of a device tree are at an address that may be anything; 0 when it is none. */
static uint32_t readable_tree(const unsigned char *tree)
{
	uint32_t size;

	if ((uintptr_t)tree < MEMORY_MIN || (uintptr_t)tree % 8)
		return 0;
	fault_arm();
	size = tree_size(tree);
	if (fault_disarm() || !size)
		return 0;
	fault_arm();
	(void)*(const volatile unsigned char *)(tree + size - 1);
	return fault_disarm() ? 0 : size;
}

/* QEMU answers an access to nobody's address with an abort. */
static bool takes_text(void)
{
	fault_arm();
	asm volatile("str xzr, [%0]" :: "r"(BOARD_TEXT) : "memory");
	return !fault_disarm();
}

/* The console of the device tree; of the board that ccprobe and QEMU make, where there is none. */
static void open_console(unsigned long el, const unsigned char *tree)
{
	struct uart *uart = &this_vcpu()->uart;
	uint32_t size = el == 1 ? readable_tree(tree) : 0;	/* elsewhere a fault would be the end */

	if (!size || !tree_console(tree, size, uart)) {
		uart->base = BOARD_PL011;
		uart->kind = el == 1 && takes_text() ? UART_BOARD : UART_PL011;
	}
	if (uart->kind == UART_8250)
		*uart8250(UART8250_LCR) = UART8250_LCR_8N1;
	else if (uart->kind == UART_PL011)
		*pl011(PL011_LCR_H) = PL011_LCR_H_8N1;
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

void begin_stream(struct wire *wire)
{
	uint64_t mpidr;

	asm volatile("mrs %0, mpidr_el1" : "=r"(mpidr));
	wire_begin(wire, console, WIRE_GUEST_LINE_MAX, guest_name);
	wire_line(wire, "vcpu");
	wire_hex(wire, "mpidr", mpidr);
	wire_send(wire);
}

/* QEMU answers an access to nobody's address with an abort. */
bool give_back(void)
{
	fault_arm();
	asm volatile("str wzr, [%0]" :: "r"(BOARD_GIVE_BACK) : "memory");
	return !fault_disarm();
}

void next_round(struct wire *wire)
{
	wire_end(wire);
	if (!give_back())
		turn_off();
	begin_stream(wire);
}

void guest_start(unsigned long el, const unsigned char *tree)
{
	struct wire wire;

	open_console(el, tree);
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

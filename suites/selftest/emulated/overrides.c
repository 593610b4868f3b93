// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the plugin override every MRS that is executed, and none that traps?
 *
 * A bare-metal program for an emulated CPU at EL2, without KVM. Each line that it
 * prints is "NAME VALUE"; what should stand there is for the test to say. It
 * provokes what an override could lose its value or its way by: the end of a page,
 * interrupts and exceptions right behind an MRS, code that changes, other CPUs,
 * traps, and AArch32 instructions that look like an MRS.
 */
#include <stdbool.h>
#include <stdint.h>

#define UART		(*(volatile uint32_t *)0x09000000UL)
#define GICD(offset)	(*(volatile uint32_t *)(0x08000000UL + (offset)))
#define GICC(offset)	(*(volatile uint32_t *)(0x08010000UL + (offset)))
#define HYP_TIMER	26
#define RAM_END		0x48000000UL	/* of QEMU's 128 MiB */

#define HCR_IMO		(1UL << 4)
#define HCR_TID2	(1UL << 17)
#define HCR_RW		(1UL << 31)
#define SPSR_EL1H	0x3c5
#define SPSR_AARCH32	0x1d3		/* supervisor mode, interrupts masked */

#define ROUNDS		20000
#define CPUS		4

#define read_sysreg(name) ({ uint64_t v_; asm volatile("mrs %0, " #name : "=r"(v_)); v_; })
#define write_sysreg(name, value) asm volatile("msr " #name ", %0\n\tisb" : : "r"((uint64_t)(value)))

struct frame {
	uint64_t x[31];
	uint64_t pad;
};

extern uint64_t ctr_in_block(void), ctr_at_page_end(void), clidr_then_svc(void),
	clidr_at_page_end_then_svc(void), dczid(void), lower_reads(void), lower_reads_at_page_end(void),
	lower_reads_midr(void);
extern const uint32_t after_page_end[], aarch32_code[];
uint64_t enter_lower(uint64_t (*code)(void), uint64_t spsr);

static struct {
	uint64_t ctr, clidr, different;
	volatile uint64_t done;
} cpu_said[CPUS];
static volatile uint64_t interrupts, between, emulated = 0xfa11;
static uint64_t come_back_to;
char stacks[CPUS][8192] __attribute__((aligned(16)));

static void say(const char *name, uint64_t value)
{
	while (*name)
		UART = (uint32_t)*name++;
	UART = ' ';
	for (int shift = 60; shift >= 0; shift -= 4)
		UART = (uint32_t)"0123456789abcdef"[value >> shift & 15];
	UART = '\n';
}

static void arm_timer(void)
{
	write_sysreg(cnthp_tval_el2, 300 + interrupts % 7 * 61);
	write_sysreg(cnthp_ctl_el2, 1);
}

void on_interrupt(struct frame *frame);
void on_interrupt(struct frame *frame)
{
	uint32_t number = GICC(0xc);

	(void)frame;
	interrupts++;
	between += read_sysreg(elr_el2) == (uint64_t)after_page_end;
	arm_timer();
	GICC(0x10) = number;
}

/* Calls go on behind the SVC; a trapped MRS is emulated; whatever runs off the RAM comes back. */
void on_exception(struct frame *frame);
void on_exception(struct frame *frame)
{
	uint64_t esr = read_sysreg(esr_el2), elr = read_sysreg(elr_el2);

	switch (esr >> 26) {
	case 0x15:
		break;
	case 0x18:
		frame->x[esr >> 5 & 31] = emulated;
		write_sysreg(elr_el2, elr + 4);
		break;
	case 0x21:
		write_sysreg(elr_el2, come_back_to);
		break;
	default:
		say("unexpected-esr", esr);
		say("unexpected-elr", elr);
		for (;;)
			;
	}
}

static void sync_code(uint32_t *code)
{
	asm volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" : : "r"(code) : "memory");
}

static void interrupts_between(void)
{
	uint64_t wrong = 0, expected = ctr_in_block();

	GICD(0) = 1;
	GICD(0x100) = 1U << HYP_TIMER;
	GICC(4) = 0xff;
	GICC(0) = 1;
	write_sysreg(hcr_el2, HCR_RW | HCR_IMO);
	arm_timer();
	asm volatile("msr daifclr, #2");
	for (uint64_t round = 0; round < 4000000 && between < 50; round++)
		wrong += ctr_at_page_end() != expected;
	asm volatile("msr daifset, #2");
	write_sysreg(cnthp_ctl_el2, 0);
	say("interrupts-between-enough", between >= 50);
	say("interrupts-wrong", wrong);
}

/* The last word of the RAM is an MRS: what follows cannot be fetched. */
static void runs_off_the_ram(void)
{
	uint32_t *last = (uint32_t *)(RAM_END - 4);
	uint64_t value;

	*last = 0xd53b0020;	/* mrs x0, ctr_el0 */
	sync_code(last);
	asm volatile("adr %1, 1f\n\tstr %1, [%2]\n\tbr %3\n1:\tmov %0, x0"
		     : "=r"(value), "=&r"((uint64_t){ 0 })
		     : "r"(&come_back_to), "r"(last)
		     : "x0", "memory");
	say("fetch-fails-behind-it", value);
}

static void code_that_changes(void)
{
	static const uint32_t insns[] = { 0xd53b0020, 0xd5390020, 0xd28000a0 };	/* ctr, clidr, mov x0, #5 */
	static uint32_t code[16] __attribute__((aligned(64)));
	static const char *const names[] = { "changed-ctr", "changed-clidr", "changed-mov" };
	uint64_t values[3] = { 0 }, unsteady = 0;

	code[1] = 0xd65f03c0;	/* ret */
	for (unsigned int round = 0; round < 3000; round++) {
		uint64_t value;

		code[0] = insns[round % 3];
		sync_code(code);
		value = ((uint64_t(*)(void))code)();
		unsteady += round >= 3 && value != values[round % 3];
		values[round % 3] = value;
	}
	for (unsigned int i = 0; i < 3; i++)
		say(names[i], values[i]);
	say("changed-unsteady", unsteady);
}

static void traps(void)
{
	write_sysreg(hcr_el2, HCR_RW | HCR_TID2);
	say("trapped", enter_lower(lower_reads, SPSR_EL1H));
	say("trapped-at-page-end", enter_lower(lower_reads_at_page_end, SPSR_EL1H));
	write_sysreg(hcr_el2, HCR_RW);
	say("untrapped", enter_lower(lower_reads, SPSR_EL1H));
	say("untrapped-at-page-end", enter_lower(lower_reads_at_page_end, SPSR_EL1H));
	write_sysreg(vpidr_el2, 0x410fd123);
	say("midr-el1", enter_lower(lower_reads_midr, SPSR_EL1H));
	say("midr-el2", read_sysreg(midr_el1));
	say("revidr-el2", read_sysreg(revidr_el1));
}

static void aarch32(void)
{
	if ((read_sysreg(id_aa64pfr0_el1) >> 4 & 15) < 2)
		return;
	write_sysreg(hcr_el2, 0);
	say("aarch32-lookalike", enter_lower((uint64_t(*)(void))aarch32_code, SPSR_AARCH32));
	write_sysreg(hcr_el2, HCR_RW);
}

void on_other_cpu(uint64_t cpu);
void on_other_cpu(uint64_t cpu)
{
	cpu_said[cpu].ctr = ctr_in_block();
	cpu_said[cpu].clidr = clidr_then_svc();
	for (unsigned int round = 0; round < ROUNDS; round++) {
		cpu_said[cpu].different += ctr_in_block() != cpu_said[cpu].ctr;
		cpu_said[cpu].different += ctr_at_page_end() != cpu_said[cpu].ctr;
		cpu_said[cpu].different += clidr_at_page_end_then_svc() != cpu_said[cpu].clidr;
	}
	cpu_said[cpu].done = 1;
	while (cpu)
		asm volatile("wfi");
}

extern char start_other_cpu[];

static void other_cpus(void)
{
	for (uint64_t cpu = 1; cpu < CPUS; cpu++) {
		register uint64_t function asm("x0") = 0xc4000003;	/* PSCI CPU_ON */
		register uint64_t mpidr asm("x1") = cpu;
		register uint64_t entry asm("x2") = (uint64_t)start_other_cpu;
		register uint64_t context asm("x3") = cpu;

		asm volatile("smc #0" : "+r"(function) : "r"(mpidr), "r"(entry), "r"(context) : "memory");
		if (function)
			say("cpu-on-failed", function);
	}
	on_other_cpu(0);
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		while (!cpu_said[cpu].done)
			;
		say("smp-ctr", cpu_said[cpu].ctr);
		say("smp-clidr", cpu_said[cpu].clidr);
		say("smp-different", cpu_said[cpu].different);
	}
}

static void each_size(void)
{
	for (uint64_t selector = 0; selector < 14; selector++) {
		write_sysreg(csselr_el1, selector);
		say("ccsidr", read_sysreg(ccsidr_el1));
	}
}

void main(void);
void main(void)
{
	say("in-block", ctr_in_block());
	say("at-page-end", ctr_at_page_end());
	say("svc-behind-it", clidr_then_svc());
	say("svc-behind-page-end", clidr_at_page_end_then_svc());
	say("dczid", dczid());
	say("mmfr2", read_sysreg(id_aa64mmfr2_el1));
	each_size();
	interrupts_between();
	runs_off_the_ram();
	code_that_changes();
	traps();
	aarch32();
	other_cpus();
	say("end", 0);
	asm volatile("mov w0, #0x84000000\n\torr w0, w0, #8\n\tsmc #0");	/* PSCI SYSTEM_OFF */
}

asm(
"	.text\n"
"	.global	_start\n"
"_start:\n"
"	mov	x0, xzr\n"
"	adrp	x1, main\n"
"	add	x1, x1, :lo12:main\n"
"	b	prepare\n"
"	.global	start_other_cpu\n"
"start_other_cpu:\n"
"	adrp	x1, on_other_cpu\n"
"	add	x1, x1, :lo12:on_other_cpu\n"
"prepare:\n"		/* x0: the CPU's number, x1: where to go */
"	adrp	x2, stacks\n"
"	add	x2, x2, :lo12:stacks\n"
"	add	x3, x0, #1\n"
"	add	x2, x2, x3, lsl #13\n"
"	mov	sp, x2\n"
"	adr	x2, vectors\n"
"	msr	vbar_el2, x2\n"
"	mov	x2, #0x80000000\n"
"	msr	hcr_el2, x2\n"
"	isb\n"
"	br	x1\n"

"	.macro	vector name\n"
"	.balign	128\n"
"	stp	x0, x1, [sp, #-256]!\n"
"	b	\\name\n"
"	.endm\n"
"	.macro	handler name, function\n"
"\\name:\n"
"	stp	x2, x3, [sp, #16]\n"
"	stp	x4, x5, [sp, #32]\n"
"	stp	x6, x7, [sp, #48]\n"
"	stp	x8, x9, [sp, #64]\n"
"	stp	x10, x11, [sp, #80]\n"
"	stp	x12, x13, [sp, #96]\n"
"	stp	x14, x15, [sp, #112]\n"
"	stp	x16, x17, [sp, #128]\n"
"	stp	x18, x19, [sp, #144]\n"
"	stp	x29, x30, [sp, #232]\n"
"	mov	x0, sp\n"
"	bl	\\function\n"
"	ldp	x2, x3, [sp, #16]\n"
"	ldp	x4, x5, [sp, #32]\n"
"	ldp	x6, x7, [sp, #48]\n"
"	ldp	x8, x9, [sp, #64]\n"
"	ldp	x10, x11, [sp, #80]\n"
"	ldp	x12, x13, [sp, #96]\n"
"	ldp	x14, x15, [sp, #112]\n"
"	ldp	x16, x17, [sp, #128]\n"
"	ldp	x18, x19, [sp, #144]\n"
"	ldp	x29, x30, [sp, #232]\n"
"	ldp	x0, x1, [sp], #256\n"
"	eret\n"
"	.endm\n"
"	.balign	2048\n"
"vectors:\n"
"	.rept	4\n"
"	vector	sync\n"
"	.endr\n"
"	vector	sync\n"
"	vector	irq\n"
"	.rept	2\n"
"	vector	sync\n"
"	.endr\n"
"	vector	lower\n"	/* AArch64 */
"	.rept	3\n"
"	vector	sync\n"
"	.endr\n"
"	vector	lower\n"	/* AArch32 */
"	.rept	3\n"
"	vector	sync\n"
"	.endr\n"
"	handler	sync, on_exception\n"
"	handler	irq, on_interrupt\n"

/* From below: an HVC is the end of enter_lower(), and x0 its value; all else is an exception. */
"lower:\n"
"	mrs	x1, esr_el2\n"
"	lsr	x1, x1, #26\n"
"	and	x1, x1, #0x3f\n"
"	cmp	x1, #0x16\n"
"	b.eq	1f\n"
"	cmp	x1, #0x12\n"		/* from AArch32 */
"	b.eq	1f\n"
"	ldr	x1, [sp, #8]\n"
"	b	sync\n"
"1:	ldp	x0, x1, [sp], #256\n"
"	ldp	x29, x30, [sp], #16\n"
"	ret\n"
"	.global	enter_lower\n"
"enter_lower:\n"
"	stp	x29, x30, [sp, #-16]!\n"
"	msr	elr_el2, x0\n"
"	msr	spsr_el2, x1\n"
"	ldr	x11, =lookalike_end\n"
"	eret\n"

"	.global	ctr_in_block, dczid, clidr_then_svc, lower_reads, lower_reads_midr\n"
"ctr_in_block:\n"
"	mrs	x0, ctr_el0\n"
"	ret\n"
"dczid:\n"
"	mrs	x0, dczid_el0\n"
"	ret\n"
"clidr_then_svc:\n"
"	mrs	x0, clidr_el1\n"
"	svc	#0\n"
"	ret\n"
"lower_reads:\n"
"	mrs	x0, clidr_el1\n"
"	hvc	#0\n"
"lower_reads_midr:\n"
"	mrs	x0, midr_el1\n"
"	hvc	#0\n"
"	.ltorg\n"

"	.global	ctr_at_page_end, after_page_end, clidr_at_page_end_then_svc, lower_reads_at_page_end\n"
"	.balign	4096\n"
"	.skip	4092\n"
"ctr_at_page_end:\n"
"	mrs	x0, ctr_el0\n"
"after_page_end:\n"
"	ret\n"
"	.balign	4096\n"
"	.skip	4092\n"
"clidr_at_page_end_then_svc:\n"
"	mrs	x0, clidr_el1\n"
"	svc	#0\n"
"	ret\n"
"	.balign	4096\n"
"	.skip	4092\n"
"lower_reads_at_page_end:\n"
"	mrs	x0, clidr_el1\n"
"	hvc	#0\n"

/* ldrle r0, [r11, #-32]! has the bits of mrs x0, ctr_el0 */
"	.balign	16\n"
"	.global	aarch32_code\n"
"aarch32_code:\n"
"	.word	0xe0511001\n"		/* subs r1, r1, r1: Z, so LE is true */
"	.word	0xd53b0020\n"
"	.word	0xe1400070\n"		/* hvc #0 */
"	.balign	16\n"
"lookalike:\n"
"	.word	0x0badcafe, 0, 0, 0, 0, 0, 0, 0\n"
"lookalike_end:\n"
);

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What does each physical CPU say of its caches, to the kernel that runs on it?
 *
 * Exists because nothing else tells: KVM shows a guest what it chose to show,
 * and sysfs what the kernel made of it. Reading /proc/ccsight-hardware asks
 * every CPU that is online, by MRS, and leaves all as it was.
 */
#include <linux/cpu.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/smp.h>

#include "wire.h"

#define NAME		"ccsight-hardware"
#define LEVELS		7
#define SELECTORS	(2 * LEVELS)	/* a data or unified and an instruction side each */
#define INSTRUCTION	1		/* CSSELR_EL1.InD */

struct registers {
	u64 el, ctr, clidr, mmfr2, midr, revidr, dczid;
	u64 ccsidr[SELECTORS];
	u32 listed;			/* bit N: CLIDR_EL1 lists the cache that selector N names */
};

/* By encoding where older assemblers do not know the name. */
#define mrs(sysreg)							\
({									\
	u64 value_;							\
									\
	asm volatile("mrs %0, " #sysreg : "=r"(value_) :: "memory");	\
	value_;								\
})

static void select_cache(u64 selector)
{
	asm volatile("msr csselr_el1, %0\n\tisb" :: "r"(selector) : "memory");
}

/*
 * Return the selectors of the caches that there are. What CCSIDR_EL1 says for
 * any other is UNKNOWN; and behind the first level without a cache, CLIDR_EL1
 * does not count either.
 */
static u32 listed(u64 clidr)
{
	/* by Ctype: none, instruction, data, both, unified; the rest is reserved */
	static const u8 sides[8] = { 0, 2, 1, 3, 1 };
	u32 selectors = 0;
	unsigned int level;

	for (level = 0; level < LEVELS; level++) {
		unsigned int ctype = clidr >> 3 * level & 7;

		if (!sides[ctype])
			break;
		selectors |= (u32)sides[ctype] << 2 * level;
	}
	return selectors;
}

/* Runs on the CPU in question, with interrupts off: nobody selects another cache meanwhile. */
static void read_registers(void *result)
{
	struct registers *registers = result;
	u64 selected = mrs(csselr_el1);
	unsigned int selector;

	registers->el = mrs(currentel) >> 2 & 3;
	registers->ctr = mrs(ctr_el0);
	registers->clidr = mrs(clidr_el1);
	registers->mmfr2 = mrs(s3_0_c0_c7_2);
	registers->midr = mrs(midr_el1);
	registers->revidr = mrs(revidr_el1);
	registers->dczid = mrs(dczid_el0);
	registers->listed = listed(registers->clidr);
	for (selector = 0; selector < SELECTORS; selector++) {
		if (!(registers->listed >> selector & 1))
			continue;
		select_cache(selector);
		registers->ccsidr[selector] = mrs(ccsidr_el1);
	}
	/* a guest's vCPU may be loaded here, and the selection its own */
	select_cache(selected);
}

static void send_reading(struct wire *wire, unsigned int cpu, const char *name, u64 value)
{
	wire_line(wire, "reg");
	wire_dec(wire, "cpu", cpu);
	wire_str(wire, "name", name);
	wire_hex(wire, "value", value);
	wire_send(wire);
}

static void send_registers(struct wire *wire, unsigned int cpu, const struct registers *registers)
{
	char name[sizeof("CCSIDR_EL1[00]")];
	unsigned int selector;

	wire_line(wire, "cpu");
	wire_dec(wire, "index", cpu);
	wire_dec(wire, "el", registers->el);
	wire_send(wire);
	send_reading(wire, cpu, "CTR_EL0", registers->ctr);
	send_reading(wire, cpu, "CLIDR_EL1", registers->clidr);
	send_reading(wire, cpu, "ID_AA64MMFR2_EL1", registers->mmfr2);
	send_reading(wire, cpu, "MIDR_EL1", registers->midr);
	send_reading(wire, cpu, "REVIDR_EL1", registers->revidr);
	send_reading(wire, cpu, "DCZID_EL0", registers->dczid);
	for (selector = 0; selector < SELECTORS; selector++) {
		if (!(registers->listed >> selector & 1))
			continue;
		snprintf(name, sizeof(name), "CCSIDR_EL1[%u]", selector);
		send_reading(wire, cpu, name, registers->ccsidr[selector]);
	}
}

static void send_cpu(struct wire *wire, unsigned int cpu)
{
	struct registers registers;

	if (!smp_call_function_single(cpu, read_registers, &registers, true)) {
		send_registers(wire, cpu, &registers);
		return;
	}
	wire_error(wire, "cpu-does-not-answer");
	wire_dec(wire, "cpu", cpu);
	wire_send(wire);
}

/* One reader at a time: where the writer's lines go is not told to it. */
static DEFINE_MUTEX(one_reader);
static struct seq_file *reader;
static struct wire wire;

static void put(const char *line, unsigned int length)
{
	seq_write(reader, line, length);
}

static int show(struct seq_file *file, void *unused)
{
	unsigned int cpu;

	mutex_lock(&one_reader);
	reader = file;
	wire_begin(&wire, put, WIRE_LINE_MAX, NAME);
	cpus_read_lock();
	for_each_online_cpu(cpu)
		send_cpu(&wire, cpu);
	cpus_read_unlock();
	wire_end(&wire);
	mutex_unlock(&one_reader);
	return 0;
}

static int __init hardware_init(void)
{
	return proc_create_single(NAME, 0400, NULL, show) ? 0 : -ENOMEM;
}

static void __exit hardware_exit(void)
{
	remove_proc_entry(NAME, NULL);
}

module_init(hardware_init);
module_exit(hardware_exit);
MODULE_DESCRIPTION("Shows the cache registers of every CPU, for ccsight");
MODULE_LICENSE("GPL");

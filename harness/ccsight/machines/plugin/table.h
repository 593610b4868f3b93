/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that ccsight and the plugin share: what each CPU's registers are
 * to read, and how often they were. overrides.py reads this very file, so only plain
 * numbers may be #defined, and nothing included.
 */
#define SILICON_MAGIC		0x6e6f63696c697331
#define SILICON_CPUS		8
#define SILICON_SITES		2048

/* The order of silicon_cpu's arrays. Caches take one entry a CSSELR_EL1 value. */
enum silicon_register {
	SILICON_CTR_EL0,
	SILICON_CLIDR_EL1,
	SILICON_ID_AA64MMFR2_EL1,
	SILICON_DCZID_EL0,
	SILICON_MIDR_EL1,
	SILICON_REVIDR_EL1,
	SILICON_CCSIDR_EL1,
	SILICON_CCSIDR2_EL1 = 20,
	SILICON_REGISTERS = 34,
};

/* The bits of "mask" read as in "value"; no bit, no override. */
struct silicon_override {
	uint64_t value;
	uint64_t mask;
};

struct silicon_cpu {
	struct silicon_override registers[34];
	uint64_t hits[34];		/* overridden reads */
};

/* An MRS instruction that was met, wherever and whenever it was translated. */
struct silicon_site {
	uint64_t pc;
	uint64_t hits;
	uint32_t insn;
	uint32_t ended_block;		/* 1: in some block; then its value was written from outside */
};

struct silicon_table {
	uint64_t magic;			/* ours; the plugin refuses another one */
	uint32_t cpus;			/* that the table is about */
	uint32_t loaded;		/* the plugin's: CPUs that it is at work on */
	uint64_t strays;		/* the plugin's: reads whose end it has lost; must be 0 */
	uint32_t sites_met;		/* the plugin's: may be more than there is room for */
	uint32_t unused;
	struct silicon_cpu cpu[8];
	struct silicon_site sites[2048];
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes each CPU that QEMU emulates read the cache registers of a real core.
 *
 * An MRS that the emulated CPU executes by itself gets the table's value; one that
 * traps is left to whoever traps it. So the value is written after the instruction, as
 * soon as something shows that it was executed and did not trap:
 *
 * - mostly, the next instruction of the same block is about to run. A trap
 *   leaves the block, and comes back behind the MRS in another one;
 * - where the MRS is the last of its block (a page ends there), the next block
 *   begins, or an interrupt or exception comes in between: then the address it
 *   comes from tells. It is the MRS itself if that trapped, else the next one.
 *
 * Blocks are translated anew when their code changes, so what is decided here
 * when a block is translated never outlives the code that it is about.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu.h"
#include "table.h"

#define EXPORT			__attribute__((visibility("default")))

#define MRS(op0, op1, crn, crm, op2) \
	(0xd5200000U | (op0) << 19 | (op1) << 16 | (crn) << 12 | (crm) << 8 | (op2) << 5)
#define MRS_MASK		0xffffffe0U
#define MRS_ANY			0xd5300000U	/* of an op0 of 2 or 3 */
#define MRS_ANY_MASK		0xfff00000U
#define XZR			31

#define IN_PAGE(address)	((address) & 0xfff)
#define PSTATE_EL(pstate)	((pstate) >> 2 & 3)

#define CSSELR_SELECTORS	14
#define SITE_LISTS		256

EXPORT int qemu_plugin_version = QEMU_API;

static const struct {
	uint32_t mrs;
	enum silicon_register slot;
	bool selected;			/* by CSSELR_EL1 */
	bool at_el2_only;		/* below, it reads what EL2 says */
} rows[] = {
	{ MRS(3, 3, 0, 0, 1), SILICON_CTR_EL0, false, false },
	{ MRS(3, 1, 0, 0, 1), SILICON_CLIDR_EL1, false, false },
	{ MRS(3, 0, 0, 7, 2), SILICON_ID_AA64MMFR2_EL1, false, false },
	{ MRS(3, 3, 0, 0, 7), SILICON_DCZID_EL0, false, false },
	{ MRS(3, 0, 0, 0, 0), SILICON_MIDR_EL1, false, true },
	{ MRS(3, 0, 0, 0, 6), SILICON_REVIDR_EL1, false, true },
	{ MRS(3, 1, 0, 0, 0), SILICON_CCSIDR_EL1, true, false },
	{ MRS(3, 1, 0, 0, 2), SILICON_CCSIDR2_EL1, true, false },
};
#define ROWS			(sizeof(rows) / sizeof(rows[0]))

/* What a vCPU's own thread keeps; nobody else looks at it. */
struct vcpu {
	struct qemu_plugin_register *x[XZR];
	struct qemu_plugin_register *pstate;
	struct qemu_plugin_register *csselr;
	struct byte_array *bytes;
	unsigned int level_then;	/* when the MRS that ends a block began */
};

/*
 * An MRS at an address, the first one if its page is mapped at several. It lives as long as QEMU:
 * blocks that are translated hold on to it.
 */
struct site {
	uint64_t pc;
	uint32_t insn;
	unsigned int row;
	struct silicon_site *shown;	/* NULL where the shared table is full */
	struct site *next;
};

static struct silicon_table *table;
static struct vcpu vcpus[SILICON_CPUS];
static struct site *sites[SITE_LISTS];
static pthread_mutex_t sites_lock = PTHREAD_MUTEX_INITIALIZER;
/* The site (its address, or 0) of an MRS that ended a block and is not yet known to be done. */
static qemu_plugin_u64 pending;

/* End QEMU: going on would mean to show values that are not the table's. */
static void fail(const char *why)
{
	fprintf(stderr, "ccsight-silicon: %s\n", why);
	abort();
}

static uint64_t read_register(struct vcpu *vcpu, struct qemu_plugin_register *handle)
{
	uint64_t value = 0;

	g_byte_array_set_size(vcpu->bytes, 0);
	if (qemu_plugin_read_register(handle, vcpu->bytes))
		memcpy(&value, vcpu->bytes->data,
		       vcpu->bytes->len < sizeof(value) ? vcpu->bytes->len : sizeof(value));
	return value;
}

static void write_register(struct vcpu *vcpu, struct qemu_plugin_register *handle, uint64_t value)
{
	g_byte_array_set_size(vcpu->bytes, sizeof(value));
	memcpy(vcpu->bytes->data, &value, sizeof(value));
	qemu_plugin_write_register(handle, vcpu->bytes);
}

/* The MRS of a site was executed, at this exception level: write what the CPU's core reads. */
static void override(unsigned int index, const struct site *site, unsigned int level)
{
	struct silicon_cpu *cpu = &table->cpu[index];
	unsigned int slot = rows[site->row].slot;
	struct vcpu *vcpu = &vcpus[index];
	struct qemu_plugin_register *to = vcpu->x[site->insn % 32];
	struct silicon_override by;

	if (rows[site->row].at_el2_only && level != 2)
		return;
	if (rows[site->row].selected) {
		uint64_t selector = read_register(vcpu, vcpu->csselr);

		if (selector >= CSSELR_SELECTORS)
			return;
		slot += selector;
	}
	by = cpu->registers[slot];
	if (!by.mask)
		return;
	if (by.mask != UINT64_MAX)
		by.value |= read_register(vcpu, to) & ~by.mask;
	write_register(vcpu, to, by.value);
	__atomic_fetch_add(&cpu->hits[slot], 1, __ATOMIC_RELAXED);
	if (site->shown)
		__atomic_fetch_add(&site->shown->hits, 1, __ATOMIC_RELAXED);
}

/* Return the exception level that a vCPU is at, where the row of a site asks for it. */
static unsigned int level_for(unsigned int index, const struct site *site)
{
	if (!rows[site->row].at_el2_only)
		return 0;
	return PSTATE_EL(read_register(&vcpus[index], vcpus[index].pstate));
}

static void next_insn_runs(unsigned int index, void *site)
{
	override(index, site, level_for(index, site));
}

static void last_insn_begins(unsigned int index, void *site)
{
	vcpus[index].level_then = level_for(index, site);
	qemu_plugin_u64_set(pending, index, (uintptr_t)site);
}

/* Return the site that waits for its end on this vCPU, or NULL; it waits no more. */
static const struct site *take_pending(unsigned int index)
{
	const struct site *site = (const struct site *)(uintptr_t)qemu_plugin_u64_get(pending, index);

	qemu_plugin_u64_set(pending, index, 0);
	return site;
}

/*
 * Execution goes on at, or was interrupted at, an address: was the MRS that ended the block
 * before done? QEMU translates a page once for all addresses at which it is mapped, as a library
 * is in many processes: so only the place within the page tells.
 */
static void settle(unsigned int index, const struct site *site, uint64_t at)
{
	if (IN_PAGE(at) == IN_PAGE(site->pc + 4))
		override(index, site, vcpus[index].level_then);
	else if (IN_PAGE(at) != IN_PAGE(site->pc))
		__atomic_fetch_add(&table->strays, 1, __ATOMIC_RELAXED);
}

static void next_block_begins(unsigned int index, void *pc)
{
	settle(index, take_pending(index), (uintptr_t)pc);
}

static void discontinuity(unsigned int index, int type, uint64_t from, uint64_t to, void *userdata)
{
	const struct site *site = take_pending(index);

	(void)type;
	(void)to;
	(void)userdata;
	if (site)
		settle(index, site, from);
}

static unsigned int row_of(uint32_t insn)
{
	unsigned int row = 0;

	if ((insn & MRS_ANY_MASK) != MRS_ANY)
		return ROWS;
	while (row < ROWS && rows[row].mrs != (insn & MRS_MASK))
		row++;
	return row;
}

/* Return the site of an instruction at an address: the same one however often it is translated. */
static struct site *site_of(uint64_t pc, uint32_t insn, bool ends_block)
{
	struct site **list = &sites[(pc / sizeof(insn) ^ insn) % SITE_LISTS], *site = *list;

	while (site && (site->pc != pc || site->insn != insn))
		site = site->next;
	if (site) {
		if (site->shown)
			site->shown->ended_block |= ends_block;
		return site;
	}
	site = malloc(sizeof(*site));
	if (!site)
		fail("out of memory");
	*site = (struct site){ .pc = pc, .insn = insn, .row = row_of(insn), .next = *list };
	if (table->sites_met < SILICON_SITES) {
		site->shown = &table->sites[table->sites_met];
		site->shown->pc = pc;
		site->shown->insn = insn;
		site->shown->ended_block = ends_block;
	}
	table->sites_met++;
	*list = site;
	return site;
}

/* An AArch32 instruction may have the same bits; only QEMU knows which state a block is of. */
static bool is_mrs(struct qemu_plugin_tb *tb, size_t number)
{
	char *text = qemu_plugin_insn_disas(qemu_plugin_tb_get_insn(tb, number));
	bool is = text && !strncmp(text, "mrs", 3);

	g_free(text);
	return is;
}

static void watch(struct qemu_plugin_tb *tb, size_t number, uint32_t word)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, number);
	bool ends_block = number + 1 == qemu_plugin_tb_n_insns(tb);
	struct site *site;

	pthread_mutex_lock(&sites_lock);
	site = site_of(qemu_plugin_insn_vaddr(insn), word, ends_block);
	pthread_mutex_unlock(&sites_lock);
	if (ends_block)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, last_insn_begins, CB_R_REGS, site);
	else
		qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, number + 1),
						       next_insn_runs, CB_RW_REGS, site);
}

static void translated(struct qemu_plugin_tb *tb, void *userdata)
{
	uint64_t begins_at = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
	size_t count = qemu_plugin_tb_n_insns(tb);

	(void)userdata;
	qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, next_block_begins, CB_RW_REGS, COND_NE, pending,
						  0, (void *)(uintptr_t)begins_at);
	for (size_t number = 0; number < count; number++) {
		uint32_t word = 0;

		qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, number), &word, sizeof(word));
		if (word % 32 != XZR && row_of(word) < ROWS && is_mrs(tb, number))
			watch(tb, number, word);
	}
}

/* Return the number of a general-purpose register by its name, or XZR. */
static unsigned int number_of(const char *name)
{
	unsigned int number = 0;

	if (*name++ != 'x' || !*name)
		return XZR;
	for (; *name && number < XZR; name++)
		number = *name < '0' || *name > '9' ? XZR : number * 10 + (unsigned int)(*name - '0');
	return number < XZR ? number : XZR;
}

/* Find the registers by the names that QEMU gives them to a debugger. */
static void vcpu_starts(unsigned int index, void *userdata)
{
	struct register_array *all = qemu_plugin_get_registers();
	struct vcpu *vcpu;
	unsigned int found = 0;

	(void)userdata;
	if (index >= table->cpus)
		fail("QEMU has more CPUs than the table");
	vcpu = &vcpus[index];
	vcpu->bytes = g_byte_array_new();
	for (unsigned int i = 0; i < all->len; i++) {
		const char *name = all->data[i].name;

		if (number_of(name) < XZR)
			vcpu->x[number_of(name)] = all->data[i].handle;
		else if (!strcmp(name, "cpsr"))
			vcpu->pstate = all->data[i].handle;
		else if (!strcmp(name, "CSSELR") || !strcmp(name, "CSSELR_EL1"))
			vcpu->csselr = all->data[i].handle;
		else
			continue;
		found++;
	}
	if (found != XZR + 2)
		fail("QEMU does not name the registers as it did when this was tried");
	__atomic_fetch_add(&table->loaded, 1, __ATOMIC_RELAXED);
}

/* Return the table at a path, which is a descriptor that ccsight passed on. */
static struct silicon_table *shared(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *memory;

	if (fd < 0)
		return NULL;
	memory = mmap(NULL, sizeof(struct silicon_table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

/*
 * Without a table, say which versions of the interface QEMU has and load no
 * further: this is how ccsight asks.
 */
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "table=", 6)) {
		fprintf(stderr, "ccsight-silicon: plugin API %d to %d, target %s\n", info->version.min,
			info->version.cur, info->target_name);
		return -1;
	}
	table = shared(argv[0] + 6);
	if (!table || table->magic != SILICON_MAGIC || table->cpus > SILICON_CPUS) {
		fprintf(stderr, "ccsight-silicon: %s is not a table of this ccsight\n", argv[0]);
		return -1;
	}
	pending.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	qemu_plugin_register_vcpu_init_cb(id, vcpu_starts, NULL);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL);
	qemu_plugin_register_vcpu_discon_cb(id, DISCON_ALL, discontinuity, NULL);
	return 0;
}

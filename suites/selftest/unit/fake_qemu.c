// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The part of QEMU that plugin/silicon.c uses, as far as it can tell: CPUs with registers,
 * blocks of instructions that are translated and run, and callbacks in QEMU's order, with QEMU's
 * rules of who may touch a register when.
 *
 *     fake_qemu CPUS ROUNDS PSTATE,CSSELR [OPTION...] <SCRIPT
 *
 * PSTATE and CSSELR are what the registers are called. The script is run by the main thread
 * or, with ROUNDS, so many times by the threads of all CPUs at the same time. Its lines:
 *
 *     cpu N                             go on as this CPU
 *     block N a64|a32|mute PC WORD...   translate; nobody disassembles what is mute
 *     run N                             run a block to its end
 *     trap N                            run it up to its first MRS, which traps
 *     interrupt FROM, exception FROM    come in between
 *     set NAME VALUE                    x0 to x30, pstate, csselr
 *     show NAME                         print "NAME VALUE"
 *     expect NAME VALUE...              count it as wrong unless it has this CPU's value
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

#define CPUS_MOST	16
#define BLOCKS		16
#define WORDS		8
#define CALLS		4
#define ID		0xcc516477
#define NATIVE		0x1122334455667788	/* what an MRS reads by itself */
#define VECTOR		0x800
#define INTERRUPT	1
#define EXCEPTION	2

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);
extern int qemu_plugin_version;

struct cpu {
	unsigned int index;
	uint64_t x[31];
	uint64_t pstate;		/* of which a debugger is told 4 bytes */
	uint64_t csselr;
	uint64_t other;
	int may;			/* what the callback that runs does to registers */
};

struct qemu_plugin_register {
	size_t at;			/* in struct cpu */
	unsigned int size;
};

struct call {
	vcpu_fn *call;
	int flags;
	void *userdata;
};

struct calls {
	struct call all[CALLS];
	unsigned int count;
};

struct qemu_plugin_insn {
	uint64_t pc;
	uint32_t word;
	const char *state;
	struct calls calls;
};

struct qemu_plugin_tb {
	struct qemu_plugin_insn insns[WORDS];
	size_t count;
	struct calls calls;
	qemu_plugin_u64 entry;		/* the condition of all its calls */
	struct qemu_plugin_tb *older;
};

struct qemu_plugin_scoreboard {
	uint64_t *values;
};

static struct cpu cpus[CPUS_MOST];
static unsigned int cpu_count, rounds;
static _Thread_local struct cpu *cpu = &cpus[0];
static char *names[2];
static struct qemu_plugin_register handles[64];
static struct register_array registers;
static struct qemu_plugin_scoreboard scoreboard;
static vcpu_fn *starts;
static translated_fn *translated;
static discon_fn *discon;

/* Threads run each other's blocks; a block lives until the end. */
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct qemu_plugin_tb *blocks[BLOCKS], *all_blocks;
static pthread_barrier_t everybody;

static char **lines;
static size_t line_count;
static unsigned int wrong;

/* --- what the plugin calls --- */

void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, vcpu_fn *call, void *userdata)
{
	assert(id == ID && !userdata);
	starts = call;
}

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_fn *call, void *userdata)
{
	assert(id == ID && !userdata);
	translated = call;
}

void qemu_plugin_register_vcpu_discon_cb(qemu_plugin_id_t id, int type, discon_fn *call,
					 void *userdata)
{
	assert(id == ID && type == DISCON_ALL && !userdata);
	discon = call;
}

static void add(struct calls *to, vcpu_fn *call, int flags, void *userdata)
{
	assert(to->count < CALLS);
	to->all[to->count++] = (struct call){ call, flags, userdata };
}

void qemu_plugin_register_vcpu_tb_exec_cond_cb(struct qemu_plugin_tb *tb, vcpu_fn *call, int flags,
					       int condition, qemu_plugin_u64 entry,
					       uint64_t immediate, void *userdata)
{
	assert(condition == COND_NE && immediate == 0 && entry.score == &scoreboard && !entry.offset);
	tb->entry = entry;
	add(&tb->calls, call, flags, userdata);
}

void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, vcpu_fn *call, int flags,
					    void *userdata)
{
	add(&insn->calls, call, flags, userdata);
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
	return tb->count;
}

struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index)
{
	assert(index < tb->count);
	return (struct qemu_plugin_insn *)&tb->insns[index];
}

size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size)
{
	assert(size == sizeof(insn->word));
	memcpy(to, &insn->word, size);
	return size;
}

static bool is_mrs(const struct qemu_plugin_insn *insn)
{
	return insn->word >> 20 == 0xd53 && strcmp(insn->state, "a32");
}

char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn)
{
	if (!strcmp(insn->state, "mute"))
		return NULL;
	return strdup(is_mrs(insn) ? "mrs x3, ctr_el0" : "ldrbpl r4, [r8, -r1, lsr #32]");
}

uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn)
{
	return insn->pc;
}

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size)
{
	assert(size == sizeof(*scoreboard.values) && !scoreboard.values);
	scoreboard.values = calloc(cpu_count, size);
	assert(scoreboard.values);
	return &scoreboard;
}

uint64_t qemu_plugin_u64_get(qemu_plugin_u64 entry, unsigned int vcpu)
{
	return entry.score->values[vcpu];
}

void qemu_plugin_u64_set(qemu_plugin_u64 entry, unsigned int vcpu, uint64_t value)
{
	entry.score->values[vcpu] = value;
}

struct register_array *qemu_plugin_get_registers(void)
{
	return &registers;
}

struct byte_array *g_byte_array_new(void)
{
	struct byte_array *array = calloc(1, sizeof(*array));

	assert(array);
	return array;
}

/* Unlike GLib's, it gives not a byte more than was asked for, and none of those before. */
struct byte_array *g_byte_array_set_size(struct byte_array *array, unsigned int length)
{
	free(array->data);
	array->data = length ? malloc(length) : NULL;
	assert(array->data || !length);
	array->len = length;
	return array;
}

void g_free(void *memory)
{
	free(memory);
}

bool qemu_plugin_read_register(struct qemu_plugin_register *handle, struct byte_array *to)
{
	if (cpu->may == CB_NO_REGS)
		return false;
	assert(!to->len);
	g_byte_array_set_size(to, handle->size);
	memcpy(to->data, (char *)cpu + handle->at, handle->size);
	return true;
}

bool qemu_plugin_write_register(struct qemu_plugin_register *handle, struct byte_array *from)
{
	if (cpu->may != CB_RW_REGS)
		return false;
	assert(from->len == handle->size);
	memcpy((char *)cpu + handle->at, from->data, handle->size);
	return true;
}

/* --- what QEMU does --- */

static void fire(const struct calls *calls)
{
	for (unsigned int i = 0; i < calls->count; i++) {
		cpu->may = calls->all[i].flags;
		calls->all[i].call(cpu->index, calls->all[i].userdata);
	}
	cpu->may = CB_NO_REGS;
}

static void leave(int type, uint64_t from)
{
	cpu->may = CB_RW_REGS;
	discon(cpu->index, type, from, VECTOR, NULL);
	cpu->may = CB_NO_REGS;
}

static void run(const struct qemu_plugin_tb *tb, bool trapping)
{
	if (scoreboard.values[cpu->index])
		fire(&tb->calls);
	for (size_t i = 0; i < tb->count; i++) {
		const struct qemu_plugin_insn *insn = &tb->insns[i];

		fire(&insn->calls);
		if (is_mrs(insn) && trapping) {
			leave(EXCEPTION, insn->pc);
			return;
		}
		if (is_mrs(insn) && insn->word % 32 != 31)
			cpu->x[insn->word % 32] = NATIVE;
		else if ((insn->word & 0xffe0ffe0) == 0xaa0003e0)	/* MOV */
			cpu->x[insn->word % 32] = cpu->x[insn->word >> 16 & 31];
	}
}

static void translate(unsigned int number, const char *state, uint64_t pc, const uint32_t *words)
{
	struct qemu_plugin_tb *tb = calloc(1, sizeof(*tb));

	assert(tb && number < BLOCKS);
	for (; words[tb->count]; tb->count++)
		tb->insns[tb->count] = (struct qemu_plugin_insn){
			.pc = pc + tb->count * 4, .word = words[tb->count], .state = state
		};
	cpu->may = CB_RW_REGS;
	translated(tb, NULL);
	cpu->may = CB_NO_REGS;
	pthread_mutex_lock(&blocks_lock);
	tb->older = all_blocks;
	all_blocks = blocks[number] = tb;
	pthread_mutex_unlock(&blocks_lock);
}

static const struct qemu_plugin_tb *block(unsigned int number)
{
	const struct qemu_plugin_tb *found;

	assert(number < BLOCKS);
	pthread_mutex_lock(&blocks_lock);
	found = blocks[number];
	pthread_mutex_unlock(&blocks_lock);
	assert(found);
	return found;
}

static uint64_t *value_of(const char *name)
{
	if (name[0] == 'x')
		return &cpu->x[atoi(name + 1)];
	return !strcmp(name, "csselr") ? &cpu->csselr : &cpu->pstate;
}

/* --- the script --- */

/* Return the next word of a line, or "". */
static char *word(char **rest)
{
	char *found = strtok_r(NULL, " \n", rest);

	return found ? found : "";
}

static uint64_t number(char **rest)
{
	return strtoull(word(rest), NULL, 0);
}

static const char *state(char **rest)
{
	static const char *const states[] = { "a64", "a32", "mute" };
	const char *named = word(rest);
	unsigned int i = 0;

	while (strcmp(states[i], named))
		assert(++i < 3);
	return states[i];
}

static void translate_line(unsigned int to, char **rest)
{
	uint32_t words[WORDS + 1] = { 0 };
	const char *in = state(rest);
	uint64_t pc = number(rest);
	unsigned int count = 0;

	while (count < WORDS && (words[count] = number(rest)))
		count++;
	translate(to, in, pc, words);
}

static void expect(const char *name, char **rest)
{
	for (unsigned int i = 0; i < cpu->index; i++)
		word(rest);
	if (*value_of(name) != number(rest))
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

static void obey(const char *line)
{
	char copy[256], *rest, *verb, *name;

	assert(strlen(line) < sizeof(copy));
	strcpy(copy, line);
	verb = strtok_r(copy, " \n", &rest);
	name = word(&rest);
	if (!strcmp(verb, "cpu"))
		cpu = &cpus[atoi(name)];
	else if (!strcmp(verb, "block"))
		translate_line(atoi(name), &rest);
	else if (!strcmp(verb, "run"))
		run(block(atoi(name)), false);
	else if (!strcmp(verb, "trap"))
		run(block(atoi(name)), true);
	else if (!strcmp(verb, "interrupt"))
		leave(INTERRUPT, strtoull(name, NULL, 0));
	else if (!strcmp(verb, "exception"))
		leave(EXCEPTION, strtoull(name, NULL, 0));
	else if (!strcmp(verb, "set"))
		*value_of(name) = number(&rest);
	else if (!strcmp(verb, "show"))
		printf("%s %#llx\n", name, (unsigned long long)*value_of(name));
	else if (!strcmp(verb, "expect"))
		expect(name, &rest);
	else
		assert(!"a line that the script may have");
}

static void start(unsigned int index)
{
	cpu = &cpus[index];
	cpu->index = index;
	cpu->pstate = 0x3c9;		/* EL2 */
	cpu->may = CB_RW_REGS;
	starts(index, NULL);
	cpu->may = CB_NO_REGS;
}

static void *thread(void *index)
{
	pthread_barrier_wait(&everybody);
	start((uintptr_t)index);
	for (unsigned int round = 0; round < rounds; round++)
		for (size_t i = 0; i < line_count; i++)
			obey(lines[i]);
	return NULL;
}

static void run_together(void)
{
	pthread_t threads[CPUS_MOST];

	pthread_barrier_init(&everybody, NULL, cpu_count);
	for (uintptr_t i = 0; i < cpu_count; i++) {
		int failed = pthread_create(&threads[i], NULL, thread, (void *)i);

		assert(!failed);
	}
	for (unsigned int i = 0; i < cpu_count; i++)
		pthread_join(threads[i], NULL);
}

static void run_alone(void)
{
	for (unsigned int i = 0; i < cpu_count; i++)
		start(i);
	cpu = &cpus[0];
	for (size_t i = 0; i < line_count; i++)
		obey(lines[i]);
}

static void name_register(const char *name, size_t at, unsigned int size)
{
	struct qemu_plugin_register *handle = &handles[registers.len];

	*handle = (struct qemu_plugin_register){ at, size };
	registers.data[registers.len].handle = handle;
	registers.data[registers.len++].name = name;
}

/* As a debugger is told them, among many that only look like those that are wanted. */
static void name_registers(void)
{
	static const char *const others[] = { "x",  "xA", "x31", "x310", "x1a",   "X1",
					      "sp", "pc", "v1",  "spsr", "CLIDR", "SCTLR_EL1" };
	static char x[31][4];

	registers.data = calloc(64, sizeof(*registers.data));
	assert(registers.data);
	for (unsigned int i = 0; i < 31; i++) {
		snprintf(x[i], sizeof(x[i]), "x%u", i);
		name_register(x[i], offsetof(struct cpu, x[i]), 8);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		name_register(others[i], offsetof(struct cpu, other), 8);
	name_register(names[0], offsetof(struct cpu, pstate), 4);
	name_register(names[1], offsetof(struct cpu, csselr), 8);
}

static void read_script(void)
{
	size_t size = 0;
	char *line = NULL;

	for (; getline(&line, &size, stdin) > 0; line = NULL, size = 0) {
		lines = realloc(lines, (line_count + 1) * sizeof(*lines));
		assert(lines);
		lines[line_count++] = line;
	}
	free(line);
}

static void free_all(void)
{
	while (all_blocks) {
		struct qemu_plugin_tb *tb = all_blocks;

		all_blocks = tb->older;
		free(tb);
	}
	while (line_count)
		free(lines[--line_count]);
	free(lines);
	free(registers.data);
	free(scoreboard.values);
}

int main(int argc, char **argv)
{
	qemu_info_t info = { .target_name = "aarch64", .version = { 2, QEMU_API } };
	int installed;

	assert(argc >= 4);
	cpu_count = atoi(argv[1]);
	rounds = atoi(argv[2]);
	names[0] = strtok(argv[3], ",");
	names[1] = strtok(NULL, ",");
	assert(cpu_count && cpu_count <= CPUS_MOST && names[1]);
	assert(qemu_plugin_version == QEMU_API);
	name_registers();
	read_script();
	installed = qemu_plugin_install(ID, &info, argc - 4, argv + 4);
	printf("installed %d\n", installed);
	if (!installed) {
		if (rounds)
			run_together();
		else
			run_alone();
		printf("wrong %u\n", wrong);
	}
	free_all();
	return 0;
}

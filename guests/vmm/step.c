// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One step of a script, from its line: a word, and as many arguments as the word takes.
 *
 * Slots, vCPUs and counts are decimal; ids, values, features and commands are
 * 0x-hex; nothing may be missing, and nothing may be there that is not asked for.
 */
#define _GNU_SOURCE
#include <string.h>

#include "script.h"

#define DECIMAL_MAX	6	/* digits */
#define HEX_MAX		16

/* Arguments: s a slot, v a vCPU, n a count, x a number in hex, p a path. */
static const struct {
	const char *what;
	const char *arguments;
} forms[STEPS] = {
	[STEP_VM] = { "vm", "sn" },
	[STEP_VCPU] = { "vcpu", "s" },
	[STEP_DROP] = { "drop", "s" },
	[STEP_INIT] = { "init", "svx" },
	[STEP_LOAD] = { "load", "sp" },
	[STEP_START] = { "start", "sv" },
	[STEP_GET] = { "get", "sv" },
	[STEP_GETID] = { "getid", "svx" },
	[STEP_LIST] = { "list", "sv" },
	[STEP_SET] = { "set", "svxx" },
	[STEP_SETBAD] = { "setbad", "svx" },
	[STEP_PIN] = { "pin", "n" },
	[STEP_UNPIN] = { "unpin", "" },
	[STEP_RUN] = { "run", "svx" },
	[STEP_CHECK] = { "check", "sn" },
	[STEP_GIC] = { "gic", "s" },
	[STEP_PMU] = { "pmu", "s" },
	[STEP_SAVE] = { "save", "sp" },
	[STEP_RESTORE] = { "restore", "snp" },
	[STEP_CAP] = { "cap", "snx" },
	[STEP_VCPUCAP] = { "vcpucap", "svnx" },
};

const char *step_name(enum what what)
{
	return forms[what].what;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* The whole text is a number, or this returns false. */
static bool read_number(const char *text, unsigned int base, size_t most, uint64_t *value)
{
	size_t count = strlen(text);

	if (!count || count > most)
		return false;
	for (*value = 0; *text; text++) {
		if ((unsigned int)digit(*text) >= base)
			return false;
		*value = *value * base + (unsigned int)digit(*text);
	}
	return true;
}

static bool read_decimal(const char *text, unsigned int *value)
{
	uint64_t number = 0;
	bool read = read_number(text, 10, DECIMAL_MAX, &number);

	*value = (unsigned int)number;
	return read;
}

static bool read_hex(const char *text, struct step *step)
{
	return !strncmp(text, "0x", 2) && read_number(text + 2, 16, HEX_MAX, &step->numbers[step->count++]);
}

static bool read_argument(char kind, const char *text, struct step *step)
{
	switch (kind) {
	case 's':
		return read_decimal(text, &step->slot) && step->slot < SLOTS;
	case 'v':
		return read_decimal(text, &step->vcpu) && step->vcpu < VCPUS_MAX;
	case 'n':
		return read_decimal(text, &step->amount);
	case 'x':
		return read_hex(text, step);
	default:
		step->path = text;
		return *text;
	}
}

/* Cut the word at the start of a line off, and return what is behind it; NULL where nothing is. */
static char *cut(char *line)
{
	char *space = strchr(line, ' ');

	if (!space)
		return NULL;
	*space = '\0';
	return space + 1;
}

/* Cuts the line into pieces; the step may point into it. */
bool parse_step(char *line, struct step *step)
{
	char *rest = cut(line);
	const char *argument;

	*step = (struct step){ 0 };
	while (step->what < STEPS && strcmp(line, forms[step->what].what))
		step->what++;
	if (step->what == STEPS)
		return false;
	for (argument = forms[step->what].arguments; *argument && rest; argument++) {
		char *word = rest;

		rest = cut(word);
		if (!read_argument(*argument, word, step))
			return false;
	}
	return !*argument && !rest;
}

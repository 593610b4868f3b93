// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ccprobe's way from its arguments to the end of a stream, without KVM, to be run under
 * the sanitizers: every step of a script is taken, and does nothing.
 *
 *	scripted ARGUMENTS	the stream goes to a file, and from there to stdout
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "library.h"
#include "script.h"

bool open_kvm(struct wire *wire, int *fd)
{
	*fd = -1;
	wire_line(wire, "kvm");
	wire_dec(wire, "api", 12);
	wire_send(wire);
	return true;
}

bool take_step(struct script *script, unsigned int number, const struct step *step)
{
	if (step->what == STEP_VM) {
		script->slot->made = true;
		script->slot->vm.vcpu_count = step->amount;
	}
	wire_line(script->wire, "step");
	wire_dec(script->wire, "step", number);
	wire_str(script->wire, "what", step_name(step->what));
	return true;
}

/* The descriptor must still be ours after the call. */
int main(int argc, char **argv)
{
	FILE *file = tmpfile();
	int status = ccprobe_main(argc, argv, fileno(file)), c;

	rewind(file);
	while ((c = fgetc(file)) != EOF)
		putchar(c);
	return fclose(file) ? 3 : status;
}

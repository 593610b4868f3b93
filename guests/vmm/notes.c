// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The build-id in a run of ELF notes, such as /sys/kernel/notes.
 *
 * The kernel's is the note of type 3 whose owner is "GNU". Next to it are notes
 * of other owners, "Linux" among them, whose types count anew: type alone picks
 * the wrong one (LINUX_ELFNOTE_BUILD_SALT is 0x100, but Xen's go through 3).
 */
#include <string.h>

#include "ccprobe.h"

#define NT_GNU_BUILD_ID	3

static size_t padded(uint32_t size)
{
	return ((size_t)size + 3) & ~(size_t)3;
}

/* Return the build-id and its length, or NULL when there is none or the notes are cut. */
const unsigned char *find_build_id(const unsigned char *notes, size_t size, size_t *length)
{
	while (size >= 12) {
		uint32_t head[3];	/* bytes of the name, bytes of the content, type */
		const unsigned char *name = notes + 12;

		memcpy(head, notes, sizeof(head));
		if (padded(head[0]) > size - 12 || padded(head[1]) > size - 12 - padded(head[0]))
			return NULL;
		if (head[2] == NT_GNU_BUILD_ID && head[0] == 4 && !memcmp(name, "GNU", 4)) {
			*length = head[1];
			return name + padded(head[0]);
		}
		notes += 12 + padded(head[0]) + padded(head[1]);
		size -= 12 + padded(head[0]) + padded(head[1]);
	}
	return NULL;
}

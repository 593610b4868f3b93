// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ccprobe: say what this kernel is, and what its KVM shows of the caches.
 *
 *	ccprobe identity
 *	ccprobe caches
 *	ccprobe view GUEST.img [SECONDS]
 *	ccprobe sweep GUEST.img [SECONDS]
 *	ccprobe script SCRIPT [SECONDS]
 *	ccprobe linux IMAGE INITRD DTB VCPUS SECONDS [ID=VALUE]...
 *
 * SECONDS bound each run of a vCPU (default 10). Exit status: 0 when all was
 * observed, 1 when the stream holds an error, 2 on wrong usage or when the
 * stream could not be written.
 */
#include <unistd.h>

#include "library.h"

int main(int argc, char **argv)
{
	return ccprobe_main(argc, argv, STDOUT_FILENO);
}

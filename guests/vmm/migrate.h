/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Saving a virtual machine, and restoring it: see migrate.c. */
#ifndef CCPROBE_MIGRATE_H
#define CCPROBE_MIGRATE_H

#include "ccprobe.h"

/*
 * How a VMM restores registers. All of them in the order in which they were saved,
 * whatever comes of each; the same, but up to the first that is refused, as Firecracker
 * does; or in the order of its own KVM_GET_REG_LIST, those that it does not list left
 * out, as QEMU does.
 */
enum way { WAY_ALL, WAY_STOP, WAY_LIST, WAYS };

bool save_vm(struct wire *wire, const struct vm *vm, const char *path);
bool restore_vm(struct wire *wire, struct vm *vm, enum way way, const char *path);

#endif /* CCPROBE_MIGRATE_H */

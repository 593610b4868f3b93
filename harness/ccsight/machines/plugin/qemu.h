/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of QEMU's TCG plugin interface that is used here, as version 7 has
 * it (QEMU 11.1), and the one type of GLib in it. Distributions ship no header,
 * and this is less than a tenth of the real one. A version is a row of
 * API_TRIED in tcg_plugin.py: the interface has changed with every one.
 */
#ifndef CCSIGHT_QEMU_H
#define CCSIGHT_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_API	7

typedef uint64_t qemu_plugin_id_t;

typedef struct {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	struct {
		int smp_vcpus;
		int max_vcpus;
	} system;
} qemu_info_t;

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;
struct qemu_plugin_scoreboard;

typedef struct {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
} qemu_plugin_u64;

/* What a callback does to the vCPU's registers. */
enum { CB_NO_REGS, CB_R_REGS, CB_RW_REGS };
/* When a conditional callback is called: entry "not equal" immediate. */
enum { COND_NE = 3 };
/* Interrupts, exceptions and host calls. */
enum { DISCON_ALL = -1 };

struct byte_array {		/* GByteArray */
	uint8_t *data;
	unsigned int len;
};

struct register_array {		/* GArray of descriptors */
	struct {
		struct qemu_plugin_register *handle;
		const char *name;
		const char *feature;
		bool is_readonly;
	} *data;
	unsigned int len;
};

typedef void vcpu_fn(unsigned int vcpu, void *userdata);
typedef void translated_fn(struct qemu_plugin_tb *tb, void *userdata);
typedef void discon_fn(unsigned int vcpu, int type, uint64_t from, uint64_t to, void *userdata);

void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t id, vcpu_fn *call, void *userdata);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_fn *call, void *userdata);
void qemu_plugin_register_vcpu_discon_cb(qemu_plugin_id_t id, int type, discon_fn *call,
					 void *userdata);
void qemu_plugin_register_vcpu_tb_exec_cond_cb(struct qemu_plugin_tb *tb, vcpu_fn *call, int flags,
					       int condition, qemu_plugin_u64 entry,
					       uint64_t immediate, void *userdata);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, vcpu_fn *call, int flags,
					    void *userdata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
uint64_t qemu_plugin_u64_get(qemu_plugin_u64 entry, unsigned int vcpu);
void qemu_plugin_u64_set(qemu_plugin_u64 entry, unsigned int vcpu, uint64_t value);
struct register_array *qemu_plugin_get_registers(void);
bool qemu_plugin_read_register(struct qemu_plugin_register *handle, struct byte_array *to);
bool qemu_plugin_write_register(struct qemu_plugin_register *handle, struct byte_array *from);

void g_free(void *memory);
struct byte_array *g_byte_array_new(void);
struct byte_array *g_byte_array_set_size(struct byte_array *array, unsigned int length);

#endif /* CCSIGHT_QEMU_H */

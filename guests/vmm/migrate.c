// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Save all that KVM lists of a virtual machine's vCPUs, and its memory, to a file;
 * restore it, on whatever kernel and CPU, and say which registers did not arrive.
 *
 * Exists because nothing upstream restores what an older or a newer kernel saved.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "migrate.h"
#include "state.h"

_Static_assert(sizeof(((struct vm *)0)->guest) == STATE_NAME, "a guest's name goes into a state whole");

static void put(struct state_cursor *cursor, const void *bytes, size_t size)
{
	void *at = state_take(cursor, (size + 7) & ~7UL);

	if (at)
		memcpy(at, bytes, size);
}

static void put_register(struct state_cursor *cursor, const struct vcpu *vcpu, uint64_t id)
{
	static unsigned char value[REGISTER_VALUE_MAX];
	struct state_register head = { .id = id };

	head.problem = (uint32_t)move_register(vcpu, KVM_GET_ONE_REG, id, value);
	head.size = head.problem ? 0 : (uint32_t)KVM_REG_SIZE(id);
	put(cursor, &head, sizeof(head));
	put(cursor, value, head.size);
}

static bool put_vcpu(struct wire *wire, struct state_cursor *cursor, const struct vcpu *vcpu)
{
	struct kvm_mp_state state = { 0 };
	struct state_vcpu head;
	int problem = ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) ? errno : 0;
	struct kvm_reg_list *list = problem ? NULL : get_register_list(vcpu, &problem);

	if (!list) {
		send_vcpu_errno(wire, "save-vcpu", vcpu->index, problem);
		return false;
	}
	head = (struct state_vcpu){ state.mp_state, (uint32_t)list->n, vcpu->features };
	put(cursor, &head, sizeof(head));
	for (uint64_t i = 0; i < list->n; i++)
		put_register(cursor, vcpu, list->reg[i]);
	free(list);
	return true;
}

static uint64_t put_pages(struct state_cursor *cursor, const struct vm *vm)
{
	static const unsigned char zeros[STATE_PAGE];
	uint64_t count = 0;

	for (uint64_t at = 0; at < MEMORY_SIZE; at += STATE_PAGE) {
		uint64_t address = MEMORY_BASE + at;

		if (!memcmp(vm->memory + at, zeros, STATE_PAGE))
			continue;
		put(cursor, &address, sizeof(address));
		put(cursor, vm->memory + at, STATE_PAGE);
		count++;
	}
	return count;
}

static int write_file(const char *path, const unsigned char *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), problem = 0;

	if (fd < 0)
		return errno;
	while (size && !problem) {
		ssize_t count = write(fd, bytes, size);

		if (count < 0 && errno != EINTR)
			problem = errno;
		bytes += count > 0 ? count : 0;
		size -= count > 0 ? (size_t)count : 0;
	}
	if (close(fd) && !problem)
		problem = errno;
	return problem;
}

/* The whole state, written from front to back behind its head. */
static bool put_vm(struct wire *wire, const struct vm *vm, unsigned char *bytes, struct state_head *head)
{
	struct state_cursor cursor = { .at = bytes + sizeof(*head), .end = bytes + STATE_MAX };

	*head = (struct state_head){
		.magic = { 'C', 'C', 'S', 'I', 'G', 'H', 'T', '\n' }, .version = STATE_VERSION,
		.machine = STATE_MACHINE, .word = STATE_WORD, .wire = WIRE_VERSION,
		.gic = vm->gic, .vcpus = vm->vcpu_count, .page = STATE_PAGE,
		.base = MEMORY_BASE, .memory = MEMORY_SIZE,
	};
	memcpy(head->guest, vm->guest, sizeof(head->guest));
	for (unsigned int index = 0; index < vm->vcpu_count; index++) {
		if (!put_vcpu(wire, &cursor, &vm->vcpus[index]))
			return false;
	}
	head->pages = put_pages(&cursor, vm);
	if (cursor.over) {
		send_errno(wire, "save-vm", EFBIG);
		return false;
	}
	head->size = (uint64_t)(cursor.at - bytes);
	head->checksum = state_checksum(bytes + sizeof(*head), head->size - sizeof(*head));
	memcpy(bytes, head, sizeof(*head));
	return true;
}

bool save_vm(struct wire *wire, const struct vm *vm, const char *path)
{
	unsigned char *bytes = calloc(1, STATE_MAX);
	struct state_head head;
	bool saved = bytes && put_vm(wire, vm, bytes, &head);
	int problem = bytes ? 0 : ENOMEM;

	if (saved)
		problem = write_file(path, bytes, head.size);
	free(bytes);
	if (problem)
		send_errno(wire, "save-vm", problem);
	return saved && !problem;
}

static void send_register(struct wire *wire, const char *kind, const struct vcpu *vcpu, uint64_t id)
{
	wire_line(wire, kind);
	wire_dec(wire, "vcpu", vcpu->index);
	wire_hex(wire, "id", id);
}

/* A vCPU's registers as they were saved, and which of them this kernel lists. */
struct carried {
	struct wire *wire;
	const struct vcpu *vcpu;
	const struct kvm_reg_list *list;
	unsigned char *registers;	/* the first one's head; all were checked */
	uint32_t count;
	bool stopped;
};

static struct state_register next_register(unsigned char **at, unsigned char **value)
{
	struct state_register head;

	memcpy(&head, *at, sizeof(head));
	*value = *at + sizeof(head);
	*at = *value + ((head.size + 7UL) & ~7UL);
	return head;
}

static bool is_listed(const struct carried *carried, uint64_t id)
{
	for (uint64_t i = 0; i < carried->list->n; i++) {
		if (carried->list->reg[i] == id)
			return true;
	}
	return false;
}

static void send_unlisted(const struct carried *carried)
{
	unsigned char *at = carried->registers, *value;

	for (uint32_t i = 0; i < carried->count; i++) {
		struct state_register saved = next_register(&at, &value);

		if (is_listed(carried, saved.id))
			continue;
		send_register(carried->wire, "unlisted", carried->vcpu, saved.id);
		wire_send(carried->wire);
	}
}

static void set_one(struct carried *carried, enum way way, struct state_register saved, void *value)
{
	int problem;

	if (carried->stopped || saved.problem)
		return;
	problem = move_register(carried->vcpu, KVM_SET_ONE_REG, saved.id, value);
	if (!problem)
		return;
	send_register(carried->wire, "refused", carried->vcpu, saved.id);
	wire_str(carried->wire, "errno", errno_name(problem));
	wire_send(carried->wire);
	carried->stopped = way == WAY_STOP;
}

static void set_in_saved_order(struct carried *carried, enum way way)
{
	unsigned char *at = carried->registers, *value;

	for (uint32_t i = 0; i < carried->count; i++) {
		struct state_register saved = next_register(&at, &value);

		set_one(carried, way, saved, value);
	}
}

static void set_in_listed_order(struct carried *carried)
{
	for (uint64_t wanted = 0; wanted < carried->list->n; wanted++) {
		unsigned char *at = carried->registers, *value;

		for (uint32_t i = 0; i < carried->count; i++) {
			struct state_register saved = next_register(&at, &value);

			if (saved.id == carried->list->reg[wanted])
				set_one(carried, WAY_LIST, saved, value);
		}
	}
}

/* What was set, or was not, and now reads otherwise than it did. */
static void send_differences(const struct carried *carried)
{
	static unsigned char now[REGISTER_VALUE_MAX];
	unsigned char *at = carried->registers, *value;

	for (uint32_t i = 0; i < carried->count; i++) {
		struct state_register saved = next_register(&at, &value);
		struct reading first = { 0 };

		if (saved.problem)
			continue;
		first.problem = move_register(carried->vcpu, KVM_GET_ONE_REG, saved.id, now);
		if (!first.problem && !memcmp(now, value, saved.size))
			continue;
		memcpy(&first.value, now, first.problem ? 0 : saved.size < 8 ? saved.size : 8);
		send_register(carried->wire, "differs", carried->vcpu, saved.id);
		wire_key(carried->wire, "value");
		add_reading(carried->wire, first);
		wire_send(carried->wire);
	}
}

static bool restore_vcpu(struct carried *carried, enum way way, struct state_cursor *cursor)
{
	struct state_vcpu head;
	struct kvm_mp_state state = { 0 };
	int problem = 0;
	struct kvm_reg_list *list = get_register_list(carried->vcpu, &problem);
	unsigned char *value;

	memcpy(&head, state_take(cursor, sizeof(head)), sizeof(head));
	carried->registers = cursor->at;
	carried->count = head.registers;
	for (uint32_t i = 0; i < head.registers; i++)
		next_register(&cursor->at, &value);
	state.mp_state = head.mp_state;
	if (!problem && ioctl(carried->vcpu->fd, KVM_SET_MP_STATE, &state))
		problem = errno;
	if (problem) {
		send_vcpu_errno(carried->wire, "restore-vcpu", carried->vcpu->index, problem);
		free(list);
		return false;
	}
	carried->list = list;
	if (way != WAY_STOP)
		send_unlisted(carried);
	if (way == WAY_LIST)
		set_in_listed_order(carried);
	else
		set_in_saved_order(carried, way);
	carried->list = NULL;
	free(list);
	return true;
}

static void restore_pages(const struct vm *vm, uint64_t pages, struct state_cursor *cursor)
{
	while (pages--) {
		uint64_t address;

		memcpy(&address, state_take(cursor, sizeof(address)), sizeof(address));
		memcpy(vm->memory + (address - MEMORY_BASE), state_take(cursor, STATE_PAGE), STATE_PAGE);
	}
}

/* A state that was checked. Memory first: KVM cleans a page when the guest first touches it. */
static bool restore(struct wire *wire, struct vm *vm, enum way way, unsigned char *bytes)
{
	struct state_head head;
	struct state_cursor cursor = { .at = bytes + sizeof(head) };
	struct carried carried[VCPUS_MAX];

	memcpy(&head, bytes, sizeof(head));
	cursor.end = bytes + head.size;
	for (unsigned int index = 0; index < vm->vcpu_count; index++) {
		carried[index] = (struct carried){ .wire = wire, .vcpu = &vm->vcpus[index] };
		if (!restore_vcpu(&carried[index], way, &cursor))
			return false;
	}
	/* only now: what is written to one vCPU may move what another one was given before */
	for (unsigned int index = 0; index < vm->vcpu_count; index++) {
		if (!carried[index].stopped)
			send_differences(&carried[index]);
	}
	restore_pages(vm, head.pages, &cursor);
	memcpy(vm->guest, head.guest, sizeof(vm->guest));
	return true;
}

/* Is it a state, and one for this machine? Return NULL, or the name of what is wrong. */
static const char *check(const struct vm *vm, unsigned char *bytes, size_t size)
{
	struct state_type type = { .gic = vm->gic, .vcpus = vm->vcpu_count };
	const char *wrong = check_state(bytes, size, MEMORY_BASE, MEMORY_SIZE);

	for (unsigned int index = 0; index < vm->vcpu_count; index++)
		type.features[index] = vm->vcpus[index].features;
	return wrong ? wrong : check_type(bytes, size, &type);
}

bool restore_vm(struct wire *wire, struct vm *vm, enum way way, const char *path)
{
	unsigned char *bytes = malloc(STATE_MAX);
	long size = bytes ? read_file(path, (char *)bytes, STATE_MAX) : -ENOMEM;
	const char *wrong = size < 0 ? NULL : check(vm, bytes, (size_t)size);
	bool restored = size >= 0 && !wrong && restore(wire, vm, way, bytes);

	if (size < 0)
		send_errno(wire, "restore-vm", (int)-size);
	if (wrong) {
		wire_error(wire, "bad-state");
		wire_str(wire, "reason", wrong);
		wire_send(wire);
	}
	free(bytes);
	return restored;
}

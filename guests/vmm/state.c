// SPDX-License-Identifier: GPL-2.0-or-later
/* The form of a saved state, and whether a file has it. Knows nothing of KVM's ioctls. */
#include <linux/kvm.h>
#include <string.h>

#include "state.h"
#include "wire.h"

#define CRC32_REVERSED	0xedb88320U
#define REGISTERS_MOST	4096

void *state_take(struct state_cursor *cursor, size_t size)
{
	unsigned char *at = cursor->at;

	if (cursor->over || size > (size_t)(cursor->end - at)) {
		cursor->over = true;
		return NULL;
	}
	cursor->at += size;
	return at;
}

uint64_t state_checksum(const unsigned char *bytes, size_t size)
{
	uint32_t sum = ~0U;

	while (size--) {
		sum ^= *bytes++;
		for (unsigned int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? CRC32_REVERSED : 0);
	}
	return ~sum;
}

static const char *check_head(const struct state_head *head, size_t size, uint64_t base, uint64_t memory)
{
	if (memcmp(head->magic, STATE_MAGIC, sizeof(head->magic)))
		return "magic";
	if (head->version != STATE_VERSION)
		return "version";
	if (head->machine != STATE_MACHINE)
		return "machine";
	if (head->word != STATE_WORD)
		return "word";
	if (head->wire != WIRE_VERSION)
		return "wire";
	if (head->guest[STATE_NAME - 1])
		return "guest";
	if (head->size != size)
		return "size";
	if (head->page != STATE_PAGE || head->base != base || head->memory != memory)
		return "memory";
	return head->vcpus && head->vcpus <= STATE_VCPUS ? NULL : "vcpus";
}

/* As KVM_REG_SIZE(), which older headers have for arm64 only. */
static uint32_t value_size(uint64_t id)
{
	return 1U << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

static bool is_register(struct state_cursor *cursor)
{
	struct state_register head;
	const void *at = state_take(cursor, sizeof(head));

	if (!at)
		return false;
	memcpy(&head, at, sizeof(head));
	if (head.size != (head.problem ? 0 : value_size(head.id)))
		return false;
	return state_take(cursor, (head.size + 7UL) & ~7UL);
}

static bool is_vcpu(struct state_cursor *cursor)
{
	struct state_vcpu head;
	const void *at = state_take(cursor, sizeof(head));

	if (!at)
		return false;
	memcpy(&head, at, sizeof(head));
	if (head.registers > REGISTERS_MOST)
		return false;
	while (head.registers--) {
		if (!is_register(cursor))
			return false;
	}
	return true;
}

static bool is_page(struct state_cursor *cursor, const struct state_head *head)
{
	uint64_t address;
	const void *at = state_take(cursor, sizeof(address));

	if (!at || !state_take(cursor, STATE_PAGE))
		return false;
	memcpy(&address, at, sizeof(address));
	return address >= head->base && address - head->base < head->memory && !(address % STATE_PAGE);
}

const char *check_state(unsigned char *bytes, size_t size, uint64_t base, uint64_t memory)
{
	struct state_cursor cursor = { .at = bytes, .end = bytes + size };
	struct state_head head;
	const void *at = state_take(&cursor, sizeof(head));
	const char *problem;

	if (!at)
		return "size";
	memcpy(&head, at, sizeof(head));
	problem = check_head(&head, size, base, memory);
	if (problem)
		return problem;
	if (state_checksum(cursor.at, size - sizeof(head)) != head.checksum)
		return "checksum";
	for (uint32_t vcpu = 0; vcpu < head.vcpus; vcpu++) {
		if (!is_vcpu(&cursor))
			return "registers";
	}
	for (uint64_t page = 0; page < head.pages; page++) {
		if (!is_page(&cursor, &head))
			return "pages";
	}
	return cursor.at == cursor.end ? NULL : "size";
}

const char *check_type(unsigned char *bytes, size_t size, const struct state_type *type)
{
	struct state_cursor cursor = { .at = bytes, .end = bytes + size };
	struct state_head head;
	struct state_vcpu vcpu;

	memcpy(&head, state_take(&cursor, sizeof(head)), sizeof(head));
	if (head.vcpus != type->vcpus)
		return "other-vcpus";
	if (head.gic != type->gic)
		return "other-gic";
	for (uint32_t index = 0; index < head.vcpus; index++) {
		memcpy(&vcpu, cursor.at, sizeof(vcpu));
		if (vcpu.features != type->features[index])
			return "other-features";
		is_vcpu(&cursor);
	}
	return NULL;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where is the console? Found in the flattened device tree that whoever started
 * the guest has passed (Devicetree Specification 0.4, chapter 5).
 *
 * Takes the first UART of a kind that we can write to and that is not disabled.
 * Nothing outside of the tree's own size is read, however broken it is. Addresses
 * are taken as they are: every VMM's "ranges" map them to themselves.
 */
#ifndef CCSIGHT_DEVICETREE_H
#define CCSIGHT_DEVICETREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_MAGIC		0xd00dfeed
#define TREE_HEADER		40
#define TREE_SIZE_MAX		0x200000	/* Linux Documentation/arch/arm64/booting.rst */
#define TREE_DEPTH_MAX		16
#define TREE_CELLS_DEFAULT	2		/* of an address, where #address-cells is not given */

enum tree_token { TREE_BEGIN = 1, TREE_END = 2, TREE_PROPERTY = 3, TREE_NOP = 4 };

enum uart_kind { UART_NONE, UART_PL011, UART_8250, UART_BOARD };	/* BOARD: see board.h, in no device tree */

struct uart {
	uint64_t base;
	uint32_t kind;
	uint32_t shift;		/* of an 8250: between two registers */
};

/* Bytes of a tree, or of a property's value. */
struct bytes {
	const unsigned char *at;
	uint32_t count;
};

struct node {
	struct uart uart;
	struct bytes reg;
	bool disabled;
};

struct walk {
	struct bytes tree, strings;
	uint32_t next;		/* offset of the next token */
	unsigned int depth;
	uint32_t cells[TREE_DEPTH_MAX];	/* of addresses below the node of that depth */
	struct node node;	/* the one whose properties are being read */
};

/* Byte by byte: with the MMU off, an unaligned access faults. */
static inline uint32_t tree_u32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The part of some bytes from an offset on; empty when they do not reach as far. */
static inline struct bytes tree_part(struct bytes bytes, uint32_t offset, uint32_t count)
{
	if (offset > bytes.count || count > bytes.count - offset)
		return (struct bytes){ bytes.at, 0 };
	return (struct bytes){ bytes.at + offset, count };
}

/* Does a text stand at the beginning, with its NUL? */
static inline bool tree_is(struct bytes bytes, const char *text)
{
	for (uint32_t i = 0; i < bytes.count; i++) {
		if (bytes.at[i] != (unsigned char)text[i])
			return false;
		if (!text[i])
			return true;
	}
	return false;
}

/* Is a text one of a list, each of which ends with a NUL? */
static inline bool tree_lists(struct bytes bytes, const char *text)
{
	for (uint32_t i = 0; i < bytes.count; i++) {
		if ((!i || !bytes.at[i - 1]) && tree_is(tree_part(bytes, i, bytes.count - i), text))
			return true;
	}
	return false;
}

static inline void tree_property(struct walk *walk, struct bytes name, struct bytes value)
{
	struct node *node = &walk->node;

	if (tree_is(name, "compatible")) {
		if (tree_lists(value, "arm,pl011"))
			node->uart.kind = UART_PL011;
		else if (tree_lists(value, "ns16550a"))
			node->uart.kind = UART_8250;
	} else if (tree_is(name, "reg")) {
		node->reg = value;
	} else if (tree_is(name, "reg-shift") && value.count == 4) {
		node->uart.shift = tree_u32(value.at);
	} else if (tree_is(name, "status")) {
		node->disabled = !tree_is(value, "okay") && !tree_is(value, "ok");
	} else if (tree_is(name, "#address-cells") && value.count == 4) {
		walk->cells[walk->depth] = tree_u32(value.at);
	}
}

/* All properties of a node have been seen: is it a UART at an address that can be told? */
static inline bool tree_decide(struct walk *walk)
{
	struct node *node = &walk->node;
	uint32_t cells = walk->depth ? walk->cells[walk->depth - 1] : 0;

	if (node->uart.kind == UART_NONE || node->disabled || node->uart.shift > 2)
		return false;
	if ((cells != 1 && cells != 2) || node->reg.count < 4 * cells)
		return false;
	node->uart.base = tree_u32(node->reg.at);
	if (cells == 2)
		node->uart.base = node->uart.base << 32 | tree_u32(node->reg.at + 4);
	return true;
}

/* Take 32 bits, where there are any. */
static inline bool tree_take(struct walk *walk, uint32_t *value)
{
	struct bytes word = tree_part(walk->tree, walk->next, 4);

	if (!word.count)
		return false;
	*value = tree_u32(word.at);
	walk->next += 4;
	return true;
}

/* Go behind so many bytes, and what fills them up to a whole word. */
static inline bool tree_skip(struct walk *walk, uint32_t count)
{
	uint32_t left = walk->tree.count - walk->next;

	if (count > left || (left - count) < (-count & 3))
		return false;
	walk->next += count + (-count & 3);
	return true;
}

static inline bool tree_take_property(struct walk *walk)
{
	uint32_t count, name, at;

	if (!tree_take(walk, &count) || !tree_take(walk, &name))
		return false;
	at = walk->next;
	if (name > walk->strings.count || !tree_skip(walk, count))
		return false;
	tree_property(walk, tree_part(walk->strings, name, walk->strings.count - name),
		      tree_part(walk->tree, at, count));
	return true;
}

/* Go into a node, or refuse a tree that is too deep, or a name that does not end. */
static inline bool tree_enter(struct walk *walk, bool *inside)
{
	uint32_t length = 0, left = walk->tree.count - walk->next;

	while (length < left && walk->tree.at[walk->next + length])
		length++;
	if (length == left || !tree_skip(walk, length + 1))
		return false;
	if (*inside && ++walk->depth == TREE_DEPTH_MAX)
		return false;
	*inside = true;
	walk->cells[walk->depth] = TREE_CELLS_DEFAULT;
	walk->node = (struct node){ 0 };
	return true;
}

/* Walk to the first console; false when there is none before the end, or before something odd. */
static inline bool tree_walk(struct walk *walk)
{
	bool inside = false;
	uint32_t token;

	while (tree_take(walk, &token)) {
		switch (token) {
		case TREE_BEGIN:
			if (tree_decide(walk))
				return true;
			if (!tree_enter(walk, &inside))
				return false;
			break;
		case TREE_END:
			if (tree_decide(walk))
				return true;
			walk->node = (struct node){ 0 };	/* its parent had its turn before it */
			if (!walk->depth)
				return false;
			walk->depth--;
			break;
		case TREE_PROPERTY:
			if (!inside || !tree_take_property(walk))
				return false;
			break;
		case TREE_NOP:
			break;
		default:
			return false;
		}
	}
	return false;
}

/* How large the tree at this address says it is; 0 when it is none. Reads its first 8 bytes. */
static inline uint32_t tree_size(const unsigned char *tree)
{
	uint32_t size = tree_u32(tree + 4);

	return tree_u32(tree) == TREE_MAGIC && size >= TREE_HEADER && size <= TREE_SIZE_MAX ? size : 0;
}

/* Find the console in a tree of that size; false when it has none that we know. */
static inline bool tree_console(const unsigned char *tree, uint32_t size, struct uart *uart)
{
	struct walk walk;	/* not all of it is set: that would be a call of memset(), which a guest lacks */

	walk.tree = (struct bytes){ tree, size };
	walk.next = tree_u32(tree + 8);
	walk.depth = 0;
	walk.node = (struct node){ 0 };
	walk.strings = tree_part(walk.tree, tree_u32(tree + 12), tree_u32(tree + 32));
	if (walk.next > size || walk.next % 4 || !tree_walk(&walk))
		return false;
	*uart = walk.node.uart;
	return true;
}

#endif /* CCSIGHT_DEVICETREE_H */

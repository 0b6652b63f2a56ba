/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_MACHINE_H
#define RELATD_MACHINE_H

#include "dialogue.h"
#include "packet.h"

/*
 * Walks a helper's table over the new bytes of a control packet. One dependent load per byte: class and
 * state give an entry, which says the next state and what of the byte goes into which register. The loop
 * is left only where a message ends, nothing matches, or IPv6 text needs a hand. The one other branch, over bytes that
 * no register keeps, breaks a chain of stores and loads that would take longer than all the rest.
 */
#define WALK_BYTES 64 /* per step: what a bounded loop may cost the verifier */
#define WALK_STEPS 4096 /* a packet that needs more goes to user space */

struct walk {
	struct __sk_buff *skb;
	struct stream *stream;
	struct machine *machine;
	__u32 machine_index;
	__u32 direction;
	__u32 seq; /* of the next byte */
	__u32 offset; /* in the packet, of the next block; 0: there is no packet, the block is all */
	__u32 left; /* bytes behind the block */
	__u32 at; /* in the block */
	__u32 length; /* of the block */
	__u32 verdict;
};

static __always_inline bool walk_load(struct walk *walk, struct scratch *scratch)
{
	__u32 length = walk->left;

	if (!length)
		return false;
	if (length > BLOCK)
		length = BLOCK;
	walk->left -= length;
	walk->at = 0;
	walk->length = length;
	/* 6.1 learns no lower bound from a comparison with zero. */
	opaque(length);
	length = ((length - 1) & (BLOCK - 1)) + 1;
	if (bpf_skb_load_bytes(walk->skb, walk->offset, scratch->block, length)) {
		walk->verdict = VERDICT_JUDGE;
		return false;
	}
	walk->offset += length;
	return true;
}

static __always_inline void walk_begin(struct walk *walk, struct walker *walker)
{
	struct dialogue *dialogue = &walk->stream->dialogue;
	__u32 index = dialogue->phase * walk->machine->sections + walker->section +
		      walk->direction * LIMIT_PHASES * LIMIT_SECTIONS;

	opaque(index);
	index &= 2 * LIMIT_PHASES * LIMIT_SECTIONS - 1;
	walker->row = walk->machine->start[index];
	walker->start = walk->seq;
}

/* Puts a byte through the table; returns the entry. `row` becomes the next state. */
static __always_inline __u64 walk_byte(const struct machine *machine, struct walker *walker,
				       __u32 *row, __u32 byte, __u32 class)
{
	__u32 at = *row + class, reg;
	__u64 entry, raw, value;

	opaque(at);
	at &= LIMIT_TRANSITIONS - 1;
	entry = *(const __u64 *)&machine->transition[at];
	reg = entry >> 32 & 255;
	if (reg != LIMIT_NO_REGISTER) {
		raw = entry >> 40 & 255;
		value = ((byte & 15) + 9 * (byte >> 6)) & ~raw;
		value |= byte & raw;
		opaque(reg);
		reg &= LIMIT_REGISTERS;
		walker->reg[reg] = walker->reg[reg] * (entry >> 16 & 0xffff) + value;
	}
	*row = entry & 0xffff;
	return entry;
}

static __always_inline void walk_stop(struct walk *walk, struct walker *walker, __u64 entry)
{
	__u32 argument = entry >> 56;

	switch (entry >> 48 & 255) {
	case STOP_MESSAGE:
		walk->verdict =
			dialogue_message(walk->stream, walk->direction, argument, walk->seq);
		break;
	case STOP_IP6_BEGIN:
		walker->groups = 0;
		walker->gap = LIMIT_STAYS;
		if ((entry >> 32 & LIMIT_REGISTERS) == LIMIT_NO_REGISTER)
			walker->reg[argument & LIMIT_REGISTERS] = ~0U;
		break;
	case STOP_IP6_GROUP:
		walker_put_group(walker, argument);
		break;
	case STOP_IP6_GAP:
		walker->gap = walker->groups;
		break;
	default:
		walk->verdict = machine_unmatched(walk->machine);
	}
}

/*
 * Walks bytes of the block until one needs more than the table; returns how many. The last entry is in the scratch.
 * A global function, so that the verifier goes through its loop once.
 */
__noinline int walk_bytes(struct walker *walker, __u32 index, __u32 at, __u32 length)
{
	if (!walker)
		return 0;
	struct machine *machine = bpf_map_lookup_elem(&machines, &index);
	struct scratch *scratch = scratch_get();
	__u32 done, row = walker->row;
	__u64 entry = 0;

	if (!machine || !scratch)
		return 0;
	for (done = 0; done < WALK_BYTES; done++) {
		__u32 byte, here = at + done;

		if (done >= length)
			break;
		opaque(here);
		byte = scratch->block[here & (BLOCK - 1)];
		entry = walk_byte(machine, walker, &row, byte, machine->class_of[byte]);
		if (entry >> 48 & 255) {
			done++;
			break;
		}
	}
	scratch->entry = entry;
	walker->row = row;
	return done;
}

static long walk_step(__u32 index, struct walk *walk)
{
	struct scratch *scratch = scratch_get();
	struct machine *machine = walk->machine;
	struct walker *walker;
	__u32 at, length, done;
	__u64 entry;

	if (!scratch || !machine || !walk->stream)
		return 1;
	walker = &walk->stream->walker[walk->direction & 1];
	if (walk->at >= walk->length && !walk_load(walk, scratch))
		return 1;
	at = walk->at;
	length = walk->length - at;
	if (walker->skip) {
		if (length > walker->skip)
			length = walker->skip;
		walker->skip -= length;
		walk->at += length;
		walk->seq += length;
		return 0;
	}
	if (!walker->row)
		walk_begin(walk, walker);
	done = walk_bytes(walker, walk->machine_index, at, length);
	entry = scratch->entry;
	walk->at += done;
	walk->seq += done;
	if (entry >> 48 & 255)
		walk_stop(walk, walker, entry);
	return walk->verdict != VERDICT_GO_ON;
}

static __always_inline void walk_run(struct walk *walk)
{
	/* Most packets are one short message: the detour through the helper is for the others. */
	if (!walk_step(0, walk) && (walk->at < walk->length || walk->left))
		bpf_loop(WALK_STEPS, walk_step, walk, 0);
	if (walk->verdict == VERDICT_GO_ON && (walk->at < walk->length || walk->left))
		walk->verdict = VERDICT_JUDGE;
}

/* Where a datagram ends is for the table to know as well. */
static __always_inline void walk_end(struct walk *walk)
{
	struct machine *machine = walk->machine;
	struct walker *walker;
	__u64 entry;
	__u32 row;

	if (!machine || !walk->stream)
		return;
	walker = &walk->stream->walker[walk->direction & 1];
	if (!walker->row)
		walk_begin(walk, walker);
	row = walker->row;
	entry = walk_byte(machine, walker, &row, 0, machine->end_class);
	if (entry >> 48 & 255)
		walk_stop(walk, walker, entry);
}

#endif

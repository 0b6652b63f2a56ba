/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_PARKED_H
#define RELATD_PARKED_H

#include "machine.h"

/*
 * A segment that comes before the bytes in front of it goes on at once, and its bytes are kept here until
 * the gap closes: the receiver cannot read them earlier either. One stretch per direction; what does not
 * fit is dropped, and TCP sends it again.
 */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct parked);
} parked_scratch SEC(".maps");

/* Keeps a segment; false: there is no room. */
__noinline int parked_keep(struct __sk_buff *skb, const struct packet *packet,
			   struct stream_side *side, __u64 flow)
{
	if (!packet || !side)
		return 0;
	__u64 key = flow << 1 | (packet->direction & 1);
	__u32 length = packet->payload_length, at = 0;
	__u32 zero = 0;
	struct parked *fresh = bpf_map_lookup_elem(&parked_scratch, &zero);
	struct parked *entry;

	/* What urgent bytes mean is not for the tables to judge, in their turn either. */
	if (!fresh || !length || length > LIMIT_PARKED || packet->tcp_flags & TCP_URG)
		return 0;
	entry = bpf_map_lookup_elem(&parked, &key);
	if (!entry) {
		fresh->seq = packet->seq;
		fresh->length = 0;
		if (bpf_map_update_elem(&parked, &key, fresh, BPF_NOEXIST))
			return 0;
		entry = bpf_map_lookup_elem(&parked, &key);
		if (!entry)
			return 0;
		side->flags |= STREAM_PARKED;
	} else {
		at = entry->length;
		/* Only what follows on it. Of what is here already a second version may differ. */
		if (packet->seq != entry->seq + at || at + length > LIMIT_PARKED)
			return 0;
	}
	/* A load of a fixed size per step would cost more than the bounds that the verifier wants here. */
	opaque(at);
	at &= LIMIT_PARKED - 1;
	opaque(length);
	length = ((length - 1) & (LIMIT_PARKED - 1)) + 1;
	if (bpf_skb_load_bytes(skb, packet->payload, &entry->data[at], length))
		return 0;
	entry->length = at + length;
	return 1;
}

/* Whether all of a packet is kept already: the next hook that it passes sees it as well. */
__noinline int parked_has(const struct packet *packet, __u64 flow)
{
	if (!packet)
		return 0;
	__u64 key = flow << 1 | (packet->direction & 1);
	struct parked *entry = bpf_map_lookup_elem(&parked, &key);

	return entry && !seq_before(packet->seq, entry->seq) &&
	       !seq_after(packet->end, entry->seq + entry->length);
}

/*
 * Whether a segment has other bytes than were kept in their place: which of both the receiver has kept nobody can know.
 * A global function, so that the verifier goes through its loop once.
 */
__noinline int parked_differs(struct __sk_buff *skb, const struct packet *packet, __u64 flow)
{
	if (!packet)
		return 0;
	__u64 key = flow << 1 | (packet->direction & 1);
	struct parked *entry = bpf_map_lookup_elem(&parked, &key);
	struct scratch *scratch = scratch_get();
	__u32 from, length;

	if (!entry || !scratch)
		return 0;
	from = entry->seq - packet->seq;
	if (from >= packet->payload_length)
		return 0;
	length = packet->payload_length - from;
	if (length > entry->length)
		length = entry->length;
	opaque(length);
	length = ((length - 1) & (BLOCK - 1)) + 1;
	if (bpf_skb_load_bytes(skb, packet->payload + from, scratch->block, length))
		return 0;
	/* Or clang leaves the loop where both are equal, which says nothing of a bound. */
	opaque(length);
	for (__u32 i = 0; i < LIMIT_PARKED; i++) {
		__u32 here = i;

		if (i >= length)
			break;
		opaque(here);
		here &= BLOCK - 1;
		if (scratch->block[here] != entry->data[here])
			return 1;
	}
	return 0;
}

/* The gap is closed: what was kept goes through the tables as well. */
static __always_inline void parked_walk(struct walk *walk, __u64 flow)
{
	__u64 key = flow << 1 | walk->direction;
	struct parked *entry = bpf_map_lookup_elem(&parked, &key);
	struct scratch *scratch = scratch_get();
	__u32 old, length;

	if (!entry || !scratch || seq_after(entry->seq, walk->seq))
		return;
	length = entry->length;
	old = walk->seq - entry->seq;
	if (old >= length)
		return;
	__builtin_memcpy(scratch->block, entry->data, BLOCK);
	walk->at = old;
	walk->length = length;
	walk_run(walk);
}

/* Where a direction stands when everything up to `next` has gone on; forgets what was kept up to there. */
__noinline __u32 parked_join(struct stream_side *side, __u64 flow, __u32 direction, __u32 next)
{
	if (!side)
		return next;
	__u64 key = flow << 1 | (direction & 1);
	struct parked *entry = bpf_map_lookup_elem(&parked, &key);

	if (!entry) {
		side->flags &= ~STREAM_PARKED;
		return next;
	}
	if (seq_after(entry->seq, next))
		return next;
	next = seq_max(next, entry->seq + entry->length);
	parked_drop(side, flow, direction);
	return next;
}

#endif

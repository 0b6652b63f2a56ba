/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_NOTE_H
#define RELATD_NOTE_H

#include "clock.h"
#include "packet.h"
#include "state.h"
#include "tuple.h"

/*
 * What would leave no trace otherwise, for who asks later why a connection is not RELATED (docs/why.md). Direct-mapped
 * by a keyed hash: a newer note takes the place of an older one, nothing fills up, and nothing has to be removed. Nobody
 * decides anything by a note, so two CPUs may write one at once: what comes of it is a wrong line in an explanation.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_SYNS);
	__type(key, __u32);
	__type(value, struct syn);
} syns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_UNTRACKED);
	__type(key, __u32);
	__type(value, struct untracked);
} untracked SEC(".maps");

/*
 * When the daemon was last known to live, boot time in ns. The datapath never looks; it is here to be pinned: after a kill
 * nothing else tells.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} heartbeat SEC(".maps");

#define NSEC_PER_MSEC 1000000ULL
#define UNTRACKED_STEP 1000 /* ms: other packets only read the note */

static __always_inline __u32 note_age(__u64 since)
{
	return (clock_boot() - since) / NSEC_PER_MSEC;
}

/* Every SYN, once per hook: a store into one cache line. */
__noinline int syn_note(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return 0;
	bool egress = (packet->hook & HOOK_SIDE) == HOOK_EGRESS;
	struct config *config = config_get();
	struct syn *syn;
	__u32 index;

	if (!config)
		return 0;
	index = tuple_tag(&packet->tuple, config->seed) & (LIMIT_SYNS - 1);
	syn = bpf_map_lookup_elem(&syns, &index);
	if (!syn)
		return 0;
	if (syn->seq == packet->seq && tuple_equal(&syn->tuple, &packet->tuple)) {
		bool here =
			syn->ifindex == skb->ifindex && egress == !!(syn->flags & SYN_FROM_HERE);

		if (here) {
			syn->last = note_age(syn->time);
			if (syn->count < 255)
				syn->count++;
		} else if (egress && !(syn->flags & SYN_FROM_HERE)) {
			syn->flags |= SYN_LEFT;
		}
		return 0;
	}
	syn->tuple = packet->tuple;
	syn->time = clock_boot();
	syn->last = 0;
	syn->seq = packet->seq;
	syn->ifindex = skb->ifindex;
	syn->vlan = packet->vlan;
	syn->count = 1;
	syn->flags = egress ? SYN_FROM_HERE : 0;
	return 0;
}

/*
 * `why_reason`: why << 8 | reason. A packet to an assigned port, or a SYN-ACK from one, of a connection that is not
 * tracked. What was known at the handshake stays.
 */
__noinline int untracked_note(const struct packet *packet, __u32 ifindex, __u32 why_reason)
{
	if (!packet)
		return 0;
	bool answer = packet->tcp_flags & TCP_SYN;
	__u32 index = packet->tag & (LIMIT_UNTRACKED - 1);
	struct untracked *note = bpf_map_lookup_elem(&untracked, &index);
	__u8 why = why_reason >> 8;

	if (!note)
		return 0;
	if (!answer && why == UNTRACKED_UNSEEN && note->time &&
	    tuple_equal(&note->tuple, &packet->tuple)) {
		__u32 age = note_age(note->time);

		if (age - note->last >= UNTRACKED_STEP)
			note->last = age;
		return 0;
	}
	if (answer)
		tuple_reverse(&packet->tuple, &note->tuple);
	else
		note->tuple = packet->tuple;
	note->time = clock_boot();
	note->last = 0;
	note->ifindex = ifindex;
	note->why = why;
	note->reason = why_reason;
	return 0;
}

#endif

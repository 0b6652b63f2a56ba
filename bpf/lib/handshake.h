/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_HANDSHAKE_H
#define RELATD_HANDSHAKE_H

#include "assignment.h"
#include "flow.h"
#include "note.h"
#include "policy.h"

/*
 * Connections between SYN-ACK and the handshake's last ACK, 16 bytes each, in sets of eight by a keyed
 * hash; within a set the oldest is replaced. A flood has to bring eight newer entries into one set
 * within a round trip to push out an honest one, and can never push out an established connection.
 * Two CPUs that write one set at once may lose one of the two: the connection then goes untracked.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct embryo_set);
} embryos SEC(".maps");

#define EMBRYO_AGE_SHIFT 28 /* ns to steps of 268 ms */

static __always_inline __u16 embryo_clock(void)
{
	return clock_coarse() >> EMBRYO_AGE_SHIFT;
}

static __always_inline struct embryo_set *embryo_set_find(const struct config *config, __u64 tag)
{
	__u32 index = (__u32)tag & config->embryo_mask;

	return bpf_map_lookup_elem(&embryos, &index);
}

static __always_inline __u32 embryo_tag(__u64 tag)
{
	return tag >> 32;
}

static __always_inline struct embryo *embryo_find(struct embryo_set *set, __u64 tag)
{
#pragma unroll
	for (int i = 0; i < LIMIT_EMBRYO_WAYS; i++) {
		if (set->way[i].flags & EMBRYO_USED && set->way[i].tag == embryo_tag(tag))
			return &set->way[i];
	}
	return NULL;
}

static __always_inline struct embryo *embryo_oldest(struct embryo_set *set, __u16 now)
{
	struct embryo *oldest = &set->way[0];

#pragma unroll
	for (int i = 0; i < LIMIT_EMBRYO_WAYS; i++) {
		struct embryo *way = &set->way[i];

		if (!(way->flags & EMBRYO_USED))
			return way;
		if ((__u16)(now - way->age) > (__u16)(now - oldest->age))
			oldest = way;
	}
	return oldest;
}

static __always_inline bool embryo_is_old(const struct config *config, const struct embryo *embryo)
{
	__u16 age = embryo_clock() - embryo->age;

	return (__u64)age << EMBRYO_AGE_SHIFT > config->idle_half_open;
}

__noinline int embryo_put(const struct config *config, __u64 tag, __u32 client, __u32 server,
			  __u32 flags_ttl)
{
	if (!config)
		return 0;
	struct embryo_set *set = embryo_set_find(config, tag);
	__u8 flags = flags_ttl >> 8, ttl = flags_ttl;
	struct embryo *embryo;

	if (!set)
		return 0;
	embryo = embryo_find(set, tag);
	if (embryo) {
		/* Not for good: a forged SYN-ACK would close this tuple for all time. */
		if (embryo->flags & EMBRYO_NEVER && !embryo_is_old(config, embryo))
			return 0;
		/* The same SYN-ACK at the next hook, or again: what the first hook knew stays. */
		if (!(embryo->flags & EMBRYO_SYN_DATA) && embryo->client == client &&
		    embryo->server == server && !(flags & EMBRYO_NEVER))
			return 0;
		/* The SYN's data counts as sent if the server acknowledges any of it (RFC 7413). */
		if (embryo->flags & EMBRYO_SYN_DATA && !(flags & EMBRYO_SYN_DATA) &&
		    embryo->client != client)
			flags |= EMBRYO_FAST_OPEN;
	} else {
		embryo = embryo_oldest(set, embryo_clock());
	}
	embryo->tag = embryo_tag(tag);
	embryo->client = client;
	embryo->server = server;
	embryo->age = embryo_clock();
	embryo->ttl = ttl;
	embryo->flags = EMBRYO_USED | flags;
	return 0;
}

/* A control connection as it begins, in this CPU's scratch. */
static __always_inline struct flow_scratch *control_begin(const struct config *config,
							  const struct packet *packet,
							  const struct assignment *assignment)
{
	__u32 zero = 0, id = assignment->id;
	struct flow_scratch *scratch = bpf_map_lookup_elem(&flow_scratches, &zero);
	struct policy *policy = bpf_map_lookup_elem(&policies, &id);

	if (!scratch)
		return NULL;
	__builtin_memset(scratch, 0, sizeof(*scratch));
	if (packet->swapped)
		scratch->flow.flags |= FLOW_OPENER_IS_SECOND;
	scratch->flow.kind = FLOW_CONTROL;
	scratch->flow.state = FLOW_ESTABLISHED;
	scratch->flow.tag = packet->tag;
	scratch->flow.created = clock_boot();
	scratch->flow.last = clock_coarse();
	scratch->flow.mark = assignment->mark;
	scratch->flow.assignment = assignment->id;
	scratch->flow.source_bucket =
		source_bucket(&packet->tuple.source, packet->tuple.zone, config->seed);
	scratch->flow.side[DIRECTION_ORIGINAL].owner = packet->me;
	scratch->stream.side[DIRECTION_ORIGINAL].ttl = packet->ttl;
	scratch->stream.dialogue.machine = policy ? policy->machine : 0;
	if (!scratch->stream.dialogue.machine)
		scratch->stream.dialogue.flags = DIALOGUE_JUDGED;
	return scratch;
}

static __always_inline bool control_insert(const struct packet *packet, __u32 ifindex,
					   struct flow_scratch *scratch)
{
	enum reason reason = flow_insert(&packet->key);

	if (reason != REASON_NONE) {
		count(reason);
		if (reason != REASON_LOST_RACE) {
			event_limited(EVENT_TABLE_FULL, reason, packet, ifindex);
			untracked_note(packet, ifindex, UNTRACKED_LIMIT << 8 | reason);
		}
		return false;
	}
	noted_add(&packet->tuple);
	event_flow(EVENT_CONTROL_NEW, REASON_NONE, &packet->key, &scratch->flow);
	return true;
}

/*
 * By which interface a connection came into this host, as routing names it; for a local one, by which it
 * leaves.
 */
static __always_inline __u32 opening_ifindex(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 ifindex = skb->ingress_ifindex && (packet->hook & HOOK_SIDE) == HOOK_EGRESS ?
				skb->ingress_ifindex :
				skb->ifindex;
	struct interface *interface = interface_find(ifindex, packet->vlan);

	return interface ? interface->routing : ifindex;
}

/* The ACK that completes a handshake: the connection becomes a control connection. */
__noinline int handshake_complete(const struct config *config, const struct packet *packet,
				  __u32 ifindex)
{
	if (!config || !packet)
		return 0;
	struct embryo_set *set = embryo_set_find(config, packet->tag);
	struct assignment *assignment;
	struct flow_scratch *scratch;
	struct embryo *embryo;
	__u8 flags;

	if (!set)
		return 0;
	embryo = embryo_find(set, packet->tag);
	if (!embryo)
		return untracked_note(packet, ifindex, UNTRACKED_UNSEEN << 8);
	flags = embryo->flags;
	if (flags & (EMBRYO_NEVER | EMBRYO_SYN_DATA) || embryo->client != packet->seq ||
	    embryo->server != packet->ack) {
		count(REASON_HANDSHAKE);
		return untracked_note(packet, ifindex, UNTRACKED_UNSEEN << 8 | REASON_HANDSHAKE);
	}
	if (embryo_is_old(config, embryo))
		return untracked_note(packet, ifindex, UNTRACKED_UNSEEN << 8 | REASON_HANDSHAKE);
	assignment = assignment_find(config, &packet->tuple, ifindex);
	if (!assignment)
		return untracked_note(packet, ifindex, UNTRACKED_NOT_COVERED << 8);
	scratch = control_begin(config, packet, assignment);
	if (!scratch)
		return 0;
	if (flags & EMBRYO_TRANSLATED)
		scratch->flow.flags |= FLOW_TRANSLATED;
	if (flags & EMBRYO_FAST_OPEN)
		scratch->flow.trust = REASON_FAST_OPEN;
	scratch->flow.side[DIRECTION_ORIGINAL].next = packet->seq;
	scratch->flow.side[DIRECTION_REPLY].next = packet->ack;
	scratch->stream.side[DIRECTION_ORIGINAL].held_end = packet->seq;
	scratch->stream.side[DIRECTION_REPLY].held_end = packet->ack;
	scratch->stream.side[DIRECTION_REPLY].ttl = embryo->ttl;
	if (!control_insert(packet, ifindex, scratch))
		return 0;
	embryo->flags = 0;
	return 1;
}

/* A datagram that an assignment covers begins a control connection: there is no handshake to wait for. */
__noinline int datagram_begin(const struct config *config, const struct packet *packet,
			      __u32 ifindex)
{
	if (!config || !packet)
		return 0;
	struct assignment *assignment = assignment_find(config, &packet->tuple, ifindex);
	struct flow_scratch *scratch;

	if (!assignment)
		return 0;
	scratch = control_begin(config, packet, assignment);
	return scratch && control_insert(packet, ifindex, scratch);
}

/*
 * A TCP packet of no known flow with an assigned port. Nothing is kept for a bare SYN: the entry is made by
 * the SYN-ACK, when the server has agreed. Returns 1 when a control connection was made.
 */
static __always_inline int handshake_see(struct __sk_buff *skb, const struct config *config,
					 const struct packet *packet, bool seen)
{
	__u8 flags = packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST);
	struct tuple reverse;

	if (flags == (TCP_SYN | TCP_ACK)) {
		tuple_reverse(&packet->tuple, &reverse);
		if (assignment_find(config, &reverse, 0)) {
			/*
			 * At egress, from a watched interface, and this tuple was not there: address
			 * translation happened on the way (embryo_put keeps what the first hook knew).
			 */
			embryo_put(config, packet->tag, packet->ack, packet->seq + 1,
				   (seen ? EMBRYO_TRANSLATED : 0) << 8 | packet->ttl);
		} else if (assignment_find(config, &packet->tuple, 0)) {
			embryo_put(config, packet->tag, 0, 0, EMBRYO_NEVER << 8);
		} else if (!seen && assignment_port_find(config, &reverse)) {
			untracked_note(packet, 0, UNTRACKED_NOT_COVERED << 8);
		}
		return 0;
	}
	if (seen || !assignment_port_find(config, &packet->tuple))
		return 0;
	if (flags == TCP_SYN) {
		if (packet->payload_length && assignment_find(config, &packet->tuple, 0))
			embryo_put(config, packet->tag, packet->seq + 1, 0, EMBRYO_SYN_DATA << 8);
		return 0;
	}
	if (flags == TCP_ACK)
		return handshake_complete(config, packet, opening_ifindex(skb, packet));
	return 0;
}

#endif

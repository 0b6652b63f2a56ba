/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_GUARD_H
#define RELATD_GUARD_H

#include "event.h"

/* Destinations to which a new TCP connection is dropped unless it is RELATED. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_GUARDS);
	__type(key, __u32);
	__type(value, struct guard);
} guards SEC(".maps");

struct guard_walk {
	const struct packet *packet;
	__u32 readable; /* without readable ports every port counts */
	__u32 found;
};

static long guard_step(__u32 index, struct guard_walk *walk)
{
	struct guard *guard = bpf_map_lookup_elem(&guards, &index);
	__u16 port = bpf_ntohs(walk->packet->tuple.destination_port);

	if (!guard)
		return 1;
	if (guard->family && guard->family != walk->packet->tuple.family)
		return 0;
	if (!ip_in_prefix(&walk->packet->tuple.destination, &guard->to, &guard->mask))
		return 0;
	if (walk->readable && (port < guard->from_port || port > guard->to_port))
		return 0;
	walk->found = 1;
	return 1;
}

__noinline int guard_covers(const struct config *config, const struct packet *packet,
			    __u32 readable)
{
	if (!config || !packet)
		return 0;
	struct guard_walk walk = { .packet = packet, .readable = readable };

	bpf_loop(config->guards, guard_step, &walk, 0);
	return walk.found;
}

static __always_inline int guard_drop(struct __sk_buff *skb, const struct packet *packet,
				      enum reason reason)
{
	count(reason);
	event_limited(EVENT_GUARD_DROP, reason, packet, skb->ifindex);
	return DROP;
}

/* A packet with a readable tuple that belongs to no flow and met no expectation. */
static __always_inline int guard_packet(struct __sk_buff *skb, const struct config *config,
					const struct packet *packet)
{
	if (likely(!config->guards) || packet->tuple.protocol != IPPROTO_TCP ||
	    (packet->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return PASS;
	return guard_covers(config, packet, 1) ? guard_drop(skb, packet, REASON_GUARD) : PASS;
}

/* Behind the IPv6 extension headers that receivers skip there may be TCP, in a first fragment as well. */
static __always_inline bool guard_may_be_tcp(const struct tuple *tuple)
{
	switch (tuple->protocol) {
	case IPPROTO_TCP:
		return true;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
		return tuple->family == 6;
	}
	return false;
}

/*
 * A packet without a readable tuple. What is known not to be TCP passes; a receiver puts fragments
 * together, so each of them is dropped.
 */
static __always_inline int guard_unreadable(struct __sk_buff *skb, const struct config *config,
					    const struct packet *packet, enum reason reason)
{
	if (likely(!config->guards) || !packet->tuple.family || reason == REASON_NOT_IP)
		return PASS;
	if (!guard_may_be_tcp(&packet->tuple))
		return PASS;
	return guard_covers(config, packet, 0) ? guard_drop(skb, packet, REASON_GUARD_FRAGMENT) :
						 PASS;
}

#endif

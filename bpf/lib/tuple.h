/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_TUPLE_H
#define RELATD_TUPLE_H

#include "base.h"

static __always_inline bool ip_in_prefix(const union ip *address, const union ip *prefix,
					 const union ip *mask)
{
	return !(((address->half[0] ^ prefix->half[0]) & mask->half[0]) |
		 ((address->half[1] ^ prefix->half[1]) & mask->half[1]));
}

static __always_inline void ip_from_v4(union ip *ip, __be32 address)
{
	ip->half[0] = 0;
	ip->word[2] = bpf_htonl(0xffff);
	ip->word[3] = address;
}

static __always_inline bool ip_is_v4(const union ip *ip)
{
	return !ip->half[0] && ip->word[2] == bpf_htonl(0xffff);
}

static __always_inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

static __always_inline void tuple_reverse(const struct tuple *in, struct tuple *out)
{
	out->source = in->destination;
	out->destination = in->source;
	out->source_port = in->destination_port;
	out->destination_port = in->source_port;
	out->protocol = in->protocol;
	out->family = in->family;
	out->zone = in->zone;
}

/*
 * The key of a flow: endpoints sorted, so that both directions find one entry. Any total order does.
 * Returns whether the packet's source is the key's second endpoint.
 */
static __always_inline bool tuple_key(const struct tuple *packet, struct tuple *key)
{
	__u64 s0 = packet->source.half[0], d0 = packet->destination.half[0];
	__u64 s1 = packet->source.half[1], d1 = packet->destination.half[1];
	bool swap = s0 > d0 ||
		    (s0 == d0 &&
		     (s1 > d1 || (s1 == d1 && packet->source_port > packet->destination_port)));

	if (swap)
		tuple_reverse(packet, key);
	else
		*key = *packet;
	return swap;
}

static __always_inline __u64 tuple_tag(const struct tuple *key, __u64 seed)
{
	const __u64 *word = (const __u64 *)key;
	__u64 hash = seed;

#pragma unroll
	for (int i = 0; i < 5; i++) {
		/*
		 * Folded before it is multiplied: what differs in a word's upper half only (IPv4
		 * neighbours) would not reach the lower bits, and sets of embryos would overflow.
		 */
		hash ^= word[i];
		hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ULL;
	}
	return hash ^ hash >> 32;
}

#endif

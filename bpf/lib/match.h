/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_MATCH_H
#define RELATD_MATCH_H

#include "expect.h"
#include "flow.h"

/*
 * What `iptables -m bpf --object-pinned` asks: does this packet belong to a related flow, or would it match an
 * expectation, of one assignment? Reads only. Rules hold a stub of a few instructions (native/addon/match.cc),
 * which puts its number into skb->cb and tail-calls slot 0 here; both outlive the rest of the datapath, and then
 * match nothing. Such a program has no access to packet memory but bpf_skb_load_bytes, and begins at the IP header.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} match_programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_MATCHES);
	__type(key, __u32);
	__type(value, struct match);
} matches SEC(".maps");

struct match_ports {
	__be16 source;
	__be16 destination;
};

static __always_inline bool match_v4(struct __sk_buff *skb, struct tuple *tuple, __u32 *transport)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.frag_off & bpf_htons(0x1fff))
		return false;
	tuple->family = 4;
	tuple->protocol = ip.protocol;
	ip_from_v4(&tuple->source, ip.saddr);
	ip_from_v4(&tuple->destination, ip.daddr);
	*transport = ip.ihl * 4;
	return true;
}

static __always_inline bool match_v6(struct __sk_buff *skb, struct tuple *tuple, __u32 *transport)
{
	__u32 here = sizeof(struct ipv6hdr);
	struct ipv6hdr ip;
	__u8 next;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return false;
	tuple->family = 6;
	__builtin_memcpy(&tuple->source, &ip.saddr, 16);
	__builtin_memcpy(&tuple->destination, &ip.daddr, 16);
	next = ip.nexthdr;
#pragma unroll
	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		struct extension_header extension;

		if (next == IPPROTO_TCP || next == IPPROTO_UDP)
			break;
		if (bpf_skb_load_bytes(skb, here, &extension, sizeof(extension)))
			return false;
		if (next == IPPROTO_FRAGMENT) {
			if (extension.offset & bpf_htons(0xfff8))
				return false;
			here += 8;
		} else if (next == IPPROTO_AH) {
			here += (extension.length + 2) * 4;
		} else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
			   next == IPPROTO_DSTOPTS) {
			here += (extension.length + 1) * 8;
		} else {
			return false;
		}
		next = extension.next;
	}
	tuple->protocol = next;
	*transport = here;
	return true;
}

/* The tuple of a packet; whether it may open a connection. */
static __always_inline bool match_read(struct __sk_buff *skb, struct tuple *tuple, bool *opens)
{
	struct match_ports ports;
	__u8 flags, version;
	__u32 transport;

	if (bpf_skb_load_bytes(skb, 0, &version, sizeof(version)))
		return false;
	version >>= 4;
	if (version == 4 ? !match_v4(skb, tuple, &transport) :
			   version != 6 || !match_v6(skb, tuple, &transport))
		return false;
	if (tuple->protocol != IPPROTO_TCP && tuple->protocol != IPPROTO_UDP)
		return false;
	if (bpf_skb_load_bytes(skb, transport, &ports, sizeof(ports)))
		return false;
	tuple->source_port = ports.source;
	tuple->destination_port = ports.destination;
	*opens = true;
	if (tuple->protocol == IPPROTO_UDP)
		return true;
	if (bpf_skb_load_bytes(skb, transport + 13, &flags, sizeof(flags)))
		return false;
	*opens = tcp_opens(flags);
	return true;
}

SEC("socket")
int relatd_match(struct __sk_buff *skb)
{
	struct config *config = config_get();
	struct totals *totals = totals_get();
	struct expect_match expectation = {};
	struct tuple tuple = {}, key;
	__u32 slot = skb->cb[0];
	struct match *match = bpf_map_lookup_elem(&matches, &slot);
	struct flow *flow;
	__u32 wanted;
	bool opens;

	if (!match || !match->assignment || !config || !totals || !match_read(skb, &tuple, &opens))
		return 0;
	wanted = match->assignment - 1;
	tuple.zone = interface_zone(skb->ifindex);
	tuple_key(&tuple, &key);
	flow = flow_find(&key, tuple_tag(&key, config->seed));
	if (flow)
		return flow->kind == FLOW_RELATED && flow->state != FLOW_CLAIMING &&
		       flow->assignment == wanted;
	return opens && expect_find(totals, &tuple, clock_boot(), &expectation) &&
	       expectation.expect->assignment == wanted;
}

#endif

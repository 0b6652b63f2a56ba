/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_INTERFACE_H
#define RELATD_INTERFACE_H

#include "base.h"

/* Written by user space: watched interfaces, those stacked above or below them, VLANs with a zone of their own. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct interface_key);
	__type(value, struct interface);
} interfaces SEC(".maps");

static __always_inline struct interface *interface_find(__u32 ifindex, __u32 vlan)
{
	struct interface_key key = { .ifindex = ifindex, .vlan = vlan };
	struct interface *found;

	if (vlan) {
		found = bpf_map_lookup_elem(&interfaces, &key);
		if (found)
			return found;
		key.vlan = 0;
	}
	return bpf_map_lookup_elem(&interfaces, &key);
}

static __always_inline __u16 interface_zone(__u32 ifindex)
{
	struct interface *interface = interface_find(ifindex, 0);

	return interface ? interface->zone : 0;
}

/*
 * Whether a packet at egress has been at one of our ingress hooks before: then everything that it may
 * begin was begun there. On the way up through a bridge or VLAN the kernel overwrites the ingress
 * interface, so those that are stacked with a watched one count as well.
 */
static __always_inline bool seen_at_ingress(struct __sk_buff *skb, __u8 hook)
{
	return (hook & HOOK_SIDE) == HOOK_EGRESS && skb->ingress_ifindex &&
	       interface_find(skb->ingress_ifindex, 0);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_PORT_H
#define RELATD_PORT_H

#include <linux/in.h>
#include "state.h"

/*
 * The filter that lets other traffic leave early: how many assignments, flows and expectations use a
 * port on their listening side. Exact, because it counts: no bit to be cleared while somebody sets it.
 * A packet neither of whose ports is in use belongs to nothing of ours.
 */
#define PORTS 65536
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * PORTS);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

/* Above this many ports most packets would pass the filter: then it only adds. */
#define PORTS_BYPASS (PORTS / 4)

static __always_inline __u32 port_index(__u8 protocol, __be16 port)
{
	return (protocol == IPPROTO_UDP ? PORTS : 0) + bpf_ntohs(port);
}

static __always_inline bool port_in_use(__u8 protocol, __be16 port)
{
	__u32 key = port_index(protocol, port);
	__u32 *users = bpf_map_lookup_elem(&ports, &key);

	return users && READ_ONCE(*users);
}

/* Taken before the entry becomes visible, given back after it is gone. */
static __always_inline void port_take(struct totals *totals, __u8 protocol, __be16 port)
{
	__u32 key = port_index(protocol, port);
	__u32 *users = bpf_map_lookup_elem(&ports, &key);

	if (users && !__sync_fetch_and_add(users, 1))
		__sync_fetch_and_add(&totals->ports, 1);
}

static __always_inline void port_give(struct totals *totals, __u8 protocol, __be16 port)
{
	__u32 key = port_index(protocol, port);
	__u32 *users = bpf_map_lookup_elem(&ports, &key);

	if (users && __sync_fetch_and_add(users, -1) == 1)
		__sync_fetch_and_add(&totals->ports, -1);
}

static __always_inline bool port_filter_passes(const struct totals *totals,
					       const struct tuple *tuple)
{
	return totals->ports > PORTS_BYPASS || port_in_use(tuple->protocol, tuple->source_port) ||
	       port_in_use(tuple->protocol, tuple->destination_port);
}

#endif

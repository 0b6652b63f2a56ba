/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_ASSIGNMENT_H
#define RELATD_ASSIGNMENT_H

#include <linux/in.h>
#include "state.h"
#include "tuple.h"

/* Two banks: user space writes the idle one, then names it in the configuration. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * LIMIT_ASSIGNMENTS);
	__type(key, __u32);
	__type(value, struct assignment);
} assignments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * LIMIT_ASSIGNMENTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* bank << 24 | protocol << 16 | port */
	__type(value, struct assignment_port);
} assignment_ports SEC(".maps");

static __always_inline struct assignment_port *assignment_port_find(const struct config *config,
								    const struct tuple *tuple)
{
	__u32 key = config->bank << 24 | tuple->protocol << 16 | bpf_ntohs(tuple->destination_port);

	return bpf_map_lookup_elem(&assignment_ports, &key);
}

/* The same ports as bits, for a quick no: a packet of no assigned port begins no control connection. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * 2); /* by bank, TCP and UDP */
	__type(key, __u32);
	__type(value, struct port_bits);
} assigned_ports SEC(".maps");

static __always_inline bool port_has_bit(const struct port_bits *bits, __be16 port)
{
	__u16 number = bpf_ntohs(port);

	return bits->byte[number >> 3] >> (number & 7) & 1;
}

static __always_inline bool tuple_is_assigned(const struct config *config,
					      const struct tuple *tuple)
{
	__u32 key = (config->bank & 1) << 1 | (tuple->protocol == IPPROTO_UDP);
	const struct port_bits *bits = bpf_map_lookup_elem(&assigned_ports, &key);

	return !bits || port_has_bit(bits, tuple->source_port) ||
	       port_has_bit(bits, tuple->destination_port);
}

/*
 * What user space calls the assignments. The datapath never looks; they are here to be pinned, so that
 * flows keep their names across restarts and `status` can tell them with no daemon.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_ASSIGNMENTS);
	__type(key, __u32);
	__type(value, struct assignment_name);
} assignment_names SEC(".maps");

struct assignment_walk {
	const struct tuple *tuple;
	__u32 first;
	__u32 ifindex;
	__u32 found; /* index + 1 */
};

static long assignment_step(__u32 index, struct assignment_walk *walk)
{
	__u32 key = walk->first + index;
	struct assignment *assignment = bpf_map_lookup_elem(&assignments, &key);

	if (!assignment)
		return 1;
	if (assignment->ifindex && walk->ifindex && assignment->ifindex != walk->ifindex)
		return 0;
	if (assignment->family && assignment->family != walk->tuple->family)
		return 0;
	if (!ip_in_prefix(&walk->tuple->source, &assignment->from, &assignment->from_mask) ||
	    !ip_in_prefix(&walk->tuple->destination, &assignment->to, &assignment->to_mask))
		return 0;
	walk->found = key + 1;
	return 1;
}

/* The most specific assignment that covers a connection opened by this tuple. ifindex 0: any interface will do. */
static __noinline struct assignment *assignment_find(const struct config *config,
						     const struct tuple *tuple, __u32 ifindex)
{
	struct assignment_port *port = assignment_port_find(config, tuple);
	struct assignment_walk walk = { .tuple = tuple, .ifindex = ifindex };
	__u32 key;

	if (!port)
		return NULL;
	walk.first = (config->bank & 1) * LIMIT_ASSIGNMENTS + port->first;
	bpf_loop(port->count, assignment_step, &walk, 0);
	if (!walk.found)
		return NULL;
	key = walk.found - 1;
	return bpf_map_lookup_elem(&assignments, &key);
}

#endif

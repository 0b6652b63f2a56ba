/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_HOST_H
#define RELATD_HOST_H

#include "base.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct host);
} host SEC(".maps");

static __always_inline struct host *host_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&host, &zero);
}

/* Programs on a cgroup see the sockets of every network namespace. */
static __always_inline bool host_is_ours(__u64 netns)
{
	struct host *host = host_get();

	return host && host->netns == netns;
}

/*
 * Whether related connections get an entry of netfilter's connection tracking: then the first packet waits for user space,
 * which makes it.
 */
static __always_inline bool host_wants_conntrack(void)
{
	struct host *host = host_get();

	return host && host->conntrack;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_POLICY_H
#define RELATD_POLICY_H

#include "state.h"

/* What each assignment allows; its entry names the machine that reads its control connections. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_ASSIGNMENTS);
	__type(key, __u32);
	__type(value, struct policy);
} policies SEC(".maps");

static __always_inline struct policy *policy_find(__u16 assignment)
{
	__u32 key = assignment;

	return bpf_map_lookup_elem(&policies, &key);
}

#endif

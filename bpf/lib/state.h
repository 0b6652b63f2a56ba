/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_STATE_H
#define RELATD_STATE_H

#include "base.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_SOURCES);
	__type(key, __u32);
	__type(value, struct source);
} sources SEC(".maps");

static __always_inline struct config *config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline struct totals *totals_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&totals, &zero);
}

static __always_inline void count(enum reason reason)
{
	__u32 key = reason;
	__u64 *value = bpf_map_lookup_elem(&counters, &key);

	if (value)
		*value += 1;
}

static __always_inline __u64 id_next(struct totals *totals)
{
	return __sync_fetch_and_add(&totals->next_id, 1) + 1;
}

static __always_inline __u32 source_bucket(const union ip *address, __u16 zone, __u64 seed)
{
	__u64 hash = (address->half[0] ^ seed) * 0x9e3779b97f4a7c15ULL;

	hash = (hash ^ (hash >> 29) ^ address->half[1] ^ zone) * 0xbf58476d1ce4e5b9ULL;
	/* An IPv4 address ends in the topmost byte, which one multiplication carries no lower. */
	hash = (hash ^ (hash >> 32)) * 0x9e3779b97f4a7c15ULL;
	return (hash >> 40) & (LIMIT_SOURCES - 1);
}

static __always_inline struct source *source_get(__u32 bucket)
{
	return bpf_map_lookup_elem(&sources, &bucket);
}

/* Takes one of a bounded number; a failed attempt takes nothing. */
static __always_inline bool quota_take(__u32 *used, __u32 limit)
{
	if (__sync_fetch_and_add(used, 1) < limit)
		return true;
	__sync_fetch_and_add(used, -1);
	return false;
}

static __always_inline void quota_give(__u32 *used)
{
	__sync_fetch_and_add(used, -1);
}

#endif

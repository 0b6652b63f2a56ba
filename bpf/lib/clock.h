/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_CLOCK_H
#define RELATD_CLOCK_H

#include "base.h"

/*
 * Two clocks. Boot time goes on in suspend: deadlines and what people see. The coarse monotonic clock
 * costs next to nothing: the last packet of a flow. Tests set both by hand.
 */
#ifdef RELATD_TEST_CLOCK
struct test_clock {
	__u64 now;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct test_clock);
} test_clock SEC(".maps");

static __always_inline __u64 clock_boot(void)
{
	__u32 zero = 0;
	struct test_clock *clock = bpf_map_lookup_elem(&test_clock, &zero);

	return clock ? clock->now : 0;
}

static __always_inline __u64 clock_coarse(void)
{
	return clock_boot();
}
#else
static __always_inline __u64 clock_boot(void)
{
	return bpf_ktime_get_boot_ns();
}

static __always_inline __u64 clock_coarse(void)
{
	return bpf_ktime_get_coarse_ns();
}
#endif

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_BASE_H
#define RELATD_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "types.h"

#define NSEC_PER_SEC 1000000000ULL
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
/* Orders our own stores to a record before the store that makes it visible: x86 and the BPF JITs of
 * weaker machines order atomic read-modify-writes, so publish with one. */
#define barrier() asm volatile("" ::: "memory")

/*
 * Hides a value's history from clang, so that a bound checked here is the bound that the verifier sees
 * at the use, and a 32-bit context store stays one (the verifier refuses the byte store that clang
 * makes of `mark & ~mask | value`).
 */
#define opaque(x) asm volatile("" : "+r"(x))

/* Every pass is "next program": TC_ACT_OK would cut off everybody behind us. */
#define PASS TC_ACT_UNSPEC
#define DROP TC_ACT_SHOT

static __always_inline bool seq_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline bool seq_after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

static __always_inline __u32 seq_max(__u32 a, __u32 b)
{
	return seq_after(a, b) ? a : b;
}

#endif

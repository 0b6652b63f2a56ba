/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_SCRATCH_H
#define RELATD_SCRATCH_H

#include "base.h"

/*
 * What a walk works with, one per CPU: on the stack it would leave nothing to the functions below. Programs
 * that use it run with softirqs off, so nobody comes between.
 */
#define BLOCK 1024 /* payload bytes that are looked at together */
/* Announcements and withdrawals of one packet: two ranges, as one message may have. */
#define ACTS 32

enum act_kind {
	ACT_ANNOUNCE = 1,
	ACT_WITHDRAW,
};

/* What a packet's messages want done, once all of them are understood. */
struct act {
	union ip address;
	__u32 start; /* sequence numbers of the message */
	__u32 end;
	__u16 port; /* host order */
	__u8 kind;
	__u8 protocol;
	__u8 anyone;
	__u8 reserved[3];
};

struct scratch {
	__u8 block[BLOCK + 8];
	struct act act[ACTS];
	__u64 entry; /* of the last byte that was walked */
	__u32 acts;
	__u32 own_port; /* of the sender, host order */
	union ip own;
	union ip address; /* being read */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_WATCH_H
#define RELATD_WATCH_H

#include "packet.h"
#include "scratch.h"
#include "state.h"

/* A keyed hash of the bytes from `start` to `end`. False: they are not all in this packet. */
__noinline int watch_hash(struct __sk_buff *skb, const struct packet *packet, __u32 start,
			  __u32 end, __u64 *out)
{
	if (!packet || !out)
		return 0;
	struct scratch *scratch = scratch_get();
	struct config *config = config_get();
	__u32 from = start - packet->seq, length = end - start;
	__u64 hash;

	if (!scratch || !config || !length || length > LIMIT_MESSAGE ||
	    from > packet->payload_length || from + length > packet->payload_length)
		return 0;
	hash = config->seed + length;
	opaque(length);
	length = ((length - 1) & (LIMIT_MESSAGE - 1)) + 1;
	if (bpf_skb_load_bytes(skb, packet->payload + from, scratch->block, length))
		return 0;
#pragma unroll
	for (int i = 0; i < 7; i++)
		scratch->block[length + i] = 0;
	for (__u32 at = 0; at < LIMIT_MESSAGE; at += 8) {
		if (at >= length)
			break;
		hash = (hash ^ *(__u64 *)&scratch->block[at]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	*out = hash;
	return 1;
}

#endif

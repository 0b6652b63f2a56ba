/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_CHECKSUM_H
#define RELATD_CHECKSUM_H

#include "packet.h"
#include "scratch.h"

/*
 * Whether a receiver will take a TCP segment. Who could send one with a wrong checksum past us could have us
 * read what nobody else reads. Nothing to do where the device has checked, or the segment comes from a
 * stack that leaves the sum to the device (the field then holds that of the pseudo header).
 */
#define CHECKSUM_BLOCK 512 /* bpf_csum_diff takes no more */
#define CHECKSUM_BLOCKS 128
#define TCP_CHECKSUM 16 /* offset in the header */

struct checksum {
	struct __sk_buff *skb;
	__u32 offset;
	__u32 left;
	__u32 sum;
};

static __always_inline __u32 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static long checksum_step(__u32 index, struct checksum *walk)
{
	struct scratch *scratch = scratch_get();
	__u32 length = walk->left, whole;

	if (!scratch || !length)
		return 1;
	if (length > CHECKSUM_BLOCK)
		length = CHECKSUM_BLOCK;
	opaque(length);
	length = ((length - 1) & (CHECKSUM_BLOCK - 1)) + 1;
	if (bpf_skb_load_bytes(walk->skb, walk->offset, scratch->block, length))
		return 1;
#pragma unroll
	for (int i = 0; i < 3; i++)
		scratch->block[length + i] = 0;
	whole = (length + 3) & ~3U;
	walk->sum = bpf_csum_diff(NULL, 0, (__be32 *)scratch->block, whole, walk->sum);
	walk->offset += length;
	walk->left -= length;
	return 0;
}

static __always_inline bool packet_is_intact(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 length = packet->payload + packet->payload_length - packet->transport;
	const struct tuple *tuple = &packet->tuple;
	struct checksum walk = { .skb = skb, .offset = packet->transport, .left = length };
	__u64 pseudo = bpf_htonl(length);
	__u16 field = 0;

	if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0)
		return true;
	pseudo += bpf_htonl(IPPROTO_TCP);
	pseudo += (__u64)tuple->source.word[3] + tuple->destination.word[3];
	if (tuple->family == 6) {
#pragma unroll
		for (int i = 0; i < 3; i++)
			pseudo += (__u64)tuple->source.word[i] + tuple->destination.word[i];
	}
	bpf_skb_load_bytes(skb, packet->transport + TCP_CHECKSUM, &field, sizeof(field));
	if (field == checksum_fold(pseudo))
		return true;
	bpf_loop(CHECKSUM_BLOCKS, checksum_step, &walk, 0);
	return walk.left || checksum_fold(pseudo + walk.sum) == 0xffff;
}

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The harness for BPF_PROG_TEST_RUN: each repetition takes the next headers out of a ring, so that no
 * tuple stays hot, and tail-calls the program under test. The empty program behind the same ring is the
 * floor that all figures are to be read against.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PASS (-1)
#define HEADER_WORDS 10 /* IPv4 and TCP without options */
#define SEQUENCE 6 /* the word with the sequence number */
#define CHECKSUM 9 /* and the one with the checksum; no urgent pointer */
#define PAYLOAD (ETH_HLEN + 4 * HEADER_WORDS)
#define TURN_LIMIT 64 /* bytes of the payload that can be turned */

struct header {
	__u32 word[HEADER_WORDS];
};

struct cursor {
	__u32 start; /* first entry of the piece of the ring in use */
	__u32 count;
	__u32 next;
	__u32 hook; /* skb->cb[0] for the program under test */
	__u32 target; /* its slot */
	__u32 advance; /* sequence number's step from one time an entry is used to the next: the payload's length */
	__u32 turn
		[2]; /* offsets in the payload of two bytes that change places with each round; 0, 0: none */
	__u32 port[2]; /* for the yardstick: what is announced now, and what was the round before */
	__u32 rounds; /* begun */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct header);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cursor);
} cursor SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

/*
 * The next round announces another port, by turning two of its digits: the checksum stays, because they stand on bytes
 * of the same rank.
 */
static __always_inline void round_begin(struct __sk_buff *skb, struct cursor *at)
{
	__u32 one = at->turn[0], other = at->turn[1], port = at->port[0];
	__u8 first, second;

	if (!at->rounds++ || one == other || one >= TURN_LIMIT || other >= TURN_LIMIT)
		return;
	at->port[0] = at->port[1];
	at->port[1] = port;
	if (bpf_skb_load_bytes(skb, PAYLOAD + one, &first, 1) ||
	    bpf_skb_load_bytes(skb, PAYLOAD + other, &second, 1))
		return;
	bpf_skb_store_bytes(skb, PAYLOAD + one, &second, 1, 0);
	bpf_skb_store_bytes(skb, PAYLOAD + other, &first, 1, 0);
}

/* The packet has that much payload, and the next one of this connection goes on behind it. Checksums are left to the device. */
static __always_inline void header_advance(struct header *header, __u32 *packet, __u32 payload)
{
	__u32 field = (header->word[CHECKSUM] & 0xffff) + bpf_htons(payload);

	packet[0] = bpf_htonl(0x45000000 | (4 * HEADER_WORDS + payload));
	packet[CHECKSUM] = (field & 0xffff) + (field >> 16);
	header->word[SEQUENCE] = bpf_htonl(bpf_ntohl(header->word[SEQUENCE]) + payload);
}

SEC("tc")
int ring_next(struct __sk_buff *skb)
{
	__u32 zero = 0, index;
	struct cursor *at = bpf_map_lookup_elem(&cursor, &zero);
	struct header *header;
	__u32 *packet;

	if (!at)
		return 0;
	/* The same packet goes round again: a tag that the program before has pushed comes off. */
	if (skb->vlan_present && bpf_skb_vlan_pop(skb))
		return 0;
	if (!at->next)
		round_begin(skb, at);
	index = at->start + at->next;
	at->next = at->next + 1 < at->count ? at->next + 1 : 0;
	header = bpf_map_lookup_elem(&ring, &index);
	if (!header)
		return 0;
	packet = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(packet + HEADER_WORDS) > (void *)(long)skb->data_end)
		return 0;
#pragma unroll
	for (int i = 0; i < HEADER_WORDS; i++)
		packet[i] = header->word[i];
	if (at->advance)
		header_advance(header, packet, at->advance);
	skb->cb[0] = at->hook;
	bpf_tail_call(skb, &targets, at->target);
	/* Not PASS: a target that is missing must not look like a fast one. */
	return 0;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return PASS;
}

/* The floor of what is held: that program pushes a tag, which the ring takes off again. */
SEC("tc")
int empty_tag(struct __sk_buff *skb)
{
	bpf_skb_vlan_push(skb, 0xa888, 0);
	return PASS;
}

#include "yardstick.h"

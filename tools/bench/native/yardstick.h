/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BENCH_YARDSTICK_H
#define BENCH_YARDSTICK_H

/*
 * What the datapath is measured by, behind the same ring: the bare map calls that an announcement needs, and a bounded
 * loop with one dependent load per byte.
 */
#include "../../../bpf/lib/types.h"

#define PORTS 65536
#define EVENT_BYTES sizeof(struct event)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct tuple);
	__type(value, __u32);
} bare_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct expect);
} bare_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 65536);
	__type(value, __u32);
} bare_free SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u32);
} bare_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_SOURCES);
	__type(key, __u32);
	__type(value, struct source);
} bare_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} bare_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} bare_events SEC(".maps");

#define STATES 32768
struct bare_table {
	__u64 next[STATES]; /* as wide as an entry of a helper's table */
};

struct bare_scratch {
	struct tuple key;
	__u8 block[1024];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bare_scratch);
} bare_scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bare_table);
} bare_tables SEC(".maps");

static __always_inline void bare_event(const struct tuple *tuple)
{
	struct event *event = bpf_ringbuf_reserve(&bare_events, EVENT_BYTES, 0);

	if (!event)
		return;
	__builtin_memset(event, 0, EVENT_BYTES);
	event->time = bpf_ktime_get_boot_ns();
	event->tuple = *tuple;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

static __always_inline void bare_port(struct totals *totals, __u32 port, __u32 by)
{
	__u32 *users = bpf_map_lookup_elem(&bare_ports, &port);

	if (users && !__sync_fetch_and_add(users, by))
		__sync_fetch_and_add(&totals->ports, by);
}

static __always_inline void bare_count(struct totals *totals, __u32 bucket, __u32 by)
{
	struct source *source = bpf_map_lookup_elem(&bare_sources, &bucket);

	if (source)
		__sync_fetch_and_add(&source->expectations, by);
	__sync_fetch_and_add(&totals->expectations, by);
	__sync_fetch_and_add(&totals->shapes[0], by);
}

/*
 * One expectation takes the place of another, by the map calls alone: the old one is looked up, leaves the index and its
 * port, its slot goes to the free ones, an event says so; a slot is taken, the record written, the port counted, the
 * record indexed, an event says so.
 */
SEC("tc")
int bare_insert(struct __sk_buff *skb)
{
	__u32 zero = 0, slot, bucket;
	struct cursor *at = bpf_map_lookup_elem(&cursor, &zero);
	struct totals *totals = bpf_map_lookup_elem(&bare_totals, &zero);
	struct bare_scratch *scratch = bpf_map_lookup_elem(&bare_scratches, &zero);
	__u32 *packet = (void *)(long)skb->data + ETH_HLEN, *found;
	struct expect *record;
	struct tuple *key;

	if (!at || !totals || !scratch ||
	    (void *)(packet + HEADER_WORDS) > (void *)(long)skb->data_end)
		return 0;
	key = &scratch->key;
	__builtin_memset(key, 0, sizeof(*key));
	key->source.word[2] = bpf_htonl(0xffff);
	key->source.word[3] = packet[4];
	key->destination.word[2] = bpf_htonl(0xffff);
	key->destination.word[3] = packet[3];
	key->protocol = 6;
	key->family = 4;
	bucket = bpf_ntohl(packet[4]) & (LIMIT_SOURCES - 1);

	key->destination_port = bpf_htons(at->port[1]);
	found = bpf_map_lookup_elem(&bare_index, key);
	record = found ? bpf_map_lookup_elem(&bare_records, found) : NULL;
	if (found && record && __sync_lock_test_and_set(&record->live, 0)) {
		slot = *found;
		bare_event(key);
		bpf_map_delete_elem(&bare_index, key);
		bare_port(totals, at->port[1], -1);
		bare_count(totals, bucket, -1);
		bpf_map_push_elem(&bare_free, &slot, 0);
	}
	key->destination_port = bpf_htons(at->port[0]);
	if (bpf_map_pop_elem(&bare_free, &slot))
		slot = __sync_fetch_and_add(&totals->expect_unused, 1);
	record = bpf_map_lookup_elem(&bare_records, &slot);
	if (!record)
		return 0;
	record->tuple = *key;
	record->created = bpf_ktime_get_boot_ns();
	record->source_bucket = bucket;
	bare_port(totals, at->port[0], 1);
	bare_count(totals, bucket, 1);
	__sync_lock_test_and_set(&record->live, __sync_fetch_and_add(&totals->next_id, 1) + 1);
	if (bpf_map_update_elem(&bare_index, key, &slot, BPF_NOEXIST))
		return 0;
	bare_event(key);
	return PASS;
}

/* The payload, as much as a block takes; 0: there is none. */
static __always_inline __u32 bare_payload(struct __sk_buff *skb, struct bare_scratch *scratch)
{
	__u32 length = skb->len - PAYLOAD;

	if (skb->len <= PAYLOAD || length > sizeof(scratch->block))
		return 0;
	asm volatile("" : "+r"(length));
	length = ((length - 1) & (sizeof(scratch->block) - 1)) + 1;
	return bpf_skb_load_bytes(skb, PAYLOAD, scratch->block, length) ? 0 : length;
}

/* Each byte leads to the next state through one load. */
SEC("tc")
int bare_walk(struct __sk_buff *skb)
{
	__u32 zero = 0, length, state = 0;
	struct bare_table *table = bpf_map_lookup_elem(&bare_tables, &zero);
	struct bare_scratch *scratch = bpf_map_lookup_elem(&bare_scratches, &zero);

	length = scratch ? bare_payload(skb, scratch) : 0;
	if (!table || !length)
		return 0;
	for (__u32 i = 0; i < sizeof(scratch->block); i++) {
		__u32 at = state + scratch->block[i];

		if (i >= length)
			break;
		asm volatile("" : "+r"(at));
		at &= STATES - 1;
		state = table->next[at];
	}
	/* So that the loop is for something. */
	skb->cb[1] = state;
	return PASS;
}

/* What else a control packet costs by its length: its bytes are loaded, and a copy goes to people. */
SEC("tc")
int bare_copy(struct __sk_buff *skb)
{
	__u32 zero = 0, length;
	struct bare_scratch *scratch = bpf_map_lookup_elem(&bare_scratches, &zero);

	length = scratch ? bare_payload(skb, scratch) : 0;
	if (!length)
		return 0;
	bpf_ringbuf_output(&bare_events, scratch->block, length, BPF_RB_NO_WAKEUP);
	return PASS;
}

#endif

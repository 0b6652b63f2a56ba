/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_FLOW_H
#define RELATD_FLOW_H

#include "event.h"
#include "filter.h"
#include "interface.h"
#include "port.h"
#include "tuple.h"

/* Control connections and related flows, under the sorted tuple. Other traffic is never in here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct tuple);
	__type(value, struct flow);
} flows SEC(".maps");

/* A hash cannot be walked a little at a time; this can. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct flow_slot);
} flow_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 65536);
	__type(value, __u32);
} flow_free SEC(".maps");

/* An array: every control packet needs its stream, and a hash look-up costs more than the rest. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16385);
	__type(key, __u32);
	__type(value, struct stream); /* entry 0 is nobody's */
} stream_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} stream_used SEC(".maps"); /* entries up to here were used once */

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 16384);
	__type(value, __u32);
} stream_free SEC(".maps");

/* Building a value on the stack would take a third of it. */
struct flow_scratch {
	struct flow flow;
	struct stream stream;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct flow_scratch);
} flow_scratches SEC(".maps");

/*
 * Preallocated hash entries are used again at once after a delete: a pointer from a look-up may, by the
 * time its fields are read, be another flow's. The tag ties a value to its key.
 */
static __always_inline bool flow_is(const struct flow *flow, __u64 tag)
{
	return READ_ONCE(flow->tag) == tag;
}

static __always_inline struct flow *flow_find(const struct tuple *key, __u64 tag)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);

	return flow && flow_is(flow, tag) ? flow : NULL;
}

static __always_inline struct stream *stream_find(__u32 slot, __u64 flow)
{
	struct stream *stream = bpf_map_lookup_elem(&stream_slots, &slot);

	return stream && READ_ONCE(stream->flow) == flow ? stream : NULL;
}

static __always_inline bool stream_slot_take(const struct config *config, __u32 *slot)
{
	__u32 zero = 0, *used = bpf_map_lookup_elem(&stream_used, &zero);

	if (!bpf_map_pop_elem(&stream_free, slot))
		return true;
	if (!used || READ_ONCE(*used) >= config->max_controls)
		return false;
	*slot = __sync_fetch_and_add(used, 1) + 1;
	return *slot <= config->max_controls;
}

static __always_inline void stream_give(__u32 slot)
{
	struct stream *stream = bpf_map_lookup_elem(&stream_slots, &slot);

	if (!stream)
		return;
	WRITE_ONCE(stream->flow, 0);
	bpf_map_push_elem(&stream_free, &slot, 0);
}

static __always_inline __u32 flow_direction(const struct flow *flow, const struct packet *packet)
{
	return packet->swapped == !!(flow->flags & FLOW_OPENER_IS_SECOND) ? DIRECTION_ORIGINAL :
									    DIRECTION_REPLY;
}

/* What the tables are asked for a packet, once its zone is known. */
static __always_inline void packet_key(struct packet *packet, const struct config *config,
				       __u16 zone)
{
	packet->tuple.zone = zone;
	packet->swapped = tuple_key(&packet->tuple, &packet->key);
	packet->tag = tuple_tag(&packet->key, config->seed);
}

static __always_inline __be16 flow_listening_port(const struct tuple *key, const struct flow *flow)
{
	return flow->flags & FLOW_OPENER_IS_SECOND ? key->source_port : key->destination_port;
}

static __always_inline bool flow_slot_take(struct totals *totals, const struct config *config,
					   __u32 *slot)
{
	if (!bpf_map_pop_elem(&flow_free, slot))
		return true;
	if (READ_ONCE(totals->flow_unused) >= config->max_flows)
		return false;
	*slot = __sync_fetch_and_add(&totals->flow_unused, 1);
	return *slot < config->max_flows;
}

/* Who has just inserted finds the entry again by this: see expect_drop about keys on 6.1. */
static __always_inline struct flow *flow_at(__u32 slot, __u64 tag)
{
	struct flow_slot *record = bpf_map_lookup_elem(&flow_slots, &slot);

	return record ? flow_find(&record->key, tag) : NULL;
}

/*
 * A FIN in order; returns whether both sides have sent one. Those of both may come at once on two CPUs: one of them has
 * to see the other's, and none may undo the end. A compare-and-swap, whatever it compares, orders memory.
 */
static __always_inline bool flow_fin(struct flow *flow, __u32 direction)
{
	if (READ_ONCE(flow->state) != FLOW_CLOSED)
		WRITE_ONCE(flow->state, FLOW_CLOSING);
	__sync_val_compare_and_swap(&flow->ended, 0, 0);
	WRITE_ONCE(flow->fin[direction & 1], 1);
	__sync_val_compare_and_swap(&flow->ended, 0, 0);
	return READ_ONCE(flow->fin[0]) && READ_ONCE(flow->fin[1]);
}

/* Bytes that came before those in front of them: see parked.h. */
struct parked {
	__u32 seq;
	__u32 length;
	__u8 data[2 * LIMIT_PARKED]; /* twice: the verifier adds the bounds of place and length */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64); /* id of the flow << 1 | direction */
	__type(value, struct parked);
} parked SEC(".maps");

static __always_inline void parked_drop(struct stream_side *side, __u64 flow, __u32 direction)
{
	__u64 key = flow << 1 | (direction & 1);

	side->flags &= ~STREAM_PARKED;
	bpf_map_delete_elem(&parked, &key);
}

static __always_inline void parked_forget(__u32 slot, __u64 flow)
{
	struct stream *stream = stream_find(slot, flow);

	if (!stream)
		return;
	if (stream->side[0].flags & STREAM_PARKED)
		parked_drop(&stream->side[0], flow, 0);
	if (stream->side[1].flags & STREAM_PARKED)
		parked_drop(&stream->side[1], flow, 1);
}

/*
 * Puts the flow in this CPU's scratch, and for a control connection the stream, into the tables.
 * BPF_NOEXIST, so of two packets that try at once one succeeds. Everything but id and slot is set.
 */
__noinline enum reason flow_insert(const struct tuple *key)
{
	struct config *config = config_get();
	struct totals *totals = totals_get();
	enum reason reason = REASON_FLOWS_FULL;
	struct flow_scratch *scratch;
	struct flow_slot *record;
	struct source *source;
	struct stream *stream;
	__u32 slot = 0, own = 0, zero = 0;
	bool control;
	long error;

	scratch = bpf_map_lookup_elem(&flow_scratches, &zero);
	if (!key || !scratch || !config || !totals)
		return REASON_BUSY;
	source = source_get(scratch->flow.source_bucket);
	if (!source)
		return REASON_BUSY;
	control = scratch->flow.kind == FLOW_CONTROL;
	if (!quota_take(&totals->flows, config->max_flows))
		return REASON_FLOWS_FULL;
	if (!flow_slot_take(totals, config, &slot))
		goto give_total;
	record = bpf_map_lookup_elem(&flow_slots, &slot);
	if (!record)
		goto give_total;
	scratch->flow.id = id_next(totals);
	scratch->flow.slot = slot;
	record->key = *key;
	if (control) {
		if (!quota_take(&source->controls, config->per_source)) {
			reason = REASON_PER_SOURCE;
			goto give_slot;
		}
		if (!quota_take(&totals->controls, config->max_controls)) {
			reason = REASON_CONTROLS_FULL;
			goto give_source;
		}
		reason = REASON_CONTROLS_FULL;
		if (!stream_slot_take(config, &own))
			goto give_control;
		stream = bpf_map_lookup_elem(&stream_slots, &own);
		if (!stream)
			goto give_control;
		scratch->flow.stream = own;
		scratch->stream.flow = scratch->flow.id;
		*stream = scratch->stream;
	}
	port_take(totals, key->protocol, flow_listening_port(key, &scratch->flow));
	error = bpf_map_update_elem(&flows, &record->key, &scratch->flow, BPF_NOEXIST);
	if (!error) {
		__sync_lock_test_and_set(&record->id, scratch->flow.id);
		flow_filter_add(config, key, 0);
		flow_filter_add(config, key, 1);
		return REASON_NONE;
	}
	port_give(totals, key->protocol, flow_listening_port(key, &scratch->flow));
	reason = error == -17 /* EEXIST */ ? REASON_LOST_RACE : REASON_FLOWS_FULL;
	if (!control)
		goto give_slot;
	stream_give(own);
give_control:
	quota_give(&totals->controls);
give_source:
	quota_give(&source->controls);
give_slot:
	bpf_map_push_elem(&flow_free, &slot, 0);
give_total:
	quota_give(&totals->flows);
	return reason;
}

/*
 * Takes a flow out of the table. The record decides who does it: the datapath and the sweep may come at
 * the same time. Only the winner looks at the flow, which nobody can recycle any more.
 */
__noinline int flow_remove(__u32 slot, __u64 id)
{
	struct flow_slot *record = bpf_map_lookup_elem(&flow_slots, &slot);
	struct totals *totals = totals_get();
	struct source *source = NULL;
	struct flow *flow;
	__u32 stream;
	bool control;

	if (!totals || !record || !id || __sync_val_compare_and_swap(&record->id, id, 0) != id)
		return 0;
	flow = bpf_map_lookup_elem(&flows, &record->key);
	if (!flow)
		return 0;
	control = flow->kind == FLOW_CONTROL;
	stream = flow->stream;
	/* Who ends a control connection takes it off its source's account: here only if nobody has. */
	if (control && !__sync_val_compare_and_swap(&flow->ended, 0, 1))
		source = source_get(flow->source_bucket);
	port_give(totals, record->key.protocol, flow_listening_port(&record->key, flow));
	WRITE_ONCE(flow->tag, 0);
	bpf_map_delete_elem(&flows, &record->key);
	quota_give(&totals->flows);
	if (control) {
		parked_forget(stream, id);
		stream_give(stream);
		quota_give(&totals->controls);
	}
	if (source)
		quota_give(&source->controls);
	bpf_map_push_elem(&flow_free, &slot, 0);
	return 1;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_FLOW_H
#define RELATD_FLOW_H

#include "event.h"
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

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64); /* flow id */
	__type(value, struct stream);
} streams SEC(".maps");

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

static __always_inline struct stream *stream_find(__u64 flow)
{
	return bpf_map_lookup_elem(&streams, &flow);
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

/*
 * Puts a flow into the table; BPF_NOEXIST, so of two packets that try at once one succeeds.
 * `value` comes with everything set but id and slot.
 */
__noinline enum reason flow_insert(const struct tuple *key, struct flow *value,
				   struct stream *stream)
{
	if (!key || !value)
		return REASON_BUSY;
	struct config *config = config_get();
	struct totals *totals = totals_get();
	struct source *source = source_get(value->source_bucket);
	enum reason reason = REASON_FLOWS_FULL;
	struct flow_slot *record;
	__u32 slot = 0;
	long error;

	if (!config || !totals || !source)
		return REASON_FLOWS_FULL;
	if (!quota_take(&totals->flows, config->max_flows))
		return REASON_FLOWS_FULL;
	if (!flow_slot_take(totals, config, &slot))
		goto give_total;
	record = bpf_map_lookup_elem(&flow_slots, &slot);
	if (!record)
		goto give_total;
	value->id = id_next(totals);
	value->slot = slot;
	if (stream) {
		if (!quota_take(&source->controls, config->per_source)) {
			reason = REASON_PER_SOURCE;
			goto give_slot;
		}
		if (!quota_take(&totals->controls, config->max_controls)) {
			reason = REASON_CONTROLS_FULL;
			goto give_source;
		}
		if (bpf_map_update_elem(&streams, &value->id, stream, BPF_NOEXIST)) {
			reason = REASON_CONTROLS_FULL;
			goto give_control;
		}
	}
	port_take(totals, key->protocol, flow_listening_port(key, value));
	error = bpf_map_update_elem(&flows, key, value, BPF_NOEXIST);
	if (!error) {
		record->key = *key;
		__sync_lock_test_and_set(&record->id, value->id);
		return REASON_NONE;
	}
	port_give(totals, key->protocol, flow_listening_port(key, value));
	reason = error == -17 /* EEXIST */ ? REASON_LOST_RACE : REASON_FLOWS_FULL;
	if (!stream)
		goto give_slot;
	bpf_map_delete_elem(&streams, &value->id);
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
 * Takes a flow out of the table. `record->id` decides who does it: the datapath and the sweep may come
 * at the same time.
 */
__noinline int flow_remove(const struct tuple *key, struct flow *flow)
{
	if (!key || !flow)
		return 0;
	struct totals *totals = totals_get();
	__u32 slot = flow->slot, bucket = flow->source_bucket;
	__u64 id = flow->id;
	bool control = flow->kind == FLOW_CONTROL;
	__be16 port = flow_listening_port(key, flow);
	struct flow_slot *record = bpf_map_lookup_elem(&flow_slots, &slot);
	struct source *source = source_get(bucket);

	if (!totals || !record || !source)
		return false;
	if (__sync_val_compare_and_swap(&record->id, id, 0) != id)
		return false;
	WRITE_ONCE(flow->tag, 0);
	bpf_map_delete_elem(&flows, key);
	port_give(totals, key->protocol, port);
	quota_give(&totals->flows);
	if (control) {
		bpf_map_delete_elem(&streams, &id);
		quota_give(&totals->controls);
		quota_give(&source->controls);
	}
	bpf_map_push_elem(&flow_free, &slot, 0);
	return true;
}

#endif

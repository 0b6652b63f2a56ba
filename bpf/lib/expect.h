/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_EXPECT_H
#define RELATD_EXPECT_H

#include "event.h"
#include "filter.h"
#include "port.h"
#include "tuple.h"

/*
 * Records stand in an array, the index finds a record by its tuple. A record's `live` is the only truth:
 * it holds the expectation's id while it can be matched, and whoever exchanges it for 0 has won the
 * expectation and alone removes it from the index. Ids are never used twice, so a record that was
 * recycled in between cannot be mistaken for the one that was found.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct tuple);
	__type(value, __u32);
} expect_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct expect);
} expects SEC(".maps");

/* Slots that were used and are free again; fresh ones are taken by counting up. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 65536);
	__type(value, __u32);
} expect_free SEC(".maps");

static __always_inline __u32 tuple_shape(const struct tuple *tuple)
{
	__u32 shape = 0;

	if (!tuple->source.half[0] && !tuple->source.half[1])
		shape |= SHAPE_ANY_ADDRESS;
	if (!tuple->source_port)
		shape |= SHAPE_ANY_PORT;
	return shape;
}

static __always_inline void tuple_widen(struct tuple *tuple, __u32 shape)
{
	if (shape & SHAPE_ANY_ADDRESS) {
		tuple->source.half[0] = 0;
		tuple->source.half[1] = 0;
	}
	if (shape & SHAPE_ANY_PORT)
		tuple->source_port = 0;
}

static __always_inline struct expect *expect_at(__u32 slot)
{
	return bpf_map_lookup_elem(&expects, &slot);
}

static __always_inline bool expect_is_due(const struct expect *expect, __u64 now)
{
	return expect->deadline && expect->deadline <= now;
}

/*
 * Only for who has won the record: makes it vanish and gives back what it held. It looks the record up
 * itself: 6.1 takes no pointer that came in as a global function's argument for a map's key or value.
 */
__noinline int expect_drop(__u32 slot)
{
	struct totals *totals = totals_get();
	struct expect *expect = expect_at(slot);
	struct source *source;
	__u32 shape;

	if (!expect)
		return 0;
	source = source_get(expect->source_bucket);
	shape = tuple_shape(&expect->tuple) & (SHAPES - 1);
	bpf_map_delete_elem(&expect_index, &expect->tuple);
	if (!totals)
		return 0;
	port_give(totals, expect->tuple.protocol, expect->tuple.destination_port);
	__sync_fetch_and_add(&totals->shapes[shape], -1);
	__sync_fetch_and_add(&totals->expectations, -1);
	if (source)
		quota_give(&source->expectations);
	bpf_map_push_elem(&expect_free, &slot, 0);
	return 0;
}

/* Ends an expectation by id; whether it was still there. */
static __always_inline bool expect_end(struct expect *expect, __u32 slot, __u64 id,
				       enum reason reason)
{
	if (!id || __sync_val_compare_and_swap(&expect->live, id, 0) != id)
		return false;
	event_expect(EVENT_EXPECTATION_EXPIRED, reason, expect, id);
	expect_drop(slot);
	return true;
}

struct expect_match {
	struct expect *expect;
	__u64 id;
	__u32 slot;
	__u32 shape;
};

/* Most specific first, and only the shapes that have entries. */
static __always_inline bool expect_find(const struct totals *totals, const struct tuple *tuple,
					__u64 now, struct expect_match *match)
{
	struct tuple wide;

#pragma unroll
	for (__u32 shape = 0; shape < SHAPES; shape++) {
		struct expect *expect;
		__u32 *slot;
		__u64 id;

		if (!READ_ONCE(totals->shapes[shape]))
			continue;
		wide = *tuple;
		tuple_widen(&wide, shape);
		slot = bpf_map_lookup_elem(&expect_index, &wide);
		if (!slot)
			continue;
		match->slot = *slot;
		expect = expect_at(match->slot);
		if (!expect)
			continue;
		id = READ_ONCE(expect->live);
		if (!id || !tuple_equal(&expect->tuple, &wide) || expect_is_due(expect, now))
			continue;
		match->expect = expect;
		match->id = id;
		match->shape = shape;
		return true;
	}
	return false;
}

static __always_inline bool expect_claim(const struct expect_match *match)
{
	struct expect *expect = match->expect;

	if (expect->flags & EXPECT_PERMANENT)
		return READ_ONCE(expect->live) == match->id;
	return __sync_val_compare_and_swap(&expect->live, match->id, 0) == match->id;
}

/* What becomes a record. Built by who asks: a request, or a related flow that gives its expectation back. */
struct expect_order {
	struct tuple tuple;
	__u64 master;
	__u64 deadline;
	__u32 mark;
	__u32 source_bucket;
	__u32 stream;
	__u16 assignment;
	__u8 class;
	__u8 flags;
	__u8 limit;
	__u8 direction;
	__u8 place;
	/* out */
	__u8 created; /* 1: a new one, 0: refreshed */
	__u32 slot;
	__u64 id;
	__u64 evicted; /* id of the one that made room */
};

/*
 * One per CPU: on the stack it would leave too little to the functions below, and 6.1 takes no pointer that
 * came in as a global function's argument for a map's key.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct expect_order);
} order_scratch SEC(".maps");

static __always_inline struct expect_order *order_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&order_scratch, &zero);
}

static __always_inline bool expect_slot_take(struct totals *totals, const struct config *config,
					     __u32 *slot)
{
	if (!bpf_map_pop_elem(&expect_free, slot))
		return true;
	if (READ_ONCE(totals->expect_unused) >= config->max_expectations)
		return false;
	*slot = __sync_fetch_and_add(&totals->expect_unused, 1);
	return *slot < config->max_expectations;
}

/*
 * Makes the record, then shows it. Limits that belong to the master are the caller's. With a full table
 * or source nothing is changed.
 */
__noinline enum reason expect_insert(void)
{
	struct expect_order *order = order_get();

	if (!order)
		return REASON_BUSY;
	struct config *config = config_get();
	struct totals *totals = totals_get();
	struct source *source = source_get(order->source_bucket);
	__u32 slot = 0, shape = tuple_shape(&order->tuple) & (SHAPES - 1);
	enum reason reason = REASON_EXPECTATIONS_FULL;
	struct expect *expect;
	__u64 id;

	if (!config || !totals || !source)
		return REASON_EXPECTATIONS_FULL;
	if (!quota_take(&source->expectations, config->per_source))
		return REASON_PER_SOURCE;
	if (!quota_take(&totals->expectations, config->max_expectations))
		goto give_source;
	if (!expect_slot_take(totals, config, &slot))
		goto give_total;
	expect = expect_at(slot);
	if (!expect)
		goto give_total;

	id = id_next(totals);
	expect->tuple = order->tuple;
	expect->master = order->master;
	expect->created = clock_boot();
	expect->deadline = order->deadline;
	expect->mark = order->mark;
	expect->source_bucket = order->source_bucket;
	expect->stream_low = order->stream;
	expect->stream_high = order->stream >> 16;
	expect->assignment = order->assignment;
	expect->class = order->class;
	expect->flags = order->flags;
	expect->limit = order->limit;
	expect->direction = order->direction;
	expect->place = order->place;
	port_take(totals, order->tuple.protocol, order->tuple.destination_port);
	__sync_fetch_and_add(&totals->shapes[shape], 1);
	__sync_lock_test_and_set(&expect->live, id);
	if (bpf_map_update_elem(&expect_index, &expect->tuple, &slot, BPF_NOEXIST)) {
		/* Somebody else's entry is still, or again, in the index: ours was never visible. */
		__sync_lock_test_and_set(&expect->live, 0);
		__sync_fetch_and_add(&totals->shapes[shape], -1);
		port_give(totals, order->tuple.protocol, order->tuple.destination_port);
		bpf_map_push_elem(&expect_free, &slot, 0);
		reason = REASON_BUSY;
		goto give_total;
	}
	expect_filter_add(config, &order->tuple, 0);
	expect_filter_add(config, &order->tuple, 1);
	order->slot = slot;
	order->id = id;
	return REASON_NONE;

give_total:
	quota_give(&totals->expectations);
give_source:
	quota_give(&source->expectations);
	return reason;
}

/* Ends an expired expectation with exactly the order's tuple. */
static __always_inline void expect_clear_due(const struct expect_order *order, __u64 now)
{
	__u32 *slot = bpf_map_lookup_elem(&expect_index, &order->tuple);
	struct expect *expect = slot ? expect_at(*slot) : NULL;

	if (expect && expect_is_due(expect, now) && tuple_equal(&expect->tuple, &order->tuple))
		expect_end(expect, *slot, READ_ONCE(expect->live), REASON_EXPIRED);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_MASTER_H
#define RELATD_MASTER_H

#include "expect.h"
#include "flow.h"

/*
 * A control connection's own expectations: slots in its stream entry. A slot that was recycled names
 * another master or another place by now, so nothing has to be unlinked when an expectation goes.
 */
static __always_inline struct expect *master_owns(const struct stream *stream, __u32 index,
						  __u32 *slot)
{
	struct expect *expect;

	*slot = stream->expectations[index & (LIMIT_MASTER_EXPECTATIONS - 1)];
	expect = expect_at(*slot);
	if (!expect || !READ_ONCE(expect->live) || expect->master != stream->flow ||
	    expect->place != index)
		return NULL;
	return expect;
}

struct master_walk {
	struct stream *stream;
	__u64 oldest;
	__u64 oldest_id;
	__u32 oldest_slot;
	__u32 live;
	__u32 vacant;
	__u8 class;
	__u8 reason;
};

static long master_scan_step(__u32 index, struct master_walk *walk)
{
	struct expect *expect;
	__u32 slot;

	if (!walk->stream)
		return 1;
	expect = master_owns(walk->stream, index, &slot);
	if (!expect) {
		walk->vacant = index;
		return 0;
	}
	if (expect->class != walk->class)
		return 0;
	walk->live++;
	if (expect->created < walk->oldest) {
		walk->oldest = expect->created;
		walk->oldest_id = READ_ONCE(expect->live);
		walk->oldest_slot = slot;
	}
	return 0;
}

/*
 * Inserts for a living master. At its limit for the class the oldest goes, as in netfilter; `evict`
 * false refuses instead.
 */
__noinline enum reason master_expect(struct stream *stream, bool evict)
{
	struct expect_order *order = order_get();

	if (!stream || !order)
		return REASON_BUSY;
	struct master_walk walk = {
		.stream = stream,
		.oldest = ~0ULL,
		.vacant = LIMIT_MASTER_EXPECTATIONS,
		.class = order->class,
	};
	enum reason reason;
	__u32 places;

	/* Only what was ever used: most masters announce one at a time. */
	places = stream->places;
	if (places > LIMIT_MASTER_EXPECTATIONS)
		places = LIMIT_MASTER_EXPECTATIONS;
	bpf_loop(places, master_scan_step, &walk, 0);
	if (walk.live >= order->limit) {
		struct expect *oldest = expect_at(walk.oldest_slot);

		if (!evict || !oldest)
			return REASON_EVICTED;
		order->evicted = walk.oldest_id;
		expect_end(oldest, walk.oldest_slot, walk.oldest_id, REASON_EVICTED);
		/* Its place in the list is vacant now; find it again only if there was none. */
		if (walk.vacant == LIMIT_MASTER_EXPECTATIONS)
			bpf_loop(places, master_scan_step, &walk, 0);
	}
	if (walk.vacant == LIMIT_MASTER_EXPECTATIONS && places < LIMIT_MASTER_EXPECTATIONS) {
		walk.vacant = places;
		stream->places = places + 1;
	}
	if (walk.vacant >= LIMIT_MASTER_EXPECTATIONS)
		return REASON_EVICTED;
	order->place = walk.vacant;
	reason = expect_insert();
	if (reason != REASON_NONE)
		return reason;
	noted_add(&order->tuple);
	stream->expectations[walk.vacant & (LIMIT_MASTER_EXPECTATIONS - 1)] = order->slot;
	/* The master ended meanwhile: its expectations were ended without this one. */
	if (READ_ONCE(stream->side[0].flags) & STREAM_ENDED) {
		struct expect *expect = expect_at(order->slot);

		if (expect)
			expect_end(expect, order->slot, order->id, REASON_MASTER_ENDED);
		return REASON_NO_MASTER;
	}
	return REASON_NONE;
}

__noinline int expect_refuse(struct flow *flow, __u32 reason)
{
	struct expect_order *order = order_get();
	struct event *event;

	if (!order || !flow)
		return 0;

	count(reason);
	event = event_begin(EVENT_EXPECTATION_REFUSED, reason);
	if (!event)
		return reason;
	event->tuple = order->tuple;
	event->mark = order->mark;
	event->expect.tuple = order->tuple;
	event->expect.master = order->master;
	event->expect.assignment = order->assignment;
	event->flow = *flow;
	event_end(event);
	return reason;
}

enum overlap {
	OVERLAP_NONE,
	OVERLAP_OTHER, /* a living expectation of another master covers the same connections */
	OVERLAP_OWN, /* exactly this one is there: id and slot are in the order */
};

static __noinline int expect_overlaps(struct expect_order *order)
{
	struct totals *totals = totals_get();
	struct expect_match match;

	if (!totals || !expect_find(totals, &order->tuple, clock_boot(), &match))
		return OVERLAP_NONE;
	if (match.expect->master != order->master)
		return OVERLAP_OTHER;
	if (!tuple_equal(&match.expect->tuple, &order->tuple))
		return OVERLAP_NONE;
	order->id = match.id;
	order->slot = match.slot;
	return OVERLAP_OWN;
}

/*
 * What a helper announces: refreshed if it is expected already, refused where another master expects the
 * same connections, else expected from here on. Fills in what the master decides.
 */
__noinline int master_announce(struct flow *flow, struct stream *stream)
{
	struct expect_order *order = order_get();

	if (!flow || !stream || !order)
		return REASON_BUSY;
	struct expect *expect;
	enum reason reason;

	order->master = flow->id;
	order->stream = flow->stream;
	order->mark = order->mark ?: flow->mark;
	order->source_bucket = flow->source_bucket;
	order->assignment = flow->assignment;
	order->created = 0;
	switch (expect_overlaps(order)) {
	case OVERLAP_OTHER:
		return expect_refuse(flow, REASON_CLASH);
	case OVERLAP_OWN:
		/* It may be won at this moment, then the deadline is nobody's. */
		expect = expect_at(order->slot);
		if (expect && READ_ONCE(expect->live) == order->id)
			expect->deadline = order->deadline;
		return REASON_NONE;
	}
	/* An expired one that the sweep has not reached yet holds the place in the index. */
	expect_clear_due(order, clock_boot());
	reason = master_expect(stream, true);
	if (reason != REASON_NONE)
		return expect_refuse(flow, reason);
	order->created = 1;
	expect = expect_at(order->slot);
	if (expect)
		event_expect(EVENT_EXPECTATION_NEW, REASON_NONE, expect, order->id);
	return REASON_NONE;
}

static long master_end_step(__u32 index, struct master_walk *walk)
{
	struct expect *expect;
	__u32 slot;

	if (!walk->stream)
		return 1;
	expect = master_owns(walk->stream, index, &slot);
	if (expect)
		expect_end(expect, slot, READ_ONCE(expect->live), walk->reason);
	return 0;
}

__noinline int master_expectations_end(struct stream *stream, __u32 reason)
{
	if (!stream)
		return 0;
	struct master_walk walk = { .stream = stream, .reason = reason };

	bpf_loop(stream->places < LIMIT_MASTER_EXPECTATIONS ? stream->places :
							      LIMIT_MASTER_EXPECTATIONS,
		 master_end_step, &walk, 0);
	return 0;
}

/* The end of a control connection. It stays for idle.closed, so that late retransmissions find it. */
__noinline int control_end(const struct tuple *key, struct flow *flow, __u32 reason)
{
	if (!key || !flow)
		return 0;
	struct stream *stream;
	struct source *source;

	if (__sync_val_compare_and_swap(&flow->ended, 0, 1))
		return 0;
	flow->state = FLOW_CLOSED;
	/* What is only kept for late retransmissions counts against nobody: see flow_remove. */
	source = source_get(flow->source_bucket);
	if (source)
		quota_give(&source->controls);
	stream = stream_find(flow->stream, flow->id);
	if (stream) {
		stream->side[0].flags |= STREAM_ENDED;
		master_expectations_end(stream, REASON_MASTER_ENDED);
	}
	event_flow(EVENT_CONTROL_END, reason, key, flow);
	return 0;
}

__noinline int control_distrust(const struct tuple *key, struct flow *flow, __u32 reason)
{
	if (!key || !flow)
		return 0;
	if (flow->trust != REASON_NONE)
		return 0;
	flow->trust = reason;
	event_flow(EVENT_TRUST, reason, key, flow);
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_SWEEP_H
#define RELATD_SWEEP_H

#include "related.h"

/*
 * Removes what is over: one timer for everything, in a pinned map, so that it goes on with no process at
 * all. A tick looks at a bounded piece of the records of flows and expectations; a whole round takes
 * SWEEP_ROUND ticks however large the tables are. An expired expectation never matches, swept or not.
 */
#define SWEEP_TICK (100 * 1000 * 1000ULL) /* ns */
#define SWEEP_ROUND 32
#define UDP_IDLE (120 * NSEC_PER_SEC) /* netfilter's udp_timeout_stream */

struct sweeper {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sweeper);
} sweeper SEC(".maps");

struct sweep_walk {
	__u64 boot;
	__u64 coarse;
	__u32 start;
	__u32 size;
	__u32 generation; /* of the filter, that gets what is there */
	bool fill;
};

static long sweep_expect(__u32 index, struct sweep_walk *walk)
{
	struct config *config = config_get();
	__u32 slot = walk->start + index;
	struct expect *expect;
	__u64 id;

	if (slot >= walk->size)
		slot -= walk->size;
	expect = expect_at(slot);
	if (!expect || !config)
		return 1;
	id = READ_ONCE(expect->live);
	if (!id)
		return 0;
	if (expect_is_due(expect, walk->boot))
		expect_end(expect, slot, id, REASON_EXPIRED);
	else if (walk->fill)
		expect_filter_add(config, &expect->tuple, walk->generation);
	return 0;
}

static __always_inline __u64 flow_idle_limit(const struct config *config, const struct flow *flow,
					     __u8 protocol)
{
	if (flow->state == FLOW_CLOSED)
		return config->idle_closed;
	if (flow->state == FLOW_NEW || flow->state == FLOW_CLAIMING)
		return config->idle_half_open < RELATED_UNANSWERED ? config->idle_half_open :
								     RELATED_UNANSWERED;
	/* Nobody says when a dialogue of datagrams is over. */
	if (protocol == IPPROTO_UDP)
		return flow->kind == FLOW_CONTROL ? config->idle_half_open : UDP_IDLE;
	if (flow->kind == FLOW_CONTROL)
		return config->idle_control;
	return config->idle_related;
}

static __always_inline void sweep_flow_end(const struct tuple *key, struct flow *flow, __u32 slot,
					   __u64 id)
{
	if (flow->kind == FLOW_CONTROL) {
		control_end(key, flow, REASON_IDLE);
	} else if (flow->state != FLOW_CLAIMING) {
		bool unanswered = flow->state == FLOW_NEW && key->protocol == IPPROTO_TCP;

		related_end(key, flow, REASON_IDLE);
		if (unanswered)
			related_give_back(key, flow);
	}
	flow_remove(slot, id);
}

static long sweep_flow(__u32 index, struct sweep_walk *walk)
{
	struct config *config = config_get();
	__u32 slot = walk->start + index;
	struct flow_slot *record;
	struct flow *flow;
	struct tuple key;
	__u64 id;

	if (slot >= walk->size)
		slot -= walk->size;
	record = bpf_map_lookup_elem(&flow_slots, &slot);
	if (!record || !config)
		return 1;
	id = READ_ONCE(record->id);
	if (!id)
		return 0;
	key = record->key;
	if (walk->fill)
		flow_filter_add(config, &key, walk->generation);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow || flow->id != id)
		return 0;
	if (flow->kind == FLOW_CONTROL)
		noted_add(&key);
	/* Signed: a packet may have come after the walk began. */
	if ((__s64)(walk->coarse - flow->last) > (__s64)flow_idle_limit(config, flow, key.protocol))
		sweep_flow_end(&key, flow, slot, id);
	return 0;
}

static __always_inline __u32 sweep_budget(__u32 size)
{
	return size / SWEEP_ROUND + 1;
}

/* Slots are handed out from the bottom: what was never used need not be looked at. */
static __always_inline void sweep_prepare(struct sweep_walk *walk, const struct filter *filter,
					  __u32 used, __u32 limit, __u32 cursor)
{
	walk->size = used < limit ? used : limit;
	walk->start = cursor < walk->size ? cursor : 0;
	walk->fill = filter->phase == FILTER_FILL;
	walk->generation = filter_other(filter);
}

/* How often this tick's piece comes to the end of the table. Where nothing ever stood there is nothing to see. */
static __always_inline __u32 sweep_rounds(const struct sweep_walk *walk)
{
	return walk->size ? walk->start + sweep_budget(walk->size) >= walk->size : 2;
}

static __always_inline void sweep_expects(struct sweep_walk *walk, const struct config *config,
					  struct totals *totals, struct filter *filter)
{
	sweep_prepare(walk, filter, totals->expect_unused, config->max_expectations,
		      totals->expect_cursor);
	if (walk->size) {
		bpf_loop(sweep_budget(walk->size), sweep_expect, walk, 0);
		totals->expect_cursor = (walk->start + sweep_budget(walk->size)) % walk->size;
	}
	filter_tick(FILTER_EXPECTS, filter, expect_filter_words(config->max_expectations),
		    sweep_rounds(walk));
}

static __always_inline void sweep_flows(struct sweep_walk *walk, const struct config *config,
					struct totals *totals, struct filter *filter)
{
	sweep_prepare(walk, filter, totals->flow_unused, config->max_flows, totals->flow_cursor);
	if (walk->size) {
		bpf_loop(sweep_budget(walk->size), sweep_flow, walk, 0);
		totals->flow_cursor = (walk->start + sweep_budget(walk->size)) % walk->size;
	}
	filter_tick(FILTER_FLOWS, filter, flow_filter_words(config->max_flows), sweep_rounds(walk));
}

static __always_inline int sweep(void)
{
	struct filter *of_expects = filter_get(FILTER_EXPECTS);
	struct filter *of_flows = filter_get(FILTER_FLOWS);
	struct config *config = config_get();
	struct totals *totals = totals_get();
	struct sweep_walk walk = { .boot = clock_boot(), .coarse = clock_coarse() };

	if (!config || !totals || !of_flows || !of_expects)
		return 0;
	/* Two at once, as while one version takes over from another, would take one round for two. */
	if (__sync_lock_test_and_set(&of_flows->busy, 1))
		return 0;
	totals->ticks++;
	noted_tick(totals);
	sweep_expects(&walk, config, totals, of_expects);
	sweep_flows(&walk, config, totals, of_flows);
	__sync_lock_test_and_set(&of_flows->busy, 0);
	return 0;
}

static int sweep_tick(void *map, __u32 *key, struct sweeper *self)
{
	sweep();
	bpf_timer_start(&self->timer, SWEEP_TICK, 0);
	return 0;
}

/* A callback keeps the program it was armed with, so every load arms it anew. */
static __always_inline enum reason sweep_arm(void)
{
	__u32 zero = 0;
	struct sweeper *self = bpf_map_lookup_elem(&sweeper, &zero);

	if (!self)
		return REASON_BUSY;
	/* EBUSY: it is initialized already, by the program before. */
	bpf_timer_init(&self->timer, &sweeper, 1 /* CLOCK_MONOTONIC */);
	if (bpf_timer_set_callback(&self->timer, sweep_tick))
		return REASON_BUSY;
	return bpf_timer_start(&self->timer, SWEEP_TICK, 0) ? REASON_BUSY : REASON_NONE;
}

#endif

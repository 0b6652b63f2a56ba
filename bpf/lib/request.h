/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_REQUEST_H
#define RELATD_REQUEST_H

#include "master.h"

/* What user space asks for: see struct request. Nothing else changes these tables from outside. */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct request);
} request_scratch SEC(".maps");

static __always_inline struct flow *request_master(const struct config *config,
						   const struct request *request, struct tuple *key)
{
	struct flow *flow;

	tuple_key(&request->master, key);
	flow = flow_find(key, tuple_tag(key, config->seed));
	return flow && flow->kind == FLOW_CONTROL ? flow : NULL;
}

__noinline int request_expect(struct request *request)
{
	if (!request)
		return 0;
	struct config *config = config_get();
	struct expect_order *order = order_get();
	struct stream *stream;
	struct flow *flow;
	struct tuple key;
	enum reason reason;
	__u64 now = clock_boot();

	if (!config || !order)
		return REASON_NO_MASTER;
	__builtin_memset(order, 0, sizeof(*order));
	flow = request_master(config, request, &key);
	if (!flow || flow->ended)
		return REASON_NO_MASTER;
	stream = stream_find(flow->stream, flow->id);
	if (!stream)
		return REASON_NO_MASTER;
	order->tuple = request->tuple;
	order->tuple.zone = key.zone;
	order->deadline = request->timeout ? now + request->timeout : 0;
	order->mark = request->mark;
	order->class = request->class;
	order->flags = request->flags;
	order->limit = request->limit;
	order->direction = request->direction;
	reason = master_announce(flow, stream);
	request->evicted = order->evicted;
	request->id = order->id;
	request->slot = order->slot;
	request->created = order->created;
	return reason;
}

/* An expectation of layout 1 is its master's own again: it ends with it. */
static __always_inline int request_own(const struct request *request, const struct flow *flow)
{
	struct stream *stream = stream_find(flow->stream, flow->id);
	struct expect *expect = expect_at(request->slot);
	__u32 place;

	if (!stream || !expect || READ_ONCE(expect->live) != request->id ||
	    expect->master != flow->id)
		return REASON_NO_MASTER;
	place = expect->place;
	opaque(place);
	place &= LIMIT_MASTER_EXPECTATIONS - 1;
	expect->stream_low = flow->stream;
	expect->stream_high = flow->stream >> 16;
	stream->expectations[place] = request->slot;
	if (stream->places <= place)
		stream->places = place + 1;
	return REASON_NONE;
}

/*
 * Layout 1 kept what a control connection needs under another name. Whose stream is new has no table's state: user
 * space goes on deciding.
 */
static __always_inline int request_stream(const struct config *config,
					  const struct request *request, struct flow *flow)
{
	__u32 slot = 0;
	struct stream *stream;

	if (request->id)
		return request_own(request, flow);
	if (stream_find(flow->stream, flow->id))
		return REASON_NONE;
	if (!stream_slot_take(config, &slot))
		return REASON_CONTROLS_FULL;
	stream = bpf_map_lookup_elem(&stream_slots, &slot);
	if (!stream)
		return REASON_CONTROLS_FULL;
	__builtin_memset(stream, 0, sizeof(*stream));
	stream->side[0].held_end = flow->side[0].next;
	stream->side[1].held_end = flow->side[1].next;
	stream->dialogue.flags = DIALOGUE_JUDGED;
	stream->flow = flow->id;
	flow->stream = slot;
	return REASON_NONE;
}

__noinline int request_on_flow(struct request *request)
{
	if (!request)
		return 0;
	struct config *config = config_get();
	struct stream_side *side;
	struct stream *stream;
	struct flow *flow;
	struct tuple key;

	if (!config)
		return REASON_NO_MASTER;
	flow = request_master(config, request, &key);
	if (flow && request->op == REQUEST_STREAM)
		return request_stream(config, request, flow);
	stream = flow ? stream_find(flow->stream, flow->id) : NULL;
	if (!stream)
		return REASON_NO_MASTER;
	side = &stream->side[request->direction & 1];
	switch (request->op) {
	case REQUEST_TRUST:
		if (request->reason == REASON_NONE)
			flow->flags |= FLOW_RECOGNISED;
		else
			control_distrust(&key, flow, request->reason);
		break;
	case REQUEST_ATTEND:
		side->flags &= STREAM_ENDED | STREAM_PARKED | STREAM_WATCH_HASHED;
		side->held_since = 0;
		break;
	case REQUEST_WATCH:
		side->watch_start = request->start;
		side->watch_end = request->end;
		side->flags &= ~STREAM_WATCH_HASHED;
		break;
	case REQUEST_JUDGE:
		stream->dialogue.flags |= DIALOGUE_JUDGED;
		break;
	}
	return REASON_NONE;
}

__noinline int request_serve(struct request *request)
{
	if (!request)
		return 0;
	struct totals *totals = totals_get();
	struct expect *expect;

	if (!totals)
		return REASON_BUSY;
	switch (request->op) {
	case REQUEST_EXPECT:
		return request_expect(request);
	case REQUEST_UNEXPECT:
		expect = expect_at(request->slot);
		if (!expect || !expect_end(expect, request->slot, request->id, request->reason))
			return REASON_NO_MASTER;
		return REASON_NONE;
	case REQUEST_PORT_TAKE:
		port_take(totals, request->tuple.protocol, request->tuple.destination_port);
		return REASON_NONE;
	case REQUEST_PORT_GIVE:
		port_give(totals, request->tuple.protocol, request->tuple.destination_port);
		return REASON_NONE;
	}
	return request_on_flow(request);
}

struct request_walk {
	struct __sk_buff *skb;
	__u32 count;
};

static long request_step(__u32 index, struct request_walk *walk)
{
	__u32 zero = 0, offset = LIMIT_REQUEST_HEADER + index * sizeof(struct request);
	struct request *request = bpf_map_lookup_elem(&request_scratch, &zero);

	if (index >= walk->count || !request)
		return 1;
	if (bpf_skb_load_bytes(walk->skb, offset, request, sizeof(*request)))
		return 1;
	request->result = request_serve(request);
	if (bpf_skb_store_bytes(walk->skb, offset, request, sizeof(*request), 0))
		return 1;
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_EVENT_H
#define RELATD_EVENT_H

#include "clock.h"
#include "packet.h"
#include "state.h"
#include "tuple.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

#define SAMPLES 64 /* of one packet: 64 KiB */

/*
 * The reader drains by a timer. It is woken early each time the ring has filled by that much: more often would cost an
 * interrupt per event, and if two CPUs pass the mark together and neither sees it, the timer comes soon.
 */
#define EVENTS_WAKE (64 << 10)
#define EVENTS_HEADER 16 /* of a record, with what aligns it */

/* How a record is submitted of which `ahead` bytes are not in the ring yet. */
static __always_inline __u64 event_wakeup(__u32 size, __u32 ahead)
{
	__u64 filled = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + ahead;

	if (filled < EVENTS_WAKE || (filled & (EVENTS_WAKE - 1)) > size + EVENTS_HEADER)
		return BPF_RB_NO_WAKEUP;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline struct event *event_begin(enum event_type type, enum reason reason)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		struct totals *totals = totals_get();

		if (totals)
			__sync_fetch_and_add(&totals->events_lost, 1);
		count(REASON_EVENT_LOST);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->type = type;
	event->reason = reason;
	event->count = 1;
	event->time = clock_boot();
	return event;
}

static __always_inline void event_end(struct event *event)
{
	bpf_ringbuf_submit(event, event_wakeup(sizeof(*event), 0));
}

/* The key turned so that its source is who opened the connection. */
static __always_inline void flow_tuple(const struct tuple *key, const struct flow *flow,
				       struct tuple *out)
{
	if (flow->flags & FLOW_OPENER_IS_SECOND)
		tuple_reverse(key, out);
	else
		*out = *key;
}

__noinline int event_flow(enum event_type type, enum reason reason, const struct tuple *key,
			  const struct flow *flow)
{
	if (!key || !flow)
		return 0;
	struct event *event = event_begin(type, reason);

	if (!event)
		return 0;
	flow_tuple(key, flow, &event->tuple);
	event->flow = *flow;
	event->mark = flow->mark;
	event_end(event);
	return 0;
}

__noinline int event_expect(enum event_type type, enum reason reason, const struct expect *expect,
			    __u64 id)
{
	if (!expect)
		return 0;
	struct event *event = event_begin(type, reason);

	if (!event)
		return 0;
	event->tuple = expect->tuple;
	event->expect = *expect;
	event->expect.live = id;
	event->mark = expect->mark;
	event_end(event);
	return 0;
}

/*
 * For what a stranger can cause packet by packet: one event per source and second, with the number of
 * those that were left out since the last one.
 */
__noinline int event_limited(enum event_type type, enum reason reason, const struct packet *packet,
			     __u32 ifindex)
{
	if (!packet)
		return 0;
	struct config *config = config_get();
	struct source *source;
	struct event *event;
	__u32 second = clock_coarse() / NSEC_PER_SEC;
	__u32 bucket;

	if (!config)
		return 0;
	/* Another place for each kind: a count stands for events of one kind only. */
	bucket = source_bucket(&packet->tuple.source, packet->tuple.zone, config->seed);
	bucket += type * REASON_MAX + reason;
	source = source_get(bucket & (LIMIT_SOURCES - 1));
	if (!source)
		return 0;
	if (source->event_window == second) {
		__sync_fetch_and_add(&source->event_suppressed, 1);
		return 0;
	}
	source->event_window = second;
	event = event_begin(type, reason);
	if (!event)
		return 0;
	event->count += source->event_suppressed;
	source->event_suppressed = 0;
	event->hook = packet->hook;
	event->ifindex = ifindex;
	event->tuple = packet->tuple;
	event_end(event);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sample);
} sample_scratch SEC(".maps");

struct sample_walk {
	struct __sk_buff *skb;
	__u32 seq;
	__u32 offset;
	__u32 left;
};

static long sample_step(__u32 index, struct sample_walk *walk)
{
	__u32 zero = 0, length = walk->left, at, size;
	struct sample *sample = bpf_map_lookup_elem(&sample_scratch, &zero);

	if (!sample || !length)
		return 1;
	if (length > LIMIT_SAMPLE_BYTES)
		length = LIMIT_SAMPLE_BYTES;
	at = walk->offset;
	sample->seq = walk->seq;
	walk->left -= length;
	walk->seq += length;
	walk->offset += length;
	sample->length = length;
	size = offsetof(struct sample, data) + length;
	/* 6.1 learns no lower bound from a comparison with zero. */
	opaque(length);
	length = ((length - 1) & (LIMIT_SAMPLE_BYTES - 1)) + 1;
	if (bpf_skb_load_bytes(walk->skb, at, sample->data, length))
		return 1;
	if (bpf_ringbuf_output(&events, sample, offsetof(struct sample, data) + length,
			       event_wakeup(size, size)))
		count(REASON_SAMPLE_LOST);
	return 0;
}

/* A copy of a control payload that goes on without having been judged, in as many pieces as it takes. */
__noinline int sample_send(struct __sk_buff *skb, const struct packet *packet, __u64 flow,
			   __u32 direction, enum reason reason)
{
	if (!packet)
		return 0;
	__u32 zero = 0;
	struct sample *sample = bpf_map_lookup_elem(&sample_scratch, &zero);
	struct sample_walk walk = {
		.skb = skb,
		.seq = packet->seq,
		.offset = packet->payload,
		.left = packet->payload_length,
	};

	if (!sample)
		return 0;
	sample->type = EVENT_SAMPLE;
	sample->reason = reason;
	sample->hook = packet->hook;
	sample->direction = direction;
	sample->time = clock_boot();
	sample->flow = flow;
	sample->tcp_flags = packet->tcp_flags;
	sample->tuple = packet->tuple;
	/* Most are one piece: no detour through the helper. */
	if (!sample_step(0, &walk) && walk.left)
		bpf_loop(SAMPLES, sample_step, &walk, 0);
	return 0;
}

#endif

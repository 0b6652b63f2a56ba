/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_STREAM_H
#define RELATD_STREAM_H

#include "hold.h"
#include "mark.h"

/* What lies further ahead of a related flow's highest byte does not move it: a stranger's guess. */
#define SEQUENCE_WINDOW (1 << 24)
#define TTL_SLACK 8
#define OWNER_SILENT (2 * NSEC_PER_SEC)

/*
 * The first hook that sees a direction owns it: counts, follows, parses. Another hook takes over when
 * it sees what the owner has not: a route changed. Being wrong costs a count, never a parse, because
 * everything goes by sequence numbers.
 */
static __always_inline bool flow_own(struct flow *flow, const struct packet *packet, __u32 frontier)
{
	struct flow_side *side = &flow->side[packet->direction & 1];
	bool news;

	if (side->owner == packet->me)
		return true;
	if (!side->owner)
		return __sync_val_compare_and_swap(&side->owner, 0, packet->me) == 0;
	if (packet->tuple.protocol != IPPROTO_TCP)
		news = clock_coarse() - flow->last > OWNER_SILENT;
	else if (packet->tcp_flags & TCP_RST)
		news = packet->seq == side->next && flow->state != FLOW_CLOSED;
	else
		news = packet->end != packet->seq && seq_after(packet->end, frontier) &&
		       packet->end - frontier < SEQUENCE_WINDOW;
	if (!news)
		return false;
	count(REASON_TAKEN_OVER);
	side->owner = packet->me;
	return true;
}

static __always_inline void flow_touch(struct flow *flow, const struct packet *packet)
{
	struct flow_side *side = &flow->side[packet->direction & 1];

	__sync_fetch_and_add(&side->packets, packet->segments);
	__sync_fetch_and_add(&side->bytes, packet->length);
	WRITE_ONCE(flow->last, clock_coarse());
}

/* A FIN in order. The flow ends when both sides have sent one. */
static __always_inline void control_fin(const struct packet *packet, struct flow *flow)
{
	WRITE_ONCE(flow->fin[packet->direction & 1], 1);
	if (flow->fin[0] && flow->fin[1])
		control_end(&packet->key, flow, REASON_FIN);
	else if (flow->state != FLOW_CLOSED)
		flow->state = FLOW_CLOSING;
}

/* The packet goes on: its bytes, its FIN, its RST take effect. */
static __always_inline void control_advance(const struct packet *packet, struct flow *flow,
					    struct stream_side *side)
{
	struct flow_side *own = &flow->side[packet->direction & 1];

	if (packet->tcp_flags & TCP_RST) {
		if (packet->seq == own->next)
			control_end(&packet->key, flow, REASON_RST);
		else
			count(REASON_RST_IGNORED);
		return;
	}
	if (!seq_after(packet->end, own->next))
		return;
	if (seq_after(packet->seq, own->next))
		side->flags |= STREAM_SKIPPED;
	own->next = packet->end;
	if (packet->tcp_flags & TCP_FIN)
		control_fin(packet, flow);
}

/* It goes on and nobody has judged it; user space gets a copy. */
__noinline int control_unjudged(struct __sk_buff *skb, const struct packet *packet,
				struct flow *flow, struct stream_side *side, __u32 reason)
{
	if (!packet || !flow || !side)
		return 0;
	if (packet->payload_length) {
		side->flags |= STREAM_SKIPPED;
		sample_send(skb, packet, flow->id, packet->direction, reason);
	}
	control_advance(packet, flow, side);
	return PASS;
}

static __always_inline int control_hold(struct __sk_buff *skb, const struct packet *packet,
					struct flow *flow, struct stream_side *side)
{
	int result = hold_packet(skb, packet, flow, side);
	struct config *config;

	if (result == HOLD_DONE)
		return TC_ACT_REDIRECT;
	if (result == HOLD_REFUSED)
		return DROP;
	if (result == HOLD_UNJUDGEABLE)
		return control_unjudged(skb, packet, flow, side, REASON_HOLD_STRIPS);
	count(REASON_HOLD_UNAVAILABLE);
	config = config_get();
	if (config && config->hold_policy == HOLD_DROP)
		return DROP;
	return control_unjudged(skb, packet, flow, side, REASON_HOLD_UNAVAILABLE);
}

/* A held packet is back at the hook that held it. */
static __always_inline int control_released(struct __sk_buff *skb, const struct packet *packet,
					    struct flow *flow, struct stream_side *side)
{
	__u32 mark = side->held_mark;

	opaque(mark);
	skb->mark = mark;
	skb->priority = side->held_priority;
	count(REASON_RELEASED);
	control_advance(packet, flow, side);
	/* Somebody attends; what is still held may lie behind a gap, and is sent again if it does not. */
	side->held_since = 0;
	side->flags &= ~STREAM_GAP;
	return PASS;
}

/* A connection that is no longer parsed: only its end is of interest, and a far guess must not spoil it. */
static __always_inline int control_unparsed(const struct packet *packet, struct flow *flow,
					    struct stream_side *side)
{
	if (packet->end - flow->side[packet->direction & 1].next < SEQUENCE_WINDOW)
		control_advance(packet, flow, side);
	return PASS;
}

__noinline int control_segment(struct __sk_buff *skb, const struct packet *packet,
			       struct flow *flow)
{
	if (!packet || !flow)
		return 0;
	struct flow_side *own = &flow->side[packet->direction & 1];
	struct stream *stream = stream_find(flow->id);
	struct stream_side *side;
	bool holding;

	if (!stream)
		return PASS;
	side = &stream->side[packet->direction & 1];
	if (packet->released)
		return control_released(skb, packet, flow, side);
	if (flow->trust != REASON_NONE || flow->state == FLOW_CLOSED)
		return control_unparsed(packet, flow, side);

	holding = !(side->flags & STREAM_UNATTENDED) && seq_after(side->held_end, own->next);
	if (packet->tcp_flags & TCP_RST) {
		/* Behind held bytes the next sequence number is the one behind them; it must not overtake. */
		if (holding && (packet->seq == side->held_end || packet->seq == own->next))
			return control_hold(skb, packet, flow, side);
		control_advance(packet, flow, side);
		return PASS;
	}
	if (packet->end == packet->seq)
		return PASS;
	if (!seq_after(packet->end, own->next)) {
		/* Seen before. An announcement is judged again: is it still the same? */
		if (seq_before(packet->seq, side->watch_end) &&
		    seq_after(packet->end, side->watch_start))
			return control_hold(skb, packet, flow, side);
		return PASS;
	}
	if (seq_after(packet->seq, own->next + HOLD_WINDOW)) {
		count(REASON_BEYOND_WINDOW);
		return DROP;
	}
	if (packet->payload_length && packet->ttl + TTL_SLACK < side->ttl) {
		control_distrust(&packet->key, flow, REASON_TTL);
		return control_unparsed(packet, flow, side);
	}
	/* A bare FIN in order says nothing that has to be judged. */
	if (!packet->payload_length && !holding && packet->seq == own->next) {
		control_advance(packet, flow, side);
		return PASS;
	}
	return control_hold(skb, packet, flow, side);
}

static __always_inline __u32 control_frontier(const struct flow *flow, __u32 direction)
{
	struct stream *stream = stream_find(flow->id);
	__u32 next = flow->side[direction & 1].next;

	if (!stream || stream->side[direction & 1].flags & STREAM_UNATTENDED)
		return next;
	return seq_max(next, stream->side[direction & 1].held_end);
}

/*
 * Whether these bytes were held before: the mark alone proves nothing, since who may set marks on this
 * host could skip the judge with it. What has gone on already counts as well, it was held twice.
 */
static __always_inline bool control_was_held(const struct flow *flow, const struct packet *packet)
{
	struct stream *stream = stream_find(flow->id);
	__u32 end;

	if (!stream)
		return false;
	end = stream->side[packet->direction & 1].held_end;
	return !seq_after(packet->end, end) && end - packet->seq <= 2 * HOLD_WINDOW;
}

/*
 * A bare ACK in order comes from who takes part: the bytes that it acknowledges went by in a way that we do
 * not see, as fragments or along another route.
 */
static __always_inline bool control_missed(const struct packet *packet, const struct flow *flow)
{
	__u32 direction = packet->direction & 1;

	return packet->tcp_flags & TCP_ACK && packet->end == packet->seq &&
	       packet->seq == flow->side[direction].next &&
	       packet->ack - flow->side[!direction].next < SEQUENCE_WINDOW;
}

__noinline int control_packet(struct __sk_buff *skb, struct packet *packet, struct flow *flow)
{
	if (!packet || !flow)
		return 0;
	struct config *config = config_get();
	__u32 direction = packet->direction & 1;

	if (!config)
		return PASS;
	if (unlikely(config->release_mark && skb->mark == config->release_mark)) {
		if (flow->side[direction].owner == packet->me && control_was_held(flow, packet)) {
			packet->released = 1;
			return control_segment(skb, packet, flow);
		}
		skb->mark = 0;
	}
	mark_clear(skb, config, packet->hook);
	if (packet->tcp_flags & TCP_SYN) {
		count(REASON_SYN_IGNORED);
		return PASS;
	}
	/*
	 * Who acknowledges what was never sent, or nothing, or what is long past, does not see the
	 * connection: the receiver will discard the segment (RFC 5961, 5), and we must not parse it.
	 */
	if (flow->trust == REASON_NONE && !(packet->tcp_flags & TCP_RST) &&
	    (!(packet->tcp_flags & TCP_ACK) ||
	     flow->side[!direction].next - packet->ack >= SEQUENCE_WINDOW)) {
		count(REASON_BAD_ACK);
		if (!control_missed(packet, flow))
			return PASS;
		control_distrust(&packet->key, flow, REASON_GAP);
	}
	if (!flow_own(flow, packet, control_frontier(flow, direction)))
		return PASS;
	flow_touch(flow, packet);
	return control_segment(skb, packet, flow);
}

#endif

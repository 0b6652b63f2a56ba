/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_RELATED_H
#define RELATD_RELATED_H

#include "master.h"
#include "stream.h"

#define RELATED_UNANSWERED (10 * NSEC_PER_SEC)

/*
 * A data connection that was reset at once, or never answered, gives its expectation back, once: a
 * stranger's SYN would otherwise burn it. Nothing is pushed out for that.
 */
__noinline int related_give_back(const struct tuple *key, struct flow *flow)
{
	if (!key || !flow)
		return 0;
	struct expect_order *order = order_get();
	struct stream *stream;

	if (!order || flow->expect_flags & (EXPECT_PERMANENT | EXPECT_GIVEN_BACK) ||
	    (flow->deadline && flow->deadline <= clock_boot()))
		return 0;
	stream = stream_find(flow->stream, flow->master);
	if (!stream || stream->side[0].flags & STREAM_ENDED)
		return 0;
	__builtin_memset(order, 0, sizeof(*order));
	flow_tuple(key, flow, &order->tuple);
	tuple_widen(&order->tuple, flow->shape);
	order->master = flow->master;
	order->stream = flow->stream;
	order->deadline = flow->deadline;
	order->mark = flow->mark;
	order->source_bucket = flow->source_bucket;
	order->assignment = flow->assignment;
	order->class = flow->class;
	order->limit = flow->limit;
	order->flags = flow->expect_flags | EXPECT_GIVEN_BACK;
	order->direction = flow->announcer;
	if (master_expect(stream, false) == REASON_NONE) {
		struct expect *expect = expect_at(order->slot);

		count(REASON_GIVEN_BACK);
		if (expect)
			event_expect(EVENT_EXPECTATION_NEW, REASON_GIVEN_BACK, expect, order->id);
	}
	return 0;
}

__noinline int related_end(const struct tuple *key, struct flow *flow, __u32 reason)
{
	if (!key || !flow)
		return 0;
	if (__sync_val_compare_and_swap(&flow->ended, 0, 1))
		return 0;
	flow->state = FLOW_CLOSED;
	event_flow(EVENT_RELATED_END, reason, key, flow);
	return 0;
}

/* Whether this acknowledges the SYN, and none or some of the data that it may have had (RFC 7413). */
static __always_inline bool related_answers(const struct packet *packet, const struct flow *flow)
{
	return packet->tcp_flags & TCP_ACK && seq_after(packet->ack, flow->isn) &&
	       !seq_after(packet->ack, flow->side[DIRECTION_ORIGINAL].next);
}

/* Whether its opener has seen the answer, which a stranger who used its address has not. */
static __always_inline bool related_completes(const struct packet *packet, const struct flow *flow)
{
	return packet->direction == DIRECTION_ORIGINAL && packet->tcp_flags & TCP_ACK &&
	       flow->state != FLOW_NEW &&
	       flow->side[DIRECTION_REPLY].next - packet->ack < SEQUENCE_WINDOW;
}

static __always_inline void related_tcp(const struct packet *packet, struct flow *flow)
{
	struct flow_side *own = &flow->side[packet->direction & 1];
	__u32 ahead = packet->end - own->next;

	if (packet->tcp_flags & TCP_SYN) {
		if (packet->direction == DIRECTION_REPLY && related_answers(packet, flow) &&
		    flow->state == FLOW_NEW) {
			own->next = packet->seq + 1;
			flow->state = FLOW_ESTABLISHED;
		}
		return;
	}
	if (packet->tcp_flags & TCP_RST) {
		if (flow->state == FLOW_NEW && packet->direction == DIRECTION_REPLY &&
		    related_answers(packet, flow)) {
			related_end(&packet->key, flow, REASON_RST);
			related_give_back(&packet->key, flow);
		} else if (flow->state != FLOW_NEW && packet->seq == own->next) {
			bool disowned = packet->direction == DIRECTION_ORIGINAL &&
					flow->state == FLOW_ESTABLISHED &&
					!(flow->flags & FLOW_COMPLETED);

			related_end(&packet->key, flow, REASON_RST);
			/* The SYN was a stranger's: whose address it bore knows nothing of it. */
			if (disowned)
				related_give_back(&packet->key, flow);
		} else {
			count(REASON_RST_IGNORED);
		}
		return;
	}
	if (!(flow->flags & FLOW_COMPLETED) && related_completes(packet, flow))
		flow->flags |= FLOW_COMPLETED;
	/* Old, empty, or too far ahead to be more than a guess. */
	if (!seq_after(packet->end, own->next) || ahead >= SEQUENCE_WINDOW)
		return;
	own->next = packet->end;
	if (!(packet->tcp_flags & TCP_FIN))
		return;
	if (flow_fin(flow, packet->direction))
		related_end(&packet->key, flow, REASON_FIN);
}

__noinline int related_packet(struct __sk_buff *skb, const struct packet *packet, struct flow *flow)
{
	if (!packet || !flow)
		return 0;
	struct config *config = config_get();
	__u32 mark = flow->mark;

	if (!config)
		return PASS;
	if (READ_ONCE(flow->state) == FLOW_CLAIMING || !flow_is(flow, packet->tag))
		return mark_clear(skb, config, packet->hook);
	if (unlikely(config->release_mark && skb->mark == config->release_mark)) {
		/* It was counted when it was held; whoever sets this mark himself gains nothing. */
		skb->mark = flow->state == FLOW_NEW ? flow->side[DIRECTION_REPLY].next : 0;
		count(REASON_RELEASED);
		mark_write(skb, config->mark_mask, mark);
		return PASS;
	}
	mark_write(skb, config->mark_mask, mark);
	if (!flow_own(flow, packet, flow->side[packet->direction & 1].next))
		return PASS;
	flow_touch(flow, packet);
	if (packet->tuple.protocol == IPPROTO_TCP)
		related_tcp(packet, flow);
	else if (packet->direction == DIRECTION_REPLY && flow->state == FLOW_NEW)
		flow->state = FLOW_ESTABLISHED;
	return PASS;
}

/*
 * A packet that can open a connection meets an expectation. One winner: the flow is reserved, then the
 * expectation is won or the reservation goes. Returns whether the packet is RELATED.
 */
__noinline int related_begin(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return 0;
	const struct tuple *key = &packet->key;
	struct config *config = config_get();
	struct totals *totals = totals_get();
	struct expect_match match;
	struct flow_scratch *scratch;
	struct flow *flow;
	enum reason reason;
	__u32 zero = 0;

	if (!config || !totals || !expect_find(totals, &packet->tuple, clock_boot(), &match))
		return 0;
	scratch = bpf_map_lookup_elem(&flow_scratches, &zero);
	if (!scratch)
		return 0;
	__builtin_memset(&scratch->flow, 0, sizeof(scratch->flow));
	flow = &scratch->flow;
	if (packet->swapped)
		flow->flags |= FLOW_OPENER_IS_SECOND;
	flow->tag = packet->tag;
	flow->kind = FLOW_RELATED;
	flow->state = FLOW_CLAIMING;
	flow->created = clock_boot();
	flow->last = clock_coarse();
	flow->master = match.expect->master;
	flow->stream = match.expect->stream_low | match.expect->stream_high << 16;
	flow->expectation = match.id;
	flow->deadline = match.expect->deadline;
	flow->mark = match.expect->mark;
	flow->assignment = match.expect->assignment;
	flow->class = match.expect->class;
	flow->limit = match.expect->limit;
	flow->expect_flags = match.expect->flags;
	flow->announcer = match.expect->direction;
	flow->source_bucket = match.expect->source_bucket;
	flow->shape = match.shape;
	flow->isn = packet->seq;
	flow->side[DIRECTION_ORIGINAL].owner = packet->me;
	flow->side[DIRECTION_ORIGINAL].next = packet->end + 1;
	flow->side[DIRECTION_ORIGINAL].packets = packet->segments;
	flow->side[DIRECTION_ORIGINAL].bytes = packet->length;
	reason = flow_insert(key);
	if (reason != REASON_NONE) {
		count(reason);
		if (reason != REASON_LOST_RACE)
			event_limited(EVENT_TABLE_FULL, reason, packet, skb->ifindex);
		return 0;
	}
	flow = flow_at(flow->slot, packet->tag);
	if (!flow)
		return 0;
	if (!expect_claim(&match)) {
		count(REASON_LOST_RACE);
		flow_remove(flow->slot, flow->id);
		return 0;
	}
	/* A copy: the record of a permanent one may be somebody else's by now. */
	if (!(flow->expect_flags & EXPECT_PERMANENT))
		expect_drop(match.slot);
	flow->state = FLOW_NEW;
	count(REASON_MATCHED);
	if ((packet->hook & HOOK_SIDE) == HOOK_EGRESS && skb->ingress_ifindex)
		count(REASON_LATE);
	mark_write(skb, config->mark_mask, flow->mark);
	event_flow(EVENT_RELATED_NEW, REASON_MATCHED, key, flow);
	return 1;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_STREAM_H
#define RELATD_STREAM_H

#include "checksum.h"
#include "hold.h"
#include "machine.h"
#include "mark.h"
#include "parked.h"
#include "policy.h"
#include "watch.h"

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
	if (flow_fin(flow, packet->direction))
		control_end(&packet->key, flow, REASON_FIN);
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
	if (side->flags & STREAM_PARKED)
		own->next = parked_join(side, flow->id, packet->direction, own->next);
	/* What was held once must not look ahead of it when the sequence numbers have gone half around. */
	side->held_end = seq_max(side->held_end, own->next);
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

/* From here on user space decides about this connection. */
static __always_inline int control_judge(struct __sk_buff *skb, const struct packet *packet,
					 struct flow *flow, struct stream *stream)
{
	if (!(stream->dialogue.flags & DIALOGUE_JUDGED)) {
		stream->dialogue.flags |= DIALOGUE_JUDGED;
		count(REASON_JUDGED);
	}
	return control_hold(skb, packet, flow, &stream->side[packet->direction & 1]);
}

/* The same of one over UDP: a datagram is never held, so user space gets a copy of it. */
static __always_inline int datagram_judge(struct __sk_buff *skb, const struct packet *packet,
					  const struct flow *flow, struct stream *stream)
{
	stream->dialogue.flags |= DIALOGUE_JUDGED;
	count(REASON_JUDGED);
	sample_send(skb, packet, flow->id, packet->direction, REASON_HOLD_UNAVAILABLE);
	return PASS;
}

/* Which side a packet's sender is, and where: what an announcement may name. */
static __always_inline void scratch_begin(struct scratch *scratch, const struct packet *packet)
{
	scratch->acts = 0;
	scratch->own = packet->tuple.source;
	scratch->own_port = bpf_ntohs(packet->tuple.source_port);
}

/* Puts what is new in a packet through the tables. Returns a verdict. */
__noinline int control_walk(struct __sk_buff *skb, const struct packet *packet, struct flow *flow,
			    struct stream *stream)
{
	if (!packet || !flow || !stream)
		return VERDICT_JUDGE;
	struct scratch *scratch = scratch_get();
	__u32 direction = packet->direction & 1, old = 0;
	struct walk walk = {
		.skb = skb,
		.stream = stream,
		.machine = machine_find(&stream->dialogue),
		.machine_index = stream->dialogue.machine - 1,
		.direction = direction,
		.left = packet->payload_length,
	};

	if (!scratch || !walk.machine)
		return VERDICT_JUDGE;
	scratch_begin(scratch, packet);
	if (packet->tuple.protocol == IPPROTO_TCP) {
		if (packet->tcp_flags & TCP_URG)
			return VERDICT_JUDGE;
		old = flow->side[direction].next - packet->seq;
		walk.seq = flow->side[direction].next;
	} else {
		stream->walker[direction].row = 0;
	}
	if (old > walk.left)
		return VERDICT_JUDGE;
	walk.offset = packet->payload + old;
	walk.left -= old;
	walk_run(&walk);
	if (walk.verdict == VERDICT_GO_ON && packet->tuple.protocol != IPPROTO_TCP)
		walk_end(&walk);
	if (walk.verdict == VERDICT_GO_ON && stream->side[direction].flags & STREAM_PARKED)
		parked_walk(&walk, flow->id);
	return walk.verdict;
}

/* What policy makes of an announcement: a reason, or REASON_NONE. */
static __always_inline enum reason policy_judge(const struct policy *policy,
						const struct flow *flow, const struct act *act,
						const struct packet *packet)
{
	bool own = act->address.half[0] == packet->tuple.source.half[0] &&
		   act->address.half[1] == packet->tuple.source.half[1];

	if (ip_is_v4(&act->address) != (packet->tuple.family == 4))
		return REASON_WRONG_FAMILY;
	if (act->port < policy->from_port || act->port > policy->to_port)
		return REASON_PORT_RANGE;
	/* Behind translation the peer's connection arrives with a tuple that is not known here. */
	if (flow->flags & FLOW_TRANSLATED && (packet->direction == DIRECTION_ORIGINAL || !own))
		return REASON_NAT;
	return own || policy->third_party ? REASON_NONE : REASON_ADDRESS;
}

/* Does what one message of the packet wants done: see struct act. */
__noinline int control_act(const struct packet *packet, struct flow *flow, struct stream *stream,
			   __u32 index)
{
	if (!packet || !flow || !stream)
		return 0;
	struct scratch *scratch = scratch_get();
	struct policy *policy = policy_find(flow->assignment);
	struct dialogue *dialogue = &stream->dialogue;
	struct expect_order *order = order_get();
	enum reason reason;
	struct act *act;

	if (!scratch || !policy || !order)
		return 0;
	act = &scratch->act[index & (ACTS - 1)];
	if (act->kind == ACT_WITHDRAW) {
		struct expect *expect = expect_at(dialogue->current_slot);

		if (dialogue->current && expect)
			expect_end(expect, dialogue->current_slot, dialogue->current,
				   REASON_REFUSED_BY_SERVER);
		dialogue->current = 0;
		return 0;
	}
	__builtin_memset(order, 0, sizeof(*order));
	if (!act->anyone)
		order->tuple.source = packet->tuple.destination;
	order->tuple.destination = act->address;
	order->tuple.destination_port = bpf_htons(act->port);
	order->tuple.protocol = act->protocol;
	order->tuple.family = packet->tuple.family;
	order->tuple.zone = packet->key.zone;
	order->deadline = clock_boot() + policy->timeout;
	order->limit = policy->limit;
	order->direction = packet->direction;
	dialogue->current = 0;
	reason = policy_judge(policy, flow, act, packet);
	if (reason != REASON_NONE) {
		order->master = flow->id;
		order->assignment = flow->assignment;
		order->mark = flow->mark;
		return expect_refuse(flow, reason);
	}
	if (master_announce(flow, stream) != REASON_NONE)
		return 0;
	dialogue->current = order->id;
	dialogue->current_slot = order->slot;
	return 1;
}

/* Remembers where the last announcement stands, and its bytes' hash if they are all in this packet. */
static __always_inline void control_watch(struct __sk_buff *skb, const struct packet *packet,
					  struct stream_side *side, const struct act *act)
{
	side->watch_start = act->start;
	side->watch_end = act->end;
	side->flags &= ~STREAM_WATCH_HASHED;
	if (watch_hash(skb, packet, act->start, act->end, &side->watch_hash))
		side->flags |= STREAM_WATCH_HASHED;
}

/* The tables have understood the packet: what its messages want is done before it goes on. */
static __always_inline void control_decided(struct __sk_buff *skb, const struct packet *packet,
					    struct flow *flow, struct stream *stream)
{
	struct machine *machine = machine_find(&stream->dialogue);
	struct scratch *scratch = scratch_get();
	struct act *last = NULL;
	__u32 acts;

	if (!machine || !scratch)
		return;
	count(REASON_DECIDED);
	if (machine->recognised >> (stream->dialogue.phase & (LIMIT_PHASES - 1)) & 1)
		flow->flags |= FLOW_RECOGNISED;
	acts = scratch->acts;
	for (__u32 i = 0; i < ACTS; i++) {
		if (i >= acts)
			break;
		control_act(packet, flow, stream, i);
		if (scratch->act[i].kind == ACT_ANNOUNCE)
			last = &scratch->act[i];
	}
	if (last && packet->tuple.protocol == IPPROTO_TCP)
		control_watch(skb, packet, &stream->side[packet->direction & 1], last);
}

/* A segment behind a gap: kept, or dropped, which its sender repairs. Never passed unread. */
static __always_inline int control_out_of_order(struct __sk_buff *skb, const struct packet *packet,
						struct flow *flow, struct stream_side *side)
{
	if (packet->tcp_flags & TCP_FIN || !parked_keep(skb, packet, side, flow->id)) {
		count(REASON_OUT_OF_ORDER);
		return DROP;
	}
	count(REASON_PARKED);
	sample_send(skb, packet, flow->id, packet->direction, REASON_DECIDED);
	return PASS;
}

/* Whether a packet has any byte of the last announcement. There may be none: zero is a sequence number as well. */
static __always_inline bool control_is_watched(const struct packet *packet,
					       const struct stream_side *side)
{
	return side->watch_start != side->watch_end && seq_before(packet->seq, side->watch_end) &&
	       seq_after(packet->end, side->watch_start);
}

enum compare {
	COMPARE_SAME,
	COMPARE_OTHER,
	COMPARE_UNKNOWN, /* only user space can tell */
};

/* What comes again of the last announcement must still be the same: a receiver may have missed it the first time. */
static __always_inline enum compare
control_compare(struct __sk_buff *skb, const struct packet *packet, const struct stream_side *side)
{
	__u64 hash = 0;

	if (!control_is_watched(packet, side))
		return COMPARE_SAME;
	if (!(side->flags & STREAM_WATCH_HASHED) ||
	    !watch_hash(skb, packet, side->watch_start, side->watch_end, &hash))
		return COMPARE_UNKNOWN;
	return hash == side->watch_hash ? COMPARE_SAME : COMPARE_OTHER;
}

/* Other bytes in the place of the last announcement, or of what was kept behind a gap: nobody can know which of both is read. */
static __always_inline void control_rewritten(const struct packet *packet, struct flow *flow,
					      struct stream *stream)
{
	struct expect *expect = expect_at(stream->dialogue.current_slot);

	control_distrust(&packet->key, flow, REASON_REWRITTEN);
	if (stream->dialogue.current && expect)
		expect_end(expect, stream->dialogue.current_slot, stream->dialogue.current,
			   REASON_REWRITTEN);
}

/* Nothing new in it. */
static __always_inline int control_again(struct __sk_buff *skb, const struct packet *packet,
					 struct flow *flow, struct stream *stream)
{
	struct stream_side *side = &stream->side[packet->direction & 1];
	__u32 next = flow->side[packet->direction & 1].next;

	if (!control_is_watched(packet, side))
		return PASS;
	/* A keep-alive (RFC 1122, 4.2.3.6): a byte of garbage at the place of the last one. */
	if (packet->payload_length == 1 && next - packet->seq == 1)
		return PASS;
	if (!packet_is_intact(skb, packet)) {
		count(REASON_DAMAGED);
		return PASS;
	}
	switch (control_compare(skb, packet, side)) {
	case COMPARE_UNKNOWN:
		return control_judge(skb, packet, flow, stream);
	case COMPARE_OTHER:
		control_rewritten(packet, flow, stream);
		break;
	default:
		break;
	}
	return PASS;
}

/* A packet with new bytes, in table mode. */
static __always_inline int control_tables(struct __sk_buff *skb, const struct packet *packet,
					  struct flow *flow, struct stream *stream)
{
	struct flow_side *own = &flow->side[packet->direction & 1];
	struct stream_side *side = &stream->side[packet->direction & 1];
	enum compare again = COMPARE_SAME;
	int verdict;

	if (packet->tuple.protocol == IPPROTO_TCP) {
		if (packet->payload_length && !packet_is_intact(skb, packet)) {
			count(REASON_DAMAGED);
			return PASS;
		}
		if (seq_after(packet->seq, own->next))
			return control_out_of_order(skb, packet, flow, side);
		/* A sender may put new bytes behind those that it sends again. */
		if (seq_before(packet->seq, own->next))
			again = control_compare(skb, packet, side);
		if (again == COMPARE_SAME && side->flags & STREAM_PARKED &&
		    parked_differs(skb, packet, flow->id))
			again = COMPARE_OTHER;
	}
	if (again == COMPARE_OTHER) {
		control_rewritten(packet, flow, stream);
		return control_unparsed(packet, flow, side);
	}
	verdict =
		again == COMPARE_UNKNOWN ? VERDICT_JUDGE : control_walk(skb, packet, flow, stream);
	if (verdict == VERDICT_JUDGE && packet->tuple.protocol != IPPROTO_TCP)
		return datagram_judge(skb, packet, flow, stream);
	if (verdict == VERDICT_JUDGE)
		return control_judge(skb, packet, flow, stream);
	if (verdict != VERDICT_GO_ON)
		control_distrust(&packet->key, flow, verdict);
	else
		control_decided(skb, packet, flow, stream);
	sample_send(skb, packet, flow->id, packet->direction, REASON_DECIDED);
	if (packet->tuple.protocol == IPPROTO_TCP)
		control_advance(packet, flow, side);
	return PASS;
}

__noinline int control_segment(struct __sk_buff *skb, const struct packet *packet,
			       struct flow *flow)
{
	if (!packet || !flow)
		return 0;
	struct flow_side *own = &flow->side[packet->direction & 1];
	struct stream *stream = stream_find(flow->stream, flow->id);
	struct stream_side *side;
	bool holding, tables;

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
	tables = !(stream->dialogue.flags & DIALOGUE_JUDGED);
	if (!seq_after(packet->end, own->next)) {
		if (tables)
			return control_again(skb, packet, flow, stream);
		/* Seen before. An announcement is judged again: is it still the same? */
		if (control_is_watched(packet, side))
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
	if (tables)
		return control_tables(skb, packet, flow, stream);
	return control_hold(skb, packet, flow, side);
}

__noinline int control_datagram(struct __sk_buff *skb, const struct packet *packet,
				struct flow *flow)
{
	if (!packet || !flow)
		return 0;
	struct stream *stream = stream_find(flow->stream, flow->id);

	/* Without a table nobody reads it: a datagram is never held. */
	if (!stream || stream->dialogue.flags & DIALOGUE_JUDGED || flow->trust != REASON_NONE ||
	    flow->state == FLOW_CLOSED)
		return PASS;
	return control_tables(skb, packet, flow, stream);
}

/* Up to where a packet's owner has seen its direction. */
static __always_inline __u32 control_frontier(const struct flow *flow, const struct packet *packet)
{
	struct stream *stream = stream_find(flow->stream, flow->id);
	__u32 next = flow->side[packet->direction & 1].next;
	struct stream_side *side;

	if (!stream)
		return next;
	side = &stream->side[packet->direction & 1];
	if (side->flags & STREAM_PARKED && parked_has(packet, flow->id))
		return packet->end;
	return side->flags & STREAM_UNATTENDED ? next : seq_max(next, side->held_end);
}

/*
 * Whether these bytes were held before: the mark alone proves nothing, since who may set marks on this
 * host could skip the judge with it. What has gone on already counts as well, it was held twice.
 */
static __always_inline bool control_was_held(const struct flow *flow, const struct packet *packet)
{
	struct stream *stream = stream_find(flow->stream, flow->id);
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
	if (packet->tuple.protocol != IPPROTO_TCP) {
		if (!flow_own(flow, packet, 0))
			return PASS;
		flow_touch(flow, packet);
		return control_datagram(skb, packet, flow);
	}
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
	if (!flow_own(flow, packet, control_frontier(flow, packet)))
		return PASS;
	flow_touch(flow, packet);
	return control_segment(skb, packet, flow);
}

#endif

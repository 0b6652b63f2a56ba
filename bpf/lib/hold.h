/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_HOLD_H
#define RELATD_HOLD_H

#include <bpf/bpf_core_read.h>
#include "host.h"
#include "master.h"

/*
 * A control packet that user space must judge waits in a TAP device. On its way there the frame gets one
 * more 802.1ad tag, whose 16 bits carry the zone; a VLAN tag that the packet had moves behind it. On
 * its way back the program at the device's ingress takes the tag off, finds the flow, and redirects the
 * frame to the hook that held it.
 */
#define HOLD_SOURCE_WINDOW_SHIFT 26 /* ns to steps of 67 ms */
#define HOLD_SOURCE_PACKETS \
	1024 /* of one source in a step: the device's queue is many times that */
#define HOLD_WINDOW 65535 /* bytes of one direction beyond what has gone on */
/*
 * What is held behind a gap waits for the sender, whose retransmission nobody here can hurry; but if the
 * missing bytes went another way it never comes. Deadlines that a gap may take.
 */
#define HOLD_GAP_DEADLINES 10

enum hold_result {
	HOLD_DONE, /* redirected: the verdict is TC_ACT_REDIRECT */
	HOLD_UNAVAILABLE, /* hold.unavailable decides */
	HOLD_UNJUDGEABLE, /* cannot be held: goes on, user space gets a copy */
	HOLD_REFUSED, /* over budget: dropped, TCP sends it again */
};

/*
 * A TAP that is gone swallows what is redirected to it without a sign, and with it every control
 * connection. It goes with its daemon, so this is asked before each redirect.
 */
static __always_inline bool hold_device_lives(struct __sk_buff *skb, const struct config *config)
{
	__u32 mtu = 0;

	return config->hold_ifindex && bpf_check_mtu(skb, config->hold_ifindex, &mtu, 0, 0) >= 0;
}

/*
 * Whether this kernel has IPsec, and with it the helper that asks for it: from its BTF, since its
 * configuration is a file that a container does not have.
 */
enum skb_ext_id {
	SKB_EXT_SEC_PATH = 1,
};

/*
 * What came out of IPsec or a tunnel carries that in its skb, and a frame that user space writes back
 * does not: the stack would refuse it.
 */
static __always_inline bool hold_would_strip(struct __sk_buff *skb)
{
	struct bpf_tunnel_key tunnel = {};
	struct bpf_xfrm_state state = {};

	if (!bpf_skb_get_tunnel_key(skb, &tunnel, sizeof(tunnel), 0))
		return true;
	return bpf_core_enum_value_exists(enum skb_ext_id, SKB_EXT_SEC_PATH) &&
	       !bpf_skb_get_xfrm_state(skb, 0, &state, sizeof(state), 0);
}

static __always_inline bool hold_budget_take(const struct config *config,
					     const struct packet *packet)
{
	__u32 window = clock_coarse() >> HOLD_SOURCE_WINDOW_SHIFT;
	struct source *source =
		source_get(source_bucket(&packet->tuple.source, packet->tuple.zone, config->seed));

	if (!source)
		return false;
	if (source->window != window) {
		source->window = window;
		source->held = 0;
	}
	return __sync_fetch_and_add(&source->held, packet->segments) < HOLD_SOURCE_PACKETS;
}

static __always_inline bool hold_frame(struct __sk_buff *skb, const struct packet *packet,
				       __u16 zone)
{
	if (packet->hook & HOOK_NO_ETHERNET) {
		struct ethhdr ethernet = { .h_proto = skb->protocol };

		if (bpf_skb_change_head(skb, sizeof(ethernet), 0))
			return false;
		if (bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0))
			return false;
	}
	return !bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021AD), zone);
}

static __always_inline __u64 hold_patience(const struct config *config,
					   const struct stream_side *side)
{
	return side->flags & STREAM_GAP ? HOLD_GAP_DEADLINES * config->hold_deadline :
					  config->hold_deadline;
}

/*
 * Whether bytes in front of this packet are missing. What follows on held bytes may still lie behind the
 * gap that they lie behind. Where nobody knows, the daemon being busy with what is in front of it, the
 * first retransmission tells, because it begins with the next byte.
 */
static __always_inline bool hold_behind_gap(const struct packet *packet,
					    const struct stream_side *side, __u32 next)
{
	if (!seq_after(packet->seq, next))
		return false;
	return seq_after(packet->seq, side->held_end) || side->flags & STREAM_GAP ||
	       !side->held_since;
}

/* Since when somebody is waited for: the daemon, or the sender of what is missing. */
static __always_inline void hold_clock(struct stream_side *side, bool gap, __u64 now)
{
	if (side->held_since && (gap || !(side->flags & STREAM_GAP)))
		return;
	side->held_since = now;
	if (gap)
		side->flags |= STREAM_GAP;
	else
		side->flags &= ~STREAM_GAP;
}

__noinline int hold_packet(struct __sk_buff *skb, const struct packet *packet, struct flow *flow,
			   struct stream_side *side)
{
	if (!packet || !flow || !side)
		return 0;
	struct config *config = config_get();
	__u32 next = flow->side[packet->direction & 1].next;
	__u64 now = clock_boot();

	if (!config || side->flags & STREAM_UNATTENDED)
		return HOLD_UNAVAILABLE;
	/* The next byte is here: whatever lies behind a gap waits no longer for its sender. */
	if (side->flags & STREAM_GAP && !seq_after(packet->seq, next)) {
		side->flags &= ~STREAM_GAP;
		side->held_since = 0;
	}
	if (side->held_since && now - side->held_since > hold_patience(config, side)) {
		side->flags |= STREAM_UNATTENDED;
		side->held_since = 0;
		count(REASON_HOLD_UNATTENDED);
		event_flow(EVENT_UNATTENDED, REASON_HOLD_UNATTENDED, &packet->key, flow);
		return HOLD_UNAVAILABLE;
	}
	if (!hold_device_lives(skb, config))
		return HOLD_UNAVAILABLE;
	if (hold_would_strip(skb)) {
		count(REASON_HOLD_STRIPS);
		return HOLD_UNJUDGEABLE;
	}
	if (!hold_budget_take(config, packet)) {
		count(REASON_HOLD_BUDGET);
		return HOLD_REFUSED;
	}
	side->held_mark = skb->mark;
	side->held_priority = skb->priority;
	hold_clock(side, hold_behind_gap(packet, side, next), now);
	side->held_end = seq_max(side->held_end, packet->end);
	if (!hold_frame(skb, packet, packet->key.zone)) {
		count(REASON_HOLD_FAILED);
		return HOLD_REFUSED;
	}
	count(REASON_HELD);
	bpf_redirect(config->hold_ifindex, 0);
	return HOLD_DONE;
}

/*
 * The first packet of a related flow waits until user space has told connection tracking of it. Its mark stands where the
 * answer's sequence number will, which nobody can have seen yet. Where it cannot wait, the mark alone must do.
 */
__noinline int hold_opener(struct __sk_buff *skb)
{
	struct config *config = config_get();
	struct packet *packet;
	struct flow *flow;
	__u32 mark = skb->mark, zero = 0;

	/* Looked up: 6.1 takes no key out of an argument of a global function. */
	packet = bpf_map_lookup_elem(&packets, &zero);
	if (!packet || !config || !host_wants_conntrack() ||
	    (packet->hook & HOOK_SIDE) != HOOK_INGRESS || !hold_device_lives(skb, config))
		return 0;
	flow = flow_find(&packet->key, packet->tag);
	if (!flow)
		return 0;
	if (hold_would_strip(skb)) {
		count(REASON_HOLD_STRIPS);
		return 0;
	}
	if (!hold_budget_take(config, packet)) {
		count(REASON_HOLD_BUDGET);
		return 0;
	}
	flow->side[DIRECTION_REPLY].next = mark;
	if (!hold_frame(skb, packet, packet->key.zone)) {
		count(REASON_HOLD_FAILED);
		packet->verdict = DROP;
		return 0;
	}
	count(REASON_HELD);
	packet->verdict = bpf_redirect(config->hold_ifindex, 0);
	return 0;
}

/* At the hold device's ingress: back to where the frame was taken. */
static __always_inline int hold_release(struct __sk_buff *skb, const struct config *config,
					struct packet *packet)
{
	struct flow *flow;
	__u16 zone = skb->vlan_tci;
	__u32 owner;

	if (!skb->vlan_present || bpf_skb_vlan_pop(skb))
		return DROP;
	if (packet_read(skb, HOOK_INGRESS, packet) != REASON_NONE) {
		count(REASON_HOLD_FAILED);
		return DROP;
	}
	packet_key(packet, config, zone);
	flow = flow_find(&packet->key, packet->tag);
	/* Of a related flow only its first packet was held. */
	if (!flow || (flow->kind == FLOW_RELATED && flow->state != FLOW_NEW)) {
		count(REASON_HOLD_UNKNOWN);
		return DROP;
	}
	owner = flow->side[flow_direction(flow, packet)].owner;
	skb->mark = config->release_mark;
	return bpf_redirect(owner >> 1, owner & 1 ? 0 : BPF_F_INGRESS);
}

#endif

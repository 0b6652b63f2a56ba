// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The datapath. Stubs sit on the hooks and tail-call slot 0 of one pinned array: replacing that one
 * element replaces the program on every hook at one instant. docs/datapath.md tells the whole story.
 */
#include "lib/connect.h"
#include "lib/guard.h"
#include "lib/handshake.h"
#include "lib/match.h"
#include "lib/other.h"
#include "lib/related.h"
#include "lib/request.h"
#include "lib/stream.h"
#include "lib/sweep.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

/* Which hook it is travels in skb->cb, which a tail call keeps. */
#define STUB(name, hook)                          \
	SEC("tc") int name(struct __sk_buff *skb) \
	{                                         \
		skb->cb[0] = hook;                \
		bpf_tail_call(skb, &programs, 0); \
		return PASS;                      \
	}

STUB(relatd_ingress, HOOK_INGRESS)
STUB(relatd_egress, HOOK_EGRESS)
STUB(relatd_ingress_l3, HOOK_INGRESS | HOOK_NO_ETHERNET)
STUB(relatd_egress_l3, HOOK_EGRESS | HOOK_NO_ETHERNET)
STUB(relatd_hold, HOOK_HOLD)

/* A SYN of a new connection that uses the tuple of one that is over. */
static __always_inline bool flow_is_reused(const struct flow *flow, const struct packet *packet)
{
	if (!packet_is_opener(packet) || packet->tuple.protocol != IPPROTO_TCP)
		return false;
	if (flow->kind == FLOW_RELATED && flow->state == FLOW_NEW)
		return packet->seq != flow->isn && flow->ended;
	return flow->state == FLOW_CLOSED || flow->state == FLOW_CLOSING;
}

static __always_inline bool control_opens(struct __sk_buff *skb, const struct config *config,
					  const struct packet *packet, bool seen)
{
	if (packet->tuple.protocol == IPPROTO_TCP)
		return handshake_see(skb, config, packet, seen);
	return !seen && assignment_port_find(config, &packet->tuple) &&
	       datagram_begin(config, packet, opening_ifindex(skb, packet));
}

enum open_result {
	OPEN_NOTHING, /* the verdict is in the packet */
	OPEN_CONTROL, /* a control connection began */
};

/* A packet of no known flow: it may match an expectation, begin a control connection, or meet a guard. */
__noinline int packet_open(struct __sk_buff *skb, struct packet *packet)
{
	if (!packet)
		return OPEN_NOTHING;
	struct config *config = config_get();
	bool seen = seen_at_ingress(skb, packet->hook);

	packet->verdict = PASS;
	if (!config)
		return OPEN_NOTHING;
	if (!seen && packet_is_opener(packet) && related_begin(skb, packet)) {
		hold_opener(skb);
		return OPEN_NOTHING;
	}
	if (control_opens(skb, config, packet, seen))
		return OPEN_CONTROL;
	if (!seen)
		packet->verdict = guard_packet(skb, config, packet);
	return OPEN_NOTHING;
}

static __always_inline int packet_track(struct __sk_buff *skb, const struct config *config,
					struct packet *packet)
{
	struct interface *interface = interface_find(skb->ifindex, packet->vlan);
	struct flow *flow;

	if (!interface || interface->flags & INTERFACE_SKIP) {
		count(REASON_NOT_WATCHED);
		return mark_clear(skb, config, packet->hook);
	}
	packet->me = skb->ifindex << 1 | ((packet->hook & HOOK_SIDE) == HOOK_EGRESS);
	packet_key(packet, config, interface->zone);
	flow = flow_find(&packet->key, packet->tag);
	if (flow && flow_is_reused(flow, packet)) {
		if (flow->kind == FLOW_CONTROL)
			control_end(&packet->key, flow, REASON_REUSED);
		else
			related_end(&packet->key, flow, REASON_REUSED);
		flow_remove(flow->slot, flow->id);
		flow = NULL;
	}
	if (flow) {
		packet->direction = flow_direction(flow, packet);
		if (flow->kind == FLOW_RELATED)
			return related_packet(skb, packet, flow);
		return control_packet(skb, packet, flow);
	}

	mark_clear(skb, config, packet->hook);
	if (packet_open(skb, packet) != OPEN_CONTROL)
		return packet->verdict;
	/* The packet that begins a control connection may carry its first bytes. */
	flow = flow_find(&packet->key, packet->tag);
	if (!flow)
		return PASS;
	packet->direction = DIRECTION_ORIGINAL;
	return control_packet(skb, packet, flow);
}

SEC("tc")
int relatd_main(struct __sk_buff *skb)
{
	struct config *config = config_get();
	struct totals *totals = totals_get();
	__u8 hook = skb->cb[0];
	struct packet *packet;
	enum reason reason;
	__u32 zero = 0;

	packet = bpf_map_lookup_elem(&packets, &zero);
	if (!config || !totals || !packet)
		return PASS;
	if (hook == HOOK_HOLD)
		return hold_release(skb, config, packet);
	reason = packet_read(skb, hook, packet);
	if (unlikely(reason != REASON_NONE)) {
		count(reason);
		mark_clear(skb, config, hook);
		return seen_at_ingress(skb, hook) ? PASS :
						    guard_unreadable(skb, config, packet, reason);
	}
	if (unlikely(packet_is_syn(packet)) && syn_matters(config, totals, &packet->tuple))
		syn_note(skb, packet);
	if (likely(packet_is_other(config, totals, packet))) {
		mark_clear(skb, config, hook);
		if (likely(!config->guards) || seen_at_ingress(skb, hook))
			return PASS;
		return guard_packet(skb, config, packet);
	}
	return packet_track(skb, config, packet);
}

/* Requests of user space, see struct request. */
SEC("tc")
int relatd_request(struct __sk_buff *skb)
{
	struct request_walk walk = { .skb = skb };
	__be16 count = 0;

	bpf_skb_load_bytes(skb, ETHERNET_HEADER, &count, sizeof(count));
	walk.count = bpf_ntohs(count);
	if (walk.count > LIMIT_REQUEST_BATCH)
		return -1;
	bpf_loop(LIMIT_REQUEST_BATCH, request_step, &walk, 0);
	return 0;
}

/* One tick of the sweep now; with LIMIT_SWEEP_ARM in cb[0] the timer is started that repeats it. */
SEC("tc")
int relatd_sweep(struct __sk_buff *skb)
{
	sweep();
	return skb->cb[0] == LIMIT_SWEEP_ARM ? sweep_arm() : 0;
}

/*
 * Nothing calls this: as the argument of a global function every layout that user space reads gets into
 * the object's BTF, from which the TypeScript codecs are generated.
 */
struct layout {
	struct config config;
	struct totals totals;
	struct flow flow;
	struct stream stream;
	struct expect expect;
	struct flow_slot flow_slot;
	struct interface_key interface_key;
	struct interface interface;
	struct assignment_port assignment_port;
	struct port_bits port_bits;
	struct assignment assignment;
	struct assignment_name assignment_name;
	struct policy policy;
	struct machine machine;
	struct guard guard;
	struct host host;
	struct match match;
	struct event event;
	struct sample sample;
	struct request request;
	struct source source;
	struct embryo_set embryo_set;
	struct syn syn;
	struct untracked untracked;
	enum reason reason;
	enum direction direction;
	enum hook hook;
	enum flow_kind flow_kind;
	enum flow_state flow_state;
	enum flow_flag flow_flag;
	enum stream_flag stream_flag;
	enum dialogue_flag dialogue_flag;
	enum stop stop;
	enum unmatched unmatched;
	enum rule_flag rule_flag;
	enum answer answer;
	enum address_kind address_kind;
	enum expect_flag expect_flag;
	enum embryo_flag embryo_flag;
	enum syn_flag syn_flag;
	enum untracked_why untracked_why;
	enum interface_flag interface_flag;
	enum hold_policy hold_policy;
	enum event_type event_type;
	enum request_op request_op;
	enum limit limit;
};

__noinline int layout(struct layout *layout)
{
	return layout ? (int)sizeof(*layout) : 0;
}

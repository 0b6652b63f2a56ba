/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_CONNECT_H
#define RELATD_CONNECT_H

#include "expect.h"
#include "host.h"
#include "interface.h"

/*
 * A connection that this host opens passes OUTPUT before it reaches our hook at egress: its socket gets the
 * mark when it connects. Nothing is consumed here, that is the packet's at egress. TCP does it where the
 * kernel has chosen the source, just before the SYN; UDP in connect(2), so only for a socket that is bound.
 * These programs run for every socket of the machine: those of other network namespaces leave at once.
 */
#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef SOL_SOCKET
#define SOL_SOCKET 1
#define SO_MARK 36
#endif

/* The mark that a socket should have, given the one it has. */
static __always_inline __u32 connect_mark(const struct tuple *tuple, __u32 mark,
					  struct expect_match *match)
{
	struct config *config = config_get();
	struct totals *totals = totals_get();

	if (!config || !totals)
		return mark;
	mark &= ~config->mark_mask;
	if (!port_in_use(tuple->protocol, tuple->destination_port) ||
	    !expect_find(totals, tuple, clock_boot(), match))
		return mark;
	return mark | (match->expect->mark & config->mark_mask);
}

/*
 * A context's word, read at its own offset: clang would otherwise compute the address for several of them at once,
 * which the verifier refuses.
 */
#define context_word(field)           \
	({                            \
		__u32 word = (field); \
		opaque(word);         \
		word;                 \
	})

/*
 * Connection tracking must know the connection before OUTPUT sees it, and nothing here can wait. The first SYN may so be
 * dropped, and the next comes soon: as many ticks as this, 8 to 80 ms, instead of a second.
 */
#define CONNECT_AGAIN 8

/* Tells user space at once: each tick counts. */
static __always_inline void connect_tell(const struct tuple *tuple,
					 const struct expect_match *match)
{
	struct event *event = event_begin(EVENT_CONNECT, REASON_NONE);

	if (!event)
		return;
	event->tuple = *tuple;
	event->expect = *match->expect;
	event->expect.live = match->id;
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

/* Whether the first SYN may have been dropped because connection tracking did not know of it yet. */
static __always_inline bool connect_repeats_soon(struct bpf_sock_ops *ops)
{
	struct config *config = config_get();
	struct bpf_sock *sk = ops->sk;

	return config && ops->is_fullsock && sk && sk->mark & config->mark_mask &&
	       host_wants_conntrack() && host_is_ours(bpf_get_netns_cookie(ops));
}

SEC("sockops")
int relatd_connect(struct bpf_sock_ops *ops)
{
	struct expect_match match = {};
	struct tuple tuple = {};
	struct bpf_sock *sk;
	__be32 source, destination;
	__u32 mark;

	if (ops->op == BPF_SOCK_OPS_TIMEOUT_INIT && connect_repeats_soon(ops))
		ops->reply = CONNECT_AGAIN;
	if (ops->op != BPF_SOCK_OPS_TCP_CONNECT_CB || !host_is_ours(bpf_get_netns_cookie(ops)))
		return 1;
	sk = ops->sk;
	if (!sk)
		return 1;
	tuple.protocol = IPPROTO_TCP;
	tuple.source_port = bpf_htons(ops->local_port);
	tuple.destination_port = bpf_htons(bpf_ntohl(ops->remote_port));
	source = context_word(ops->local_ip4);
	destination = context_word(ops->remote_ip4);
	tuple.source.word[0] = context_word(ops->local_ip6[0]);
	tuple.source.word[1] = context_word(ops->local_ip6[1]);
	tuple.source.word[2] = context_word(ops->local_ip6[2]);
	tuple.source.word[3] = context_word(ops->local_ip6[3]);
	tuple.destination.word[0] = context_word(ops->remote_ip6[0]);
	tuple.destination.word[1] = context_word(ops->remote_ip6[1]);
	tuple.destination.word[2] = context_word(ops->remote_ip6[2]);
	tuple.destination.word[3] = context_word(ops->remote_ip6[3]);
	tuple.family = 6;
	/* An IPv6 socket may connect to an IPv4 address. */
	if (ops->family == AF_INET || ip_is_v4(&tuple.destination)) {
		tuple.family = 4;
		ip_from_v4(&tuple.source, source);
		ip_from_v4(&tuple.destination, destination);
	}
	tuple.zone = interface_zone(sk->bound_dev_if);
	mark = connect_mark(&tuple, sk->mark, &match);
	if (mark != sk->mark)
		bpf_setsockopt(ops, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	if (match.expect && host_wants_conntrack())
		connect_tell(&tuple, &match);
	return 1;
}

/* Family and addresses are in the tuple. */
static __always_inline void connect_datagrams(struct bpf_sock_addr *address, struct tuple *tuple)
{
	struct expect_match match = {};
	struct bpf_sock *sk = address->sk;
	__u32 mark;

	if (!sk)
		return;
	tuple->protocol = IPPROTO_UDP;
	tuple->source_port = bpf_htons(sk->src_port);
	tuple->destination_port = address->user_port;
	tuple->zone = interface_zone(sk->bound_dev_if);
	mark = connect_mark(tuple, sk->mark, &match);
	if (mark != sk->mark)
		bpf_setsockopt(address, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

SEC("cgroup/connect4")
int relatd_connect4(struct bpf_sock_addr *address)
{
	struct bpf_sock *sk = address->sk;
	struct tuple tuple = {};

	if (address->protocol != IPPROTO_UDP || !sk || !host_is_ours(bpf_get_netns_cookie(address)))
		return 1;
	tuple.family = 4;
	ip_from_v4(&tuple.source, sk->src_ip4);
	ip_from_v4(&tuple.destination, address->user_ip4);
	connect_datagrams(address, &tuple);
	return 1;
}

SEC("cgroup/connect6")
int relatd_connect6(struct bpf_sock_addr *address)
{
	struct bpf_sock *sk = address->sk;
	struct tuple tuple = {};

	if (address->protocol != IPPROTO_UDP || !sk || !host_is_ours(bpf_get_netns_cookie(address)))
		return 1;
	tuple.source.word[0] = context_word(sk->src_ip6[0]);
	tuple.source.word[1] = context_word(sk->src_ip6[1]);
	tuple.source.word[2] = context_word(sk->src_ip6[2]);
	tuple.source.word[3] = context_word(sk->src_ip6[3]);
	tuple.destination.word[0] = context_word(address->user_ip6[0]);
	tuple.destination.word[1] = context_word(address->user_ip6[1]);
	tuple.destination.word[2] = context_word(address->user_ip6[2]);
	tuple.destination.word[3] = context_word(address->user_ip6[3]);
	tuple.family = ip_is_v4(&tuple.destination) ? 4 : 6;
	connect_datagrams(address, &tuple);
	return 1;
}

#endif

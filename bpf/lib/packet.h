/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_PACKET_H
#define RELATD_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "base.h"
#include "tuple.h"

#define ETHERNET_HEADER 14
#define HEADERS_PULLED 192 /* Ethernet, two tags, IPv6, some extension headers, TCP */
#define VLAN_HEADERS 2
#define EXTENSION_HEADERS 6

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define TCP_URG 0x20

struct packet {
	struct tuple tuple;
	/* set once the interface is known */
	struct tuple key; /* of the flow it belongs to */
	__u64 tag; /* of the key */
	__u32 me; /* this hook as an owner: ifindex << 1 | side */
	__u32 end; /* TCP: sequence number behind payload and FIN */
	__u32 direction; /* in its flow */
	int verdict; /* of who opens flows, see packet_open */
	/* set by packet_read */
	__u32 network; /* offset of the IP header */
	__u32 transport;
	__u32 length; /* at IP level, as on the wire: the headers of every segment of a GSO packet */
	__u32 segments;
	__u32 payload; /* offset */
	__u32 payload_length;
	__u32 seq;
	__u32 ack;
	__u32 vlan;
	__u8 tcp_flags;
	__u8 ttl;
	__u8 hook;
	__u8 swapped; /* its source is the key's second endpoint */
	__u8 released; /* it was held and is back */
};

/* On the stack it would leave too little of it to the functions called with it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} packets SEC(".maps");

struct vlan_header {
	__be16 tci;
	__be16 protocol;
};

struct extension_header {
	__u8 next;
	__u8 length;
	__be16 offset; /* of a fragment header */
};

static __always_inline bool protocol_is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

static __always_inline bool tcp_opens(__u8 flags)
{
	return (flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) == TCP_SYN;
}

/* UDP has no flags. */
static __always_inline bool packet_is_syn(const struct packet *packet)
{
	return tcp_opens(packet->tcp_flags);
}

static __always_inline bool packet_is_opener(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_UDP || packet_is_syn(packet);
}

/* Ports and, for TCP, what following a stream needs. `here` is the transport header's offset. */
static __always_inline enum reason packet_parse_transport(void *data, void *data_end, __u32 here,
							  __u32 ip_length, struct packet *packet)
{
	__u32 header;

	if (packet->tuple.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = data + here;

		if ((void *)(tcp + 1) > data_end)
			return REASON_TRUNCATED;
		header = tcp->doff * 4;
		if (header < sizeof(*tcp))
			return REASON_MALFORMED;
		packet->tuple.source_port = tcp->source;
		packet->tuple.destination_port = tcp->dest;
		packet->seq = bpf_ntohl(tcp->seq);
		packet->ack = bpf_ntohl(tcp->ack_seq);
		packet->tcp_flags = ((__u8 *)tcp)[13];
	} else {
		struct udphdr *udp = data + here;

		if ((void *)(udp + 1) > data_end)
			return REASON_TRUNCATED;
		header = sizeof(*udp);
		packet->tuple.source_port = udp->source;
		packet->tuple.destination_port = udp->dest;
		packet->tcp_flags = 0;
	}
	packet->transport = here;
	packet->payload = here + header;
	if (here + header > packet->network + ip_length)
		return REASON_MALFORMED;
	packet->payload_length = packet->network + ip_length - packet->payload;
	return REASON_NONE;
}

static __always_inline enum reason packet_parse_v4(struct __sk_buff *skb, void *data,
						   void *data_end, struct packet *packet)
{
	struct iphdr *ip = data + packet->network;
	__u32 header, length;

	if ((void *)(ip + 1) > data_end)
		return REASON_TRUNCATED;
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip))
		return REASON_MALFORMED;
	packet->tuple.family = 4;
	packet->tuple.protocol = ip->protocol;
	ip_from_v4(&packet->tuple.source, ip->saddr);
	ip_from_v4(&packet->tuple.destination, ip->daddr);
	packet->ttl = ip->ttl;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return REASON_NOT_TRACKED_PROTOCOL;
	if (ip->frag_off & bpf_htons(0x3fff))
		return REASON_FRAGMENT;
	length = bpf_ntohs(ip->tot_len);
	/* BIG TCP leaves the field empty; from the wire that is nonsense, which no receiver takes. */
	if (!length) {
		if (!skb->gso_segs)
			return REASON_MALFORMED;
		length = skb->len - packet->network;
	}
	if (length < header)
		return REASON_MALFORMED;
	if (packet->network + length > skb->len)
		return REASON_TRUNCATED;
	packet->length = length;
	return packet_parse_transport(data, data_end, packet->network + header, length, packet);
}

static __always_inline enum reason packet_parse_v6(struct __sk_buff *skb, void *data,
						   void *data_end, struct packet *packet)
{
	struct ipv6hdr *ip = data + packet->network;
	__u32 here = packet->network + sizeof(*ip), length;
	__u8 next;

	if ((void *)(ip + 1) > data_end)
		return REASON_TRUNCATED;
	if (ip->version != 6)
		return REASON_MALFORMED;
	packet->tuple.family = 6;
	__builtin_memcpy(&packet->tuple.source, &ip->saddr, 16);
	__builtin_memcpy(&packet->tuple.destination, &ip->daddr, 16);
	packet->ttl = ip->hop_limit;
	next = ip->nexthdr;
	packet->tuple.protocol = next;
	length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	/* A jumbogram's length stands in an option; BIG TCP leaves it out (newer kernels) or adds that option. */
	if (length == sizeof(*ip) && (skb->gso_segs || next == IPPROTO_HOPOPTS))
		length = skb->len - packet->network;
	if (packet->network + length > skb->len)
		return REASON_TRUNCATED;
	packet->length = length;

#pragma unroll
	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		struct extension_header *extension;

		if (next == IPPROTO_TCP || next == IPPROTO_UDP)
			break;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_AH)
			return REASON_NOT_TRACKED_PROTOCOL;
		extension = data + here;
		if ((void *)(extension + 1) > data_end)
			return REASON_TRUNCATED;
		if (next == IPPROTO_FRAGMENT) {
			packet->tuple.protocol = extension->next;
			/* An atomic fragment (RFC 6946) is a whole packet. */
			if (extension->offset & bpf_htons(0xfff9)) {
				return REASON_FRAGMENT;
			}
			here += 8;
		} else if (next == IPPROTO_AH) {
			here += (extension->length + 2) * 4;
		} else {
			here += (extension->length + 1) * 8;
		}
		next = extension->next;
		packet->tuple.protocol = next;
	}
	if (next != IPPROTO_TCP && next != IPPROTO_UDP)
		return REASON_EXTENSION_HEADERS;
	/* At most 6 * 1028 bytes of headers by now; the verifier wants it said. */
	if (here > 8192)
		return REASON_EXTENSION_HEADERS;
	return packet_parse_transport(data, data_end, here, length, packet);
}

/*
 * The least parse that finds the tuple. REASON_NONE: tuple and stream fields are set. Otherwise family,
 * protocol and addresses are set as far as they were read (family 0: none).
 */
static __always_inline enum reason packet_parse(struct __sk_buff *skb, struct packet *packet)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	__be16 protocol = skb->protocol;
	enum reason reason;

	packet->network = 0;
	packet->vlan = skb->vlan_present ? skb->vlan_tci & 0xfff : 0;
	if (!(packet->hook & HOOK_NO_ETHERNET)) {
		struct ethhdr *ethernet = data;

		if ((void *)(ethernet + 1) > data_end)
			return REASON_TRUNCATED;
		protocol = ethernet->h_proto;
		packet->network = ETHERNET_HEADER;
#pragma unroll
		for (int i = 0; i < VLAN_HEADERS; i++) {
			struct vlan_header *tag = data + packet->network;

			if (!protocol_is_vlan(protocol))
				break;
			if ((void *)(tag + 1) > data_end)
				return REASON_TRUNCATED;
			if (!packet->vlan)
				packet->vlan = bpf_ntohs(tag->tci) & 0xfff;
			protocol = tag->protocol;
			packet->network += sizeof(*tag);
		}
	}
	packet->tuple.zone = 0;
	if (protocol == bpf_htons(ETH_P_IP))
		reason = packet_parse_v4(skb, data, data_end, packet);
	else if (protocol == bpf_htons(ETH_P_IPV6))
		reason = packet_parse_v6(skb, data, data_end, packet);
	else
		return REASON_NOT_IP;
	return reason;
}

/* Headers may lie outside the linear part; pulling them in is rare, so it is tried only on need. */
static __always_inline enum reason packet_read(struct __sk_buff *skb, __u8 hook,
					       struct packet *packet)
{
	enum reason reason;

	packet->hook = hook;
	packet->released = 0;
	packet->tuple.family = 0;
	packet->tuple.protocol = 0;
	reason = packet_parse(skb, packet);
	if (unlikely(reason == REASON_TRUNCATED)) {
		__u32 want = skb->len < HEADERS_PULLED ? skb->len : HEADERS_PULLED;

		if (skb->data_end - skb->data < want && !bpf_skb_pull_data(skb, want))
			reason = packet_parse(skb, packet);
	}
	if (reason == REASON_NONE) {
		packet->end =
			packet->seq + packet->payload_length + !!(packet->tcp_flags & TCP_FIN);
		packet->segments = skb->gso_segs ?: 1;
		if (packet->segments > 1)
			packet->length +=
				(packet->segments - 1) * (packet->payload - packet->network);
	}
	return reason;
}

#endif

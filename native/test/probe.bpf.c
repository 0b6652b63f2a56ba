// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

struct value {
#ifdef WIDE
  __u64 more;
#endif
  __u64 packets;
  __u64 bytes;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, struct value);
} table SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u32);
} percpu SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 3);
  __type(key, __u32);
  __type(value, __u64);
} shared SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16);
  __uint(key_size, 8);
  __uint(value_size, 4);
} prefixes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 20);
} events SEC(".maps");

__u64 runs;
__u64 lost;
__u32 setting = 7;
#ifndef CONSTANT
#define CONSTANT 5
#endif
const volatile __u32 constant = CONSTANT;

struct event {
  __u64 number;
  __u32 mark;
  __u32 ifindex;
  __u32 ingress;
  __u32 pad;
};

SEC("tc")
int pass(struct __sk_buff* skb) {
  __sync_fetch_and_add(&runs, 1);
  return TC_ACT_UNSPEC;
}

SEC("tc")
int pass_too(struct __sk_buff* skb) {
  __sync_fetch_and_add(&runs, 1000);
  return TC_ACT_UNSPEC;
}

SEC("tc")
int drop(struct __sk_buff* skb) {
  return TC_ACT_SHOT;
}

SEC("tc")
int stub(struct __sk_buff* skb) {
  bpf_tail_call(skb, &slots, 0);
  return 42;
}

/* Answers what it saw: the mark plus one, and cb[0] doubled. */
SEC("tc")
int look(struct __sk_buff* skb) {
  skb->mark += constant;
  skb->cb[1] = skb->cb[0] * 2;
  skb->cb[2] = skb->ifindex;
  skb->cb[3] = skb->ingress_ifindex;
  return setting;
}

SEC("tc")
int flood(struct __sk_buff* skb) {
  struct event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

  if (!event) {
    __sync_fetch_and_add(&lost, 1);
    return 0;
  }
  event->number = __sync_fetch_and_add(&runs, 1);
  event->mark = skb->mark;
  event->ifindex = skb->ifindex;
  event->ingress = skb->ingress_ifindex;
  event->pad = 0;
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
  return 0;
}

/* Variable length: the packet's own bytes, waking the reader. */
SEC("tc")
int copy(struct __sk_buff* skb) {
  __u8 bytes[64];
  __u32 length = skb->len;

  if (length > sizeof(bytes)) length = sizeof(bytes);
  if (length < 1 || bpf_skb_load_bytes(skb, 0, bytes, length)) return 1;
  if (bpf_ringbuf_output(&events, bytes, length, BPF_RB_FORCE_WAKEUP)) __sync_fetch_and_add(&lost, 1);
  return 0;
}

/* In a test run this really sends, to the interface named in cb[0]. */
SEC("tc")
int send(struct __sk_buff* skb) {
  return bpf_clone_redirect(skb, skb->cb[0], 0);
}

#ifdef REFUSED
SEC("tc")
int refused(struct __sk_buff* skb) {
  return *(__u8*)(long)skb->data;
}
#endif

char _license[] SEC("license") = "Dual BSD/GPL";

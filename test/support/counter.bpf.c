// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Somebody else's program: it counts packets, those with a mark among them, and lets the next one decide. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static __always_inline void count(__u32 index)
{
	__u64 *value = bpf_map_lookup_elem(&seen, &index);

	if (value)
		__sync_fetch_and_add(value, 1);
}

SEC("tc") int foreign(struct __sk_buff *skb)
{
	count(0);
	if (skb->mark)
		count(1);
	return TC_ACT_UNSPEC;
}

/* One that sets bits which are relatd's. */
SEC("tc") int forge(struct __sk_buff *skb)
{
	count(0);
	skb->mark = 0x52000007;
	return TC_ACT_UNSPEC;
}

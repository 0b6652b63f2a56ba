/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_MARK_H
#define RELATD_MARK_H

#include "packet.h"
#include "state.h"

static __always_inline void mark_write(struct __sk_buff *skb, __u32 mask, __u32 value)
{
	__u32 mark = (skb->mark & ~mask) | (value & mask);

	opaque(mark);
	skb->mark = mark;
}

/* At ingress nothing but our own verdict may leave our bits set. */
static __always_inline int mark_clear(struct __sk_buff *skb, const struct config *config, __u8 hook)
{
	if ((hook & HOOK_SIDE) == HOOK_INGRESS && skb->mark & config->mark_mask)
		mark_write(skb, config->mark_mask, 0);
	return PASS;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_DIALOGUE_H
#define RELATD_DIALOGUE_H

#include "master.h"
#include "scratch.h"

/*
 * What a complete message means: which request it answers, what it announces, where the dialogue stands
 * then. The rules come from a helper's definition; nothing here knows a protocol. Kept alike with
 * packages/grammar/src/interpreter.ts by differential tests.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_MACHINES);
	__type(key, __u32);
	__type(value, struct machine);
} machines SEC(".maps");

static __always_inline struct machine *machine_find(const struct dialogue *dialogue)
{
	__u32 key = dialogue->machine - 1;

	return bpf_map_lookup_elem(&machines, &key);
}

/* How a walk goes on. Greater than these: give up, the reason. */
enum verdict {
	VERDICT_GO_ON = 0,
	VERDICT_JUDGE = 0x100, /* user space has to look */
};

static __always_inline int machine_unmatched(const struct machine *machine)
{
	if (machine->unmatched == UNMATCHED_IGNORE)
		return VERDICT_GO_ON;
	return machine->unmatched == UNMATCHED_JUDGE ? VERDICT_JUDGE : REASON_NOT_PROTOCOL;
}

static __always_inline __u32 pending_kind(const struct dialogue *dialogue, __u32 index)
{
	return dialogue->pending >> (4 * index) & 15;
}

/* Place of the first request of a kind, LIMIT_PENDING if there is none. */
static __always_inline __u32 pending_find(const struct dialogue *dialogue, __u32 kind)
{
	__u32 found = LIMIT_PENDING;

#pragma unroll
	for (int i = LIMIT_PENDING - 1; i >= 0; i--) {
		/* Without a branch, of which the verifier would follow both ways sixteen times. */
		__u32 same = ((pending_kind(dialogue, i) ^ kind) - 1) >> 31;

		found -= same * (found - i);
	}
	return found;
}

static __always_inline void pending_shift(struct dialogue *dialogue, __u32 by)
{
	dialogue->pending = by >= LIMIT_PENDING ? 0 : dialogue->pending >> (4 * by);
	dialogue->count -= by;
}

/* A newer announcement: the refusal of an older one is about nothing any more. */
static __always_inline void pending_supersede(struct dialogue *dialogue, __u32 kinds)
{
#pragma unroll
	for (int i = 0; i < LIMIT_PENDING; i++) {
		__u64 kind = pending_kind(dialogue, i);

		if (kinds >> kind & 1)
			dialogue->pending ^= (kind ^ 1) << (4 * i);
	}
}

/* Whether the request that the rule answers was there. */
static __always_inline bool dialogue_answer(struct dialogue *dialogue, const struct rule *rule)
{
	__u32 at = 0;

	if (rule->answer == ANSWER_NONE)
		return true;
	if (rule->answer != ANSWER_NEXT)
		at = pending_find(dialogue, rule->answer_kind & 15);
	if (rule->answer == ANSWER_REACH) {
		if (at < LIMIT_PENDING)
			pending_shift(dialogue, at);
		return true;
	}
	if (at >= dialogue->count)
		return false;
	dialogue->answered = pending_kind(dialogue, at);
	pending_shift(dialogue, at + 1);
	return true;
}

/* Inside a reply of several lines all lines are text but the one that ends it. */
static __always_inline bool dialogue_is_text(struct walker *walker, const struct rule *rule)
{
	__u32 value = walker->reg[rule->bracket & LIMIT_REGISTERS];

	if (rule->flags & RULE_CLOSES && walker->open) {
		if (walker->open != value + 1)
			return true;
		walker->open = 0;
	}
	if (rule->flags & RULE_OPENS) {
		if (!walker->open)
			walker->open = value + 1;
		return true;
	}
	return false;
}

static __always_inline void walker_put_group(struct walker *walker, __u32 reg)
{
	__u64 group = walker->reg[reg & LIMIT_REGISTERS];

	if (group <= 0xffff) {
		walker->group[walker->groups & 7] = group;
		if (walker->groups < 9)
			walker->groups++;
	}
	walker->reg[reg & LIMIT_REGISTERS] = ~0U;
}

/* IPv6 text: groups before and behind the gap. An IPv4 address in it is not for the tables to judge. */
static __always_inline bool address_ip6(struct walker *walker, __u32 reg, union ip *out)
{
	__u32 groups, gap;

	walker_put_group(walker, reg);
	groups = walker->groups;
	gap = walker->gap;
	if (groups > 8 || (gap == LIMIT_STAYS) != (groups == 8))
		return false;
	out->half[0] = 0;
	out->half[1] = 0;
	for (__u32 i = 0; i < 8; i++) {
		__u16 group = walker->group[i];
		/* Behind the gap the groups end where the address ends. */
		__u32 at = i < gap ? i : i + 8 - groups;

		if (i >= groups)
			break;
		out->byte[2 * (at & 7)] = group >> 8;
		out->byte[2 * (at & 7) + 1] = group;
	}
	return !ip_is_v4(out);
}

static __always_inline __be32 address_octets(const struct walker *walker, __u32 reg)
{
	__u32 address = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		address = address << 8 | (walker->reg[(reg + i) & LIMIT_REGISTERS] & 255);
	return bpf_htonl(address);
}

/* Ten decimal digits of four bits. */
static __always_inline __be32 address_integer(const struct walker *walker, __u32 reg)
{
	__u64 digits = walker->reg[reg & LIMIT_REGISTERS], number = 0;

#pragma unroll
	for (int i = 9; i >= 0; i--)
		number = number * 10 + (digits >> (4 * i) & 15);
	return bpf_htonl((__u32)number);
}

static __always_inline bool address_read(const struct announcement *announcement,
					 struct walker *walker, const union ip *own, union ip *out)
{
	out->half[0] = 0;
	out->word[2] = bpf_htonl(0xffff);
	switch (announcement->address_kind) {
	case ADDRESS_OCTETS:
		out->word[3] = address_octets(walker, announcement->address);
		return true;
	case ADDRESS_INTEGER:
		out->word[3] = address_integer(walker, announcement->address);
		return true;
	case ADDRESS_IP6:
		return address_ip6(walker, announcement->address, out);
	}
	*out = *own;
	return true;
}

enum announced {
	ANNOUNCED_NOTHING = 0, /* it makes no sense */
	ANNOUNCED,
	ANNOUNCED_TOO_MUCH, /* there is no room for it */
};

/* Puts what one announcement announces on the list. */
__noinline int dialogue_announce(struct walker *walker, const struct announcement *announcement,
				 __u32 end)
{
	if (!walker || !announcement)
		return ANNOUNCED_NOTHING;
	struct scratch *scratch = scratch_get();
	__u32 first, last;

	if (!scratch || !address_read(announcement, walker, &scratch->own, &scratch->address))
		return ANNOUNCED_NOTHING;
	first = walker->reg[announcement->port & LIMIT_REGISTERS];
	if (announcement->port == LIMIT_NO_REGISTER)
		first = scratch->own_port;
	if (announcement->high != LIMIT_NO_REGISTER)
		first += 256 * (__u32)walker->reg[announcement->high & LIMIT_REGISTERS];
	last = first;
	if (announcement->to != LIMIT_NO_REGISTER)
		last = walker->reg[announcement->to & LIMIT_REGISTERS];
	if (first < 1 || last > 65535 || last < first || last - first >= LIMIT_RANGE)
		return ANNOUNCED_NOTHING;
	for (int i = 0; i < LIMIT_RANGE; i++) {
		struct act *act;

		if (first + i > last)
			break;
		if (scratch->acts >= ACTS)
			return ANNOUNCED_TOO_MUCH;
		act = &scratch->act[scratch->acts & (ACTS - 1)];
		scratch->acts++;
		act->address = scratch->address;
		act->start = walker->start;
		act->end = end;
		act->port = first + i;
		act->kind = ACT_ANNOUNCE;
		act->protocol = announcement->protocol;
		act->anyone = announcement->anyone;
	}
	return ANNOUNCED;
}

/* All that a message announces, or nothing of it. */
static __always_inline enum announced dialogue_announce_all(struct scratch *scratch,
							    struct walker *walker,
							    const struct rule *rule, __u32 end)
{
	enum announced done = ANNOUNCED_NOTHING;
	__u32 acts = scratch->acts;

	if (end - walker->start <= LIMIT_MESSAGE)
		done = dialogue_announce(walker, &rule->announce[0], end);
	if (done == ANNOUNCED && rule->announcements > 1)
		done = dialogue_announce(walker, &rule->announce[1], end);
	if (done == ANNOUNCED_NOTHING)
		scratch->acts = acts;
	return done;
}

/* A message is complete, `end` is the sequence number behind it. Returns a verdict. */
__noinline int dialogue_message(struct stream *stream, __u32 direction, __u32 number, __u32 end)
{
	if (!stream)
		return VERDICT_JUDGE;
	struct dialogue *dialogue = &stream->dialogue;
	struct walker *walker = &stream->walker[direction & 1];
	struct machine *machine = machine_find(dialogue);
	struct scratch *scratch = scratch_get();
	const struct rule *rule;
	__u8 next;

	if (!machine || !scratch)
		return VERDICT_JUDGE;
	rule = &machine->rule[number & (LIMIT_RULES - 1)];
	next = rule->next[dialogue->phase & (LIMIT_PHASES - 1)];
	if (next == LIMIT_STAYS || (rule->flags & RULE_INSIDE && !walker->open))
		return machine_unmatched(machine);
	if (dialogue_is_text(walker, rule))
		return VERDICT_GO_ON;
	if (rule->flags & RULE_JUDGE)
		return machine_unmatched(machine);
	if (rule->answering && !(rule->answering >> (dialogue->answered & 15) & 1))
		return VERDICT_GO_ON;
	if (!dialogue_answer(dialogue, rule))
		return machine_unmatched(machine);
	if (rule->give_up)
		return rule->give_up;
	if (rule->withdraws && rule->withdraws == dialogue->answered) {
		if (scratch->acts >= ACTS)
			return VERDICT_JUDGE;
		scratch->act[scratch->acts & (ACTS - 1)].kind = ACT_WITHDRAW;
		scratch->acts++;
	}
	if (rule->announcements) {
		enum announced done = dialogue_announce_all(scratch, walker, rule, end);

		/* Whoever judges has more room, whatever becomes of what no rule fits. */
		if (done == ANNOUNCED_TOO_MUCH)
			return VERDICT_JUDGE;
		if (done == ANNOUNCED_NOTHING)
			return machine_unmatched(machine);
		pending_supersede(dialogue, machine->withdrawable);
	}
	if (rule->asks) {
		if (dialogue->count >= LIMIT_PENDING)
			return machine_unmatched(machine);
		dialogue->pending |= (__u64)(rule->asks & 15) << (4 * (dialogue->count & 15));
		dialogue->count++;
	}
	if (rule->skip != LIMIT_NO_REGISTER)
		walker->skip = walker->reg[rule->skip & LIMIT_REGISTERS];
	if (rule->clears) {
#pragma unroll
		for (int i = 0; i < LIMIT_REGISTERS; i++) {
			if (rule->clears >> i & 1)
				walker->reg[i] = 0;
		}
	}
	if (rule->section != LIMIT_STAYS)
		walker->section = rule->section;
	dialogue->phase = next;
	return VERDICT_GO_ON;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_NOTE_H
#define RELATD_NOTE_H

#include "assignment.h"
#include "clock.h"
#include "filter.h"
#include "packet.h"

/*
 * What would leave no trace otherwise, for who asks later why a connection is not RELATED (docs/why.md). Direct-mapped
 * by a keyed hash: a newer note takes the place of an older one, nothing fills up, and nothing has to be removed. Nobody
 * decides anything by a note, so two CPUs may write one at once: what comes of it is a wrong line in an explanation.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_SYNS);
	__type(key, __u32);
	__type(value, struct syn);
} syns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT_UNTRACKED);
	__type(key, __u32);
	__type(value, struct untracked);
} untracked SEC(".maps");

/*
 * Whose SYNs are noted: hosts that are ends of a control connection, of one that is not tracked, or of an expectation.
 * Other traffic pays for two words that stay in the caches, and not for a note that nobody will ask for. As in a filter,
 * a host sets three bits of a word, and false yeses cost a note each.
 *
 * A host goes into both halves. One is asked; after so many ticks the sweep begins to ask the other and clears this one.
 * So a host stays for one to two such times (14 to 27 minutes) after it was added last, and the sweep adds those of
 * control connections again and again. What is added while a half is cleared stands in the other; who asks the one that
 * is cleared misses a note.
 */
#define NOTED_WORDS 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * NOTED_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} noted_hosts SEC(".maps");

/*
 * When the daemon was last known to live, boot time in ns. The datapath never looks; it is here to be pinned: after a kill
 * nothing else tells.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} heartbeat SEC(".maps");

#define NSEC_PER_MSEC 1000000ULL
#define UNTRACKED_STEP 1000 /* ms: other packets only read the note */

static __always_inline __u32 note_age(__u64 since)
{
	return (clock_boot() - since) / NSEC_PER_MSEC;
}

static __always_inline __u64 noted_hash(const struct config *config, const union ip *address)
{
	return host_filter_hash(filter_address(address), config->seed);
}

static __always_inline __u64 *noted_word(__u32 half, __u64 hash)
{
	__u32 index = half * NOTED_WORDS + filter_index(hash, NOTED_WORDS);

	return bpf_map_lookup_elem(&noted_hosts, &index);
}

/* Mostly it is there already, and every CPU reads these words. */
static __always_inline void noted_set(__u64 *word, __u64 hash)
{
	if (!filter_has(word, hash))
		filter_add(word, hash);
}

/* From now on SYNs of both ends are noted. */
__noinline int noted_add(const struct tuple *tuple)
{
	struct config *config = config_get();
	__u64 source, destination;

	if (!tuple || !config)
		return 0;
	source = noted_hash(config, &tuple->source);
	destination = noted_hash(config, &tuple->destination);
#pragma unroll
	for (__u32 half = 0; half < 2; half++) {
		noted_set(noted_word(half, source), source);
		noted_set(noted_word(half, destination), destination);
	}
	return 0;
}

static long noted_clear(__u32 index, __u32 *half)
{
	__u32 key = *half * NOTED_WORDS + index;
	__u64 *word = bpf_map_lookup_elem(&noted_hosts, &key);

	if (word)
		WRITE_ONCE(*word, 0);
	return 0;
}

static __always_inline __u32 noted_half(const struct totals *totals)
{
	return READ_ONCE(totals->ticks) / LIMIT_NOTED_TICKS & 1;
}

/* With each tick of the sweep. */
static __always_inline void noted_tick(const struct totals *totals)
{
	__u32 other = !noted_half(totals);

	if (totals->ticks % LIMIT_NOTED_TICKS == 0)
		bpf_loop(NOTED_WORDS, noted_clear, &other, 0);
}

/* Whether somebody may ask for this SYN. */
static __always_inline bool syn_matters(const struct config *config, const struct totals *totals,
					const struct tuple *tuple)
{
	__u64 source = noted_hash(config, &tuple->source);
	__u64 destination = noted_hash(config, &tuple->destination);
	__u32 half = noted_half(totals);

	return filter_has(noted_word(half, source), source) ||
	       filter_has(noted_word(half, destination), destination) ||
	       tuple_is_assigned(config, tuple);
}

/* A SYN, once per hook: a store into one cache line. */
__noinline int syn_note(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet)
		return 0;
	bool egress = (packet->hook & HOOK_SIDE) == HOOK_EGRESS;
	struct config *config = config_get();
	struct syn *syn;
	__u32 index;

	if (!config)
		return 0;
	index = tuple_tag(&packet->tuple, config->seed) & (LIMIT_SYNS - 1);
	syn = bpf_map_lookup_elem(&syns, &index);
	if (!syn)
		return 0;
	if (syn->seq == packet->seq && tuple_equal(&syn->tuple, &packet->tuple)) {
		bool here =
			syn->ifindex == skb->ifindex && egress == !!(syn->flags & SYN_FROM_HERE);

		if (here) {
			syn->last = note_age(syn->time);
			if (syn->count < 255)
				syn->count++;
		} else if (egress && !(syn->flags & SYN_FROM_HERE)) {
			syn->flags |= SYN_LEFT;
		}
		return 0;
	}
	syn->tuple = packet->tuple;
	syn->time = clock_boot();
	syn->last = 0;
	syn->seq = packet->seq;
	syn->ifindex = skb->ifindex;
	syn->vlan = packet->vlan;
	syn->count = 1;
	syn->flags = egress ? SYN_FROM_HERE : 0;
	return 0;
}

/*
 * `why_reason`: why << 8 | reason. A packet to an assigned port, or a SYN-ACK from one, of a connection that is not
 * tracked. What was known at the handshake stays.
 */
__noinline int untracked_note(const struct packet *packet, __u32 ifindex, __u32 why_reason)
{
	if (!packet)
		return 0;
	bool answer = packet->tcp_flags & TCP_SYN;
	__u32 index = packet->tag & (LIMIT_UNTRACKED - 1);
	struct untracked *note = bpf_map_lookup_elem(&untracked, &index);
	__u8 why = why_reason >> 8;

	if (!note)
		return 0;
	if (!answer && why == UNTRACKED_UNSEEN && note->time &&
	    tuple_equal(&note->tuple, &packet->tuple)) {
		__u32 age = note_age(note->time);

		if (age - note->last < UNTRACKED_STEP)
			return 0;
		note->last = age;
		return noted_add(&packet->tuple);
	}
	if (answer)
		tuple_reverse(&packet->tuple, &note->tuple);
	else
		note->tuple = packet->tuple;
	note->time = clock_boot();
	note->last = 0;
	note->ifindex = ifindex;
	note->why = why;
	note->reason = why_reason;
	return noted_add(&packet->tuple);
}

#endif

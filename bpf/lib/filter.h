/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_FILTER_H
#define RELATD_FILTER_H

#include "state.h"
#include "tuple.h"

/*
 * What lets other traffic leave early where the ports in use are too many to tell: bits in front of the tables of flows
 * and of expectations, sixteen for each entry that is allowed. An entry sets three bits of one word, so that a question
 * costs one access to a table that mostly stays in the caches. With a full table one packet in a hundred is looked up in
 * vain.
 *
 * Nobody clears the bit of an entry that goes, which may be another's as well. There are two generations: one is asked,
 * the other is cleared and then filled by the sweep with all that is there, before they change places. New entries go
 * into both, and only once the sweep can see them: either it comes by after the clearing, or they do. Who makes an
 * entry has set its bits before the packet goes on, and nobody can have answered it before.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * (65536 / 4 + 1));
	__type(key, __u32);
	__type(value, __u64);
} flow_filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * (LIMIT_FILTER_HOSTS + 65536 / 4 + 1));
	__type(key, __u32);
	__type(value, __u64);
} expect_filter SEC(".maps");

enum filter_phase {
	FILTER_FILL = 0, /* the sweep puts what is there into the other generation */
	FILTER_REST, /* whoever still asks the one before has an answer when this is over */
	FILTER_CLEAR,
};

#define FILTER_REST_TICKS 3
#define FILTER_CLEAR_TICKS 8

struct filter {
	__u32 asked; /* 1 + the generation to ask; 0: none is complete */
	__u32 phase;
	__u32 done; /* of the phase: rounds of the sweep, ticks or words */
	__u32 busy; /* of flows: a sweep is at work */
};

/* Of flows and of expectations. */
#define FILTER_FLOWS 0
#define FILTER_EXPECTS 1

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct filter);
} filters SEC(".maps");

static __always_inline struct filter *filter_get(__u32 which)
{
	return bpf_map_lookup_elem(&filters, &which);
}

/* Words of one generation; `entries` is how many the table in question may have. */
static __always_inline __u32 flow_filter_words(__u32 entries)
{
	return entries / 4 + 1;
}

/* The first of them are about destination addresses alone: few, so that most openers leave by what is in the caches. */
static __always_inline __u32 expect_filter_words(__u32 entries)
{
	return LIMIT_FILTER_HOSTS + entries / 4 + 1;
}

/*
 * A keyed hash of few instructions, because other traffic pays for each. Addresses whose halves were chosen to collide
 * cost look-ups, as packets of a flow do, and nothing else.
 */
static __always_inline __u64 filter_address(const union ip *address)
{
	return address->half[0] * 0x9e3779b97f4a7c15ULL ^ address->half[1];
}

static __always_inline __u64 filter_end(__u64 address, __be16 port, __u64 seed)
{
	__u64 end = address ^ port;

	return (__u64)((__u32)end + (__u32)seed) * ((__u32)(end >> 32) + (__u32)(seed >> 32));
}

static __always_inline __u64 filter_mix(__u64 ends)
{
	return (ends ^ ends >> 29) * 0x94d049bb133111ebULL;
}

/* The zone is not in it, because it is not known yet when a packet asks. The same for both directions. */
static __always_inline __u64 flow_filter_hash(const struct tuple *tuple, __u64 seed)
{
	return filter_mix(
		filter_end(filter_address(&tuple->source), tuple->source_port, seed) +
		filter_end(filter_address(&tuple->destination), tuple->destination_port, seed));
}

static __always_inline __u64 expect_filter_hash(__u64 source, __be16 source_port, __u64 destination,
						__be16 destination_port, __u64 seed)
{
	return filter_mix(filter_end(source, source_port, seed) -
			  filter_end(destination, destination_port, seed));
}

static __always_inline __u64 host_filter_hash(__u64 address, __u64 seed)
{
	return filter_mix(filter_end(address, 0, seed));
}

static __always_inline __u64 filter_bits(__u64 hash)
{
	return 1ULL << (hash >> 26 & 63) | 1ULL << (hash >> 20 & 63) | 1ULL << (hash >> 14 & 63);
}

static __always_inline __u32 filter_index(__u64 hash, __u32 words)
{
	return (hash >> 32) * words >> 32;
}

static __always_inline __u64 *flow_filter_word(const struct config *config, __u32 generation,
					       __u64 hash)
{
	__u32 words = flow_filter_words(config->max_flows);
	__u32 index = generation * words + filter_index(hash, words);

	return bpf_map_lookup_elem(&flow_filter, &index);
}

static __always_inline __u64 *expect_filter_word(const struct config *config, __u32 generation,
						 __u64 hash)
{
	__u32 words = expect_filter_words(config->max_expectations);
	__u32 index = generation * words + LIMIT_FILTER_HOSTS +
		      filter_index(hash, words - LIMIT_FILTER_HOSTS);

	return bpf_map_lookup_elem(&expect_filter, &index);
}

static __always_inline __u64 *host_filter_word(const struct config *config, __u32 generation,
					       __u64 hash)
{
	__u32 index = generation * expect_filter_words(config->max_expectations) +
		      filter_index(hash, LIMIT_FILTER_HOSTS);

	return bpf_map_lookup_elem(&expect_filter, &index);
}

/* No word: the filter's size is not that of its table, which was there before. Then nothing is known. */
static __always_inline bool filter_has(const __u64 *word, __u64 hash)
{
	return !word || !(filter_bits(hash) & ~READ_ONCE(*word));
}

static __always_inline void filter_add(__u64 *word, __u64 hash)
{
	if (word)
		__sync_fetch_and_or(word, filter_bits(hash));
}

static __always_inline void flow_filter_add(const struct config *config, const struct tuple *key,
					    __u32 generation)
{
	__u64 hash = flow_filter_hash(key, config->seed);

	filter_add(flow_filter_word(config, generation, hash), hash);
}

static __always_inline void expect_filter_add(const struct config *config,
					      const struct tuple *tuple, __u32 generation)
{
	__u64 destination = filter_address(&tuple->destination), hash;

	hash = host_filter_hash(destination, config->seed);
	filter_add(host_filter_word(config, generation, hash), hash);
	hash = expect_filter_hash(filter_address(&tuple->source), tuple->source_port, destination,
				  tuple->destination_port, config->seed);
	filter_add(expect_filter_word(config, generation, hash), hash);
}

/* The generation that is not asked. */
static __always_inline __u32 filter_other(const struct filter *filter)
{
	return filter->asked & 1;
}

struct filter_walk {
	__u32 which;
	__u32 start;
};

static long filter_clear_step(__u32 index, struct filter_walk *walk)
{
	__u32 key = walk->start + index;
	__u64 *word = walk->which == FILTER_FLOWS ? bpf_map_lookup_elem(&flow_filter, &key) :
						    bpf_map_lookup_elem(&expect_filter, &key);

	if (!word)
		return 1;
	WRITE_ONCE(*word, 0);
	return 0;
}

/* Behind a tick of the sweep, which has come so many times to the end of the table in question. */
static __always_inline void filter_tick(__u32 which, struct filter *filter, __u32 words,
					__u32 rounds)
{
	__u32 some = words / FILTER_CLEAR_TICKS + 1;
	struct filter_walk walk = { .which = which };

	switch (filter->phase) {
	case FILTER_FILL:
		filter->done += rounds;
		/* The first of them began anywhere. */
		if (filter->done < 2)
			return;
		WRITE_ONCE(filter->asked, 1 + filter_other(filter));
		filter->phase = FILTER_REST;
		break;
	case FILTER_REST:
		if (++filter->done < FILTER_REST_TICKS)
			return;
		filter->phase = FILTER_CLEAR;
		break;
	default:
		walk.start = filter_other(filter) * words + filter->done;
		bpf_loop(words - filter->done < some ? words - filter->done : some,
			 filter_clear_step, &walk, 0);
		filter->done += some;
		if (filter->done < words)
			return;
		filter->phase = FILTER_FILL;
	}
	filter->done = 0;
}

#endif

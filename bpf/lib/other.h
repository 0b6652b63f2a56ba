/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_OTHER_H
#define RELATD_OTHER_H

#include "assignment.h"
#include "expect.h"
#include "flow.h"

/* Whether a packet that can open a connection may meet an expectation. */
__noinline int packet_may_meet(const struct packet *packet)
{
	if (!packet)
		return 1;
	const struct filter *filter = filter_get(FILTER_EXPECTS);
	const struct tuple *tuple = &packet->tuple;
	const struct config *config = config_get();
	const struct totals *totals = totals_get();
	__u64 source, destination, hash;
	__u32 asked;

	if (!filter || !config || !totals)
		return 1;
	asked = READ_ONCE(filter->asked);
	if (!asked)
		return 1;
	destination = filter_address(&tuple->destination);
	hash = host_filter_hash(destination, config->seed);
	if (!filter_has(host_filter_word(config, asked - 1, hash), hash))
		return 0;
	source = filter_address(&tuple->source);
#pragma unroll
	for (__u32 shape = 0; shape < SHAPES; shape++) {
		if (!READ_ONCE(totals->shapes[shape]))
			continue;
		hash = expect_filter_hash(shape & SHAPE_ANY_ADDRESS ? 0 : source,
					  shape & SHAPE_ANY_PORT ? 0 : tuple->source_port,
					  destination, tuple->destination_port, config->seed);
		if (filter_has(expect_filter_word(config, asked - 1, hash), hash))
			return 1;
	}
	return 0;
}

/* Other traffic, which is nothing to us: most leaves by its ports, and where very many of these are in use by the filters. */
static __always_inline bool packet_is_other(const struct config *config,
					    const struct totals *totals,
					    const struct packet *packet)
{
	const struct tuple *tuple = &packet->tuple;
	const struct filter *filter;
	__u32 asked;
	__u64 hash;

	if (!port_filter_passes(totals, tuple))
		return true;
	filter = filter_get(FILTER_FLOWS);
	if (!filter)
		return false;
	asked = READ_ONCE(filter->asked);
	if (!asked)
		return false;
	hash = flow_filter_hash(tuple, config->seed);
	return !filter_has(flow_filter_word(config, asked - 1, hash), hash) &&
	       !tuple_is_assigned(config, tuple) &&
	       !(packet_is_opener(packet) && packet_may_meet(packet));
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_REASONS_H
#define RELATD_REASONS_H

/*
 * The one list of reasons: why a packet was passed without being tracked, why an announcement was
 * refused, why a dialogue is no longer trusted, why a flow or an expectation ended. Numbers index the
 * counters map and travel in events; TypeScript gets the list by generation (npm run generate).
 * Append only: a pinned counters map outlives a daemon.
 */
enum reason {
	REASON_NONE = 0,

	/* packets that cannot be tracked: passed */
	REASON_NOT_IP,
	REASON_NOT_TRACKED_PROTOCOL,
	REASON_MALFORMED,
	REASON_TRUNCATED,
	REASON_FRAGMENT,
	REASON_EXTENSION_HEADERS,
	REASON_NOT_WATCHED,

	/* tables and limits */
	REASON_FLOWS_FULL,
	REASON_CONTROLS_FULL,
	REASON_EXPECTATIONS_FULL,
	REASON_PER_SOURCE,
	REASON_EVICTED,
	REASON_CLASH,
	REASON_BUSY,
	REASON_NO_MASTER,
	REASON_LOST_RACE,

	/* announcements that policy or syntax turns down */
	REASON_PORT_ZERO,
	REASON_PORT_RANGE,
	REASON_BAD_PORT,
	REASON_BAD_OCTET,
	REASON_BAD_SYNTAX,
	REASON_BAD_FAMILY,
	REASON_WRONG_FAMILY,
	REASON_ADDRESS,
	REASON_NAT,
	REASON_UNSOLICITED,
	REASON_LINE_TOO_LONG,
	REASON_REFUSED_BY_SERVER,

	/* why a control connection is no longer parsed */
	REASON_NOT_PROTOCOL,
	REASON_ENCRYPTED,
	REASON_FAST_OPEN,
	REASON_REWRITTEN,
	REASON_TTL,
	REASON_URGENT,
	REASON_GAP,

	/* segments of a control connection that are not judged */
	REASON_BAD_ACK,
	REASON_BEYOND_WINDOW,
	REASON_RST_IGNORED,
	REASON_SYN_IGNORED,
	REASON_HANDSHAKE,

	/* the hold device */
	REASON_HELD,
	REASON_RELEASED,
	REASON_HOLD_UNAVAILABLE,
	REASON_HOLD_UNATTENDED,
	REASON_HOLD_BUDGET,
	REASON_HOLD_UNKNOWN,
	REASON_HOLD_FAILED,

	/* how flows and expectations end */
	REASON_FIN,
	REASON_RST,
	REASON_IDLE,
	REASON_EXPIRED,
	REASON_MATCHED,
	REASON_MASTER_ENDED,
	REASON_GIVEN_BACK,
	REASON_REUSED,

	/* marks, guard, events */
	REASON_LATE,
	REASON_TAKEN_OVER,
	REASON_GUARD,
	REASON_GUARD_FRAGMENT,
	REASON_EVENT_LOST,
	REASON_SAMPLE_LOST,

	REASON_HOLD_STRIPS,

	/* the tables */
	REASON_DECIDED, /* control packets that they decided */
	REASON_JUDGED, /* connections that they left to user space */
	REASON_PARKED,
	REASON_OUT_OF_ORDER,
	REASON_DAMAGED,

	REASON_MAX,
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RELATD_TYPES_H
#define RELATD_TYPES_H

/*
 * Everything that crosses into user space: table entries, events, requests. TypeScript codecs are
 * generated from the object's BTF; tests check that they are fresh. LIMIT_LAYOUT_VERSION names the whole set.
 * Structs of pinned tables grow only into bytes that were zero: programs of two versions share them during an
 * upgrade. What has to change otherwise gets a table of another name, and a step that fills it (migrate.ts).
 */
#include <linux/types.h>
#include "reasons.h"

/* Numbers that user space needs as well. */
enum limit {
	LIMIT_LAYOUT_VERSION = 3,
	LIMIT_MASTER_EXPECTATIONS = 32, /* hard bound of limits.per-master */
	LIMIT_ASSIGNMENTS = 512, /* per bank */
	LIMIT_ASSIGNMENTS_PER_PORT = 64,
	LIMIT_GUARDS = 64,
	LIMIT_SOURCES = 16384,
	LIMIT_SAMPLE_BYTES = 1024,
	LIMIT_REQUEST_HEADER = 16, /* an Ethernet header's 14 bytes, then the count (big endian) */
	LIMIT_REQUEST_BATCH = 24,
	LIMIT_EMBRYO_WAYS = 8,
	LIMIT_SWEEP_ARM = 1, /* in skb->cb[0] of relatd_sweep: start the timer */
	LIMIT_MACHINES = 8,
	LIMIT_TRANSITIONS = 32768,
	LIMIT_RULES = 128,
	LIMIT_PHASES = 16,
	LIMIT_SECTIONS = 8,
	LIMIT_PENDING = 16, /* requests of a dialogue, four bits each */
	LIMIT_REGISTERS = 15,
	LIMIT_NO_REGISTER = 15, /* where what is not kept goes */
	LIMIT_ANNOUNCEMENTS = 2, /* of one message */
	LIMIT_RANGE = 16, /* ports of one announcement */
	LIMIT_MESSAGE = 512, /* bytes of a message that announces */
	LIMIT_FILTER_HOSTS =
		1024, /* words of a filter of expectations about their destinations alone */
	LIMIT_PARKED = 1024, /* bytes kept behind a gap, per direction */
	LIMIT_MATCHES =
		512, /* programs for `iptables -m bpf`, one for each name that an assignment ever had */
	LIMIT_SYNS = 16384, /* power of two, as the next two */
	LIMIT_UNTRACKED = 4096,
	LIMIT_NOTED_TICKS = 8192, /* of the sweep: that long at least SYNs of a host are noted */
	LIMIT_STAYS = 255, /* of a phase: does not belong there; of a section: no change */
};

/* IPv4 is kept in its mapped form (::ffff:a.b.c.d): one code path for both families. */
union ip {
	__u8 byte[16];
	__be32 word[4];
	__u64 half[2];
};

/*
 * A tuple as a packet has it, an expectation (source address or port zero: any), or, with its endpoints
 * sorted, the key of a flow. No padding: it is hashed as bytes.
 */
struct tuple {
	union ip source;
	union ip destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 family; /* 4 or 6 */
	__u16 zone;
};

enum direction {
	DIRECTION_ORIGINAL = 0, /* from who opened the connection */
	DIRECTION_REPLY = 1,
};

/* Which hook a program runs at; stubs put it into skb->cb[0]. */
enum hook {
	HOOK_INGRESS = 0,
	HOOK_EGRESS = 1,
	HOOK_HOLD = 2,
	HOOK_SIDE = 3,
	HOOK_NO_ETHERNET = 4, /* flag: the interface has no Ethernet header */
};

enum flow_kind {
	FLOW_CONTROL = 1,
	FLOW_RELATED = 2,
};

enum flow_state {
	FLOW_CLAIMING = 0, /* reserved by a SYN that has not won its expectation yet */
	FLOW_NEW,
	FLOW_ESTABLISHED,
	FLOW_CLOSING, /* one side is done */
	FLOW_CLOSED,
};

enum flow_flag {
	FLOW_OPENER_IS_SECOND = 1, /* the key's second endpoint opened the connection */
	FLOW_TRANSLATED = 2, /* NAT stands between the two hooks that see it */
	FLOW_RECOGNISED = 4, /* control: its helper has recognised the dialogue */
	FLOW_COMPLETED = 8, /* related, TCP: its opener has acknowledged the answer */
};

struct flow_side {
	__u64 packets;
	__u64 bytes;
	/*
	 * TCP: the next byte that the other end may see. Control: everything before it has gone on, so it
	 * moves when a held packet is released. Related: the highest seen.
	 */
	__u32 next;
	__u32 owner; /* ifindex << 1 | side of the hook that counts this direction; 0: none yet */
};

struct flow {
	__u64 id;
	__u64 tag; /* of the key: entries are recycled at once, this proves whose value it is */
	__u64 master; /* related: the control flow's id */
	__u64 expectation; /* related: the expectation's id */
	__u64 created; /* boot time, ns */
	__u64 last; /* coarse monotonic, ns */
	__u64 deadline; /* related: of its expectation, boot time, for giving it back */
	__u32 mark;
	__u32 slot; /* in flow_slots */
	__u32 isn; /* related, TCP: sequence number of the SYN */
	__u16 assignment;
	__u8 kind;
	__u8 state;
	__u8 flags;
	__u8 trust; /* control: reason why it is no longer parsed, or REASON_NONE */
	__u8 shape; /* related: of its expectation */
	__u8 class;
	__u8 limit;
	__u8 expect_flags;
	__u8 fin[2]; /* by direction: a FIN in order was seen */
	__u32 ended; /* its end was reported */
	__u32 source_bucket; /* control: of its opener; related: of its announcer */
	__u8 announcer; /* related: direction in its master */
	__u8 reserved[3];
	__u32 stream; /* entry in the table of streams: its own, or its master's; 0: none */
	struct flow_side side[2];
};

enum stream_flag {
	STREAM_UNATTENDED =
		1, /* a held packet was not answered in time: nothing is held any more */
	STREAM_SKIPPED = 2, /* bytes went on unjudged */
	STREAM_GAP = 4, /* what is held since then lies behind a gap */
	STREAM_ENDED = 8, /* side 0: its connection has ended, nothing is expected any more */
	STREAM_PARKED = 16, /* bytes behind a gap are kept, see parked.h */
	STREAM_WATCH_HASHED = 32, /* watch_hash is known */
};

struct stream_side {
	__u64 held_since; /* boot time of the oldest held packet since the last release, 0: none */
	__u32 held_end; /* sequence number behind the last byte that was ever held */
	__u32 held_mark; /* restored at the release */
	__u32 held_priority;
	__u32 watch_start; /* the last announcement: its retransmission is judged again */
	__u32 watch_end;
	__u8 flags;
	__u8 ttl; /* of the handshake */
	__u16 reserved;
	__u64 watch_hash; /* of the last announcement's bytes */
};

/* One direction's way through its machine: see machine.h. */
struct walker {
	__u64 reg[LIMIT_REGISTERS + 1]; /* fields; the last one is never read */
	__u32 row; /* 0: a message begins */
	__u32 start; /* sequence number of the message's first byte */
	__u32 skip; /* bytes that belong to no message */
	__u32 open; /* 1 + what an open reply of several lines is known by */
	__u16 group[8]; /* of IPv6 text */
	__u8 groups;
	__u8 gap; /* groups before `::`; LIMIT_STAYS: there was none */
	__u8 section;
	__u8 reserved[5];
};

enum dialogue_flag {
	DIALOGUE_JUDGED = 1, /* user space decides from here on */
};

/* What both directions of a control connection share. */
struct dialogue {
	__u64 pending; /* kinds of requests, the oldest in the lowest four bits */
	__u64 current; /* id of the last announcement's expectation */
	__u32 current_slot;
	__u8 count; /* of pending */
	__u8 answered; /* kind of the last one */
	__u8 phase;
	__u8 machine; /* 1 + its index; 0: none, user space decides */
	__u8 flags;
	__u8 reserved[7];
};

/* What only control connections need: an entry of the table of streams, which its flow names. */
struct stream {
	__u64 flow; /* id of its flow; 0: free */
	struct stream_side side[2];
	struct walker walker[2];
	struct dialogue dialogue;
	__u32 places; /* entries from here on were never used */
	__u32 reserved;
	/* Slots. A record names its master and its place in here, so stale ones are harmless. */
	__u32 expectations[LIMIT_MASTER_EXPECTATIONS];
};

enum expect_flag {
	EXPECT_PERMANENT = 1,
	EXPECT_GIVEN_BACK = 2, /* it was matched before: not a second time */
};

/* An expectation's record. The index maps its tuple to its slot in the table of records. */
struct expect {
	struct tuple tuple;
	__u64 live; /* the id while it can be matched, else 0: who changes id to 0 has won it */
	__u64 master;
	__u64 created; /* boot time, ns */
	__u64 deadline; /* boot time, ns; 0: none */
	__u32 mark;
	__u16 source_bucket;
	__u16 stream_low; /* entry of its master in the table of streams, 24 bits */
	__u16 assignment;
	__u8 class;
	__u8 flags;
	__u8 limit;
	__u8 direction; /* of the announcer */
	__u8 place; /* in its master's list */
	__u8 stream_high;
};

/* What the walk over all flows needs to find one again. */
struct flow_slot {
	struct tuple key;
	__u64 id;
};

/* A connection between SYN-ACK and the handshake's last ACK: 16 bytes. */
struct embryo {
	__u32 tag;
	__u32 client; /* next sequence number of the client */
	__u32 server;
	__u16 age; /* coarse seconds / 4: which of a set to replace */
	__u8 flags;
	__u8 ttl; /* of the server */
};

enum embryo_flag {
	EMBRYO_USED = 1,
	EMBRYO_TRANSLATED = 2,
	EMBRYO_FAST_OPEN = 4,
	EMBRYO_NEVER = 8, /* simultaneous open */
	EMBRYO_SYN_DATA =
		16, /* only a SYN with data was seen: client is the sequence number behind the SYN */
};

struct embryo_set {
	struct embryo way[LIMIT_EMBRYO_WAYS];
};

enum syn_flag {
	SYN_FROM_HERE =
		1, /* first seen at egress: opened on this host, or came in by an interface that is not watched */
	SYN_LEFT = 2, /* seen at ingress first, then at egress: the firewall let it through */
};

/* A TCP SYN that was seen: see note.h. Its tuple is in no zone: interface and VLAN tell. */
struct syn {
	struct tuple tuple;
	__u64 time; /* boot time, ns */
	__u32 last; /* ms from there to the last retransmission */
	__u32 seq;
	__u32 ifindex;
	__u16 vlan;
	__u8 count; /* with retransmissions; 255: that many or more */
	__u8 flags;
};

enum untracked_why {
	UNTRACKED_NOT_COVERED = 1, /* interface, source or destination of no assignment */
	UNTRACKED_UNSEEN, /* its handshake was not seen, or not in order */
	UNTRACKED_LIMIT, /* the reason says which */
};

/* A connection to an assigned port that is no control connection: see note.h. */
struct untracked {
	struct tuple tuple; /* from who opened it */
	__u64 time; /* boot time, ns */
	__u32 last; /* ms from there to the last packet seen, in steps of a second */
	__u32 ifindex; /* by which it entered, as routing names it; 0: not known */
	__u8 why;
	__u8 reason;
	__u8 reserved[6];
};

enum interface_flag {
	INTERFACE_WATCHED = 1, /* our programs are on it */
	INTERFACE_STACKED = 2, /* stands above or below a watched one */
	INTERFACE_SKIP = 4, /* this VLAN is left to its own interface */
};

struct interface_key {
	__u32 ifindex;
	__u32 vlan; /* 0: untagged, or any without an entry of its own */
};

struct interface {
	__u32 routing; /* ifindex of the interface that routing names */
	__u16 zone;
	__u16 flags;
};

struct assignment_name {
	__u8 name[64];
	__u8 helper[16];
};

struct assignment_port {
	__u32 first;
	__u32 count;
};

/* A bit for each port, the lowest of a byte first. */
struct port_bits {
	__u8 byte[8192];
};

/* One pair of prefixes of one assignment, most specific first among those of a port. */
struct assignment {
	union ip from;
	union ip from_mask;
	union ip to;
	union ip to_mask;
	__u32 ifindex; /* 0: any */
	__u32 mark;
	__u16 id; /* index into the names that user space keeps */
	__u8 family; /* 4, 6, or 0 for both */
	__u8 reserved[5];
};

/* What an assignment allows, by its id. */
struct policy {
	__u64 timeout; /* ns that an expectation lives */
	__u16 from_port; /* data ports, host order */
	__u16 to_port;
	__u8 machine; /* 1 + index; 0: user space decides everything */
	__u8 limit; /* live expectations per master and class */
	__u8 third_party;
	__u8 reserved;
};

/* Why the walk stops behind a byte. */
enum stop {
	STOP_NONE = 0,
	STOP_MESSAGE, /* complete: argument is its rule */
	STOP_UNMATCHED,
	STOP_IP6_BEGIN, /* argument is the register of the group being read */
	STOP_IP6_GROUP,
	STOP_IP6_GAP,
};

/* What a byte of a class does in a state. The register becomes register * scale + the byte's value. */
struct transition {
	__u16 next; /* index of the next state's first entry */
	__u16 scale;
	__u8 reg;
	__u8 raw; /* 255: the byte itself is its value; 0: as a digit */
	__u8 stop;
	__u8 argument;
} __attribute__((aligned(8))); /* read as one word */

enum unmatched {
	UNMATCHED_JUDGE = 0, /* user space decides about the connection from here on */
	UNMATCHED_GIVE_UP,
	UNMATCHED_IGNORE,
};

enum rule_flag {
	RULE_INSIDE = 1, /* counts only inside a reply of several lines */
	RULE_OPENS = 2, /* begins one, known by `bracket` */
	RULE_CLOSES = 4, /* ends the one with the same `bracket` */
	RULE_JUDGE = 8,
};

enum answer {
	ANSWER_NONE = 0,
	ANSWER_NEXT,
	ANSWER_TAKE, /* the first of a kind, and forgets those before it */
	ANSWER_REACH, /* forgets those before the first of a kind */
};

enum address_kind {
	ADDRESS_OWN = 0, /* the announcer's */
	ADDRESS_OCTETS, /* four registers */
	ADDRESS_INTEGER, /* IPv4 as a decimal number, four bits a digit */
	ADDRESS_IP6, /* the walker's groups */
};

/* A connection that a message announces. Numbers are registers, LIMIT_NO_REGISTER: none. */
struct announcement {
	__u8 protocol;
	__u8 anyone; /* whoever connects, and not only the other end */
	__u8 address_kind;
	__u8 address;
	__u8 port; /* none: the announcer's own */
	__u8 high; /* times 256 */
	__u8 to; /* the last of a range */
	__u8 reserved;
};

/* What a message means. */
struct rule {
	__u8 next[LIMIT_PHASES]; /* by phase */
	__u8 flags;
	__u8 bracket; /* register */
	__u8 section;
	__u8 asks; /* kind that is pending from here on; 0: none */
	__u8 answer;
	__u8 answer_kind;
	__u8 withdraws; /* kind whose announcement goes if it is what was answered */
	__u8 skip; /* register */
	__u16 answering; /* bits of kinds; 0: any */
	__u16 clears; /* bits of registers */
	__u8 give_up; /* reason */
	__u8 announcements;
	__u8 reserved[2];
	struct announcement announce[LIMIT_ANNOUNCEMENTS];
};

/* A helper's definition in numbers: packages/grammar makes it, machine.h walks it. */
struct machine {
	__u16 recognised; /* bits of phases */
	__u16 withdrawable; /* bits of kinds */
	__u8 unmatched;
	__u8 end_class; /* of the end of a datagram */
	__u8 sections;
	__u8 reserved;
	__u8 class_of[256];
	__u16 start[2 * LIMIT_PHASES * LIMIT_SECTIONS]; /* by direction, phase, section */
	struct rule rule[LIMIT_RULES];
	struct transition transition[LIMIT_TRANSITIONS];
};

struct guard {
	union ip to;
	union ip mask;
	__u16 from_port; /* host order */
	__u16 to_port;
	__u8 family;
	__u8 reserved[3];
};

enum hold_policy {
	HOLD_PASS = 0,
	HOLD_DROP = 1,
};

struct config {
	__u64 seed;
	__u64 hold_deadline; /* ns */
	__u64 idle_control; /* ns */
	__u64 idle_related;
	__u64 idle_half_open;
	__u64 idle_closed;
	__u32 layout; /* LIMIT_LAYOUT_VERSION */
	__u32 mark_mask;
	__u32 hold_ifindex; /* 0: no hold device */
	__u32 hold_policy;
	__u32 release_mark; /* on a packet between the hold device and its hook */
	__u32 bank; /* which half of the assignments is in force */
	__u32 guards;
	__u32 per_source;
	__u32 max_flows;
	__u32 max_controls;
	__u32 max_expectations;
	__u32 embryo_mask; /* number of sets - 1 */
	__u64 started; /* boot time at which the daemon that wrote this took over */
	__u64 stopped; /* boot time of its orderly stop, 0 while it runs */
	__u64 events_told; /* of totals.events_lost, what people were told */
};

/* What more the datapath needs to know of where it runs; the size of struct config is that of layout 2. */
struct host {
	__u64 netns; /* cookie of the network namespace that it serves */
	__u8 conntrack; /* related: conntrack */
	__u8 reserved[55];
};

/* A program for `iptables -m bpf`: it keeps its place, so that rules keep their meaning. */
struct match {
	__u8 name[64]; /* of the assignment; empty: free */
	__u32 assignment; /* 1 + its number; 0: there is none of this name now */
	__u32 reserved[15];
};

#define SHAPES 4
#define SHAPE_ANY_ADDRESS 1
#define SHAPE_ANY_PORT 2

/* Counts that the datapath keeps; user space only reads. */
struct totals {
	__u64 next_id;
	__u64 ticks;
	__u64 events_lost;
	__u32 flows;
	__u32 controls;
	__u32 expectations;
	__u32 ports; /* distinct listening ports in use */
	__u32 shapes[SHAPES];
	__u32 expect_unused; /* slots from here on were never used */
	__u32 flow_unused;
	__u32 expect_cursor; /* where the walk goes on */
	__u32 flow_cursor;
};

/* Hashed by address: a collision shares the limit, which costs fairness and never correctness. */
struct source {
	__u32 controls;
	__u32 expectations;
	__u32 held; /* packets in this window */
	__u32 window;
	__u32 event_window;
	__u32 event_suppressed;
};

enum event_type {
	EVENT_CONTROL_NEW = 1,
	EVENT_CONTROL_END,
	EVENT_EXPECTATION_NEW,
	EVENT_EXPECTATION_REFUSED,
	EVENT_EXPECTATION_EXPIRED, /* or ended otherwise: reason */
	EVENT_RELATED_NEW,
	EVENT_RELATED_END,
	EVENT_GUARD_DROP,
	EVENT_TRUST, /* a control connection is no longer parsed: reason */
	EVENT_UNATTENDED, /* held packets were not answered in time */
	EVENT_TABLE_FULL,
	EVENT_SAMPLE, /* struct sample */
	EVENT_CONNECT, /* related: conntrack: this host opens an expected connection */
};

struct event {
	__u8 type;
	__u8 reason;
	__u8 hook;
	__u8 direction;
	__u32 count; /* this one and those like it that were not reported one by one */
	__u64 time; /* boot time, ns */
	__u32 ifindex;
	__u32 mark;
	struct tuple tuple; /* flow: from its opener; else the packet's or the expectation's */
	struct flow flow; /* zero where the event is about no flow */
	struct expect expect; /* zero where it is about no expectation */
};

/* A copy of a control payload, or of a piece of it. Only as many bytes of data as there are follow the head. */
struct sample {
	__u8 type;
	__u8 reason;
	__u8 hook;
	__u8 direction;
	__u32 length; /* of data */
	__u64 time;
	__u64 flow;
	__u32 seq; /* of data */
	__u32 tcp_flags;
	struct tuple tuple;
	__u8 data[LIMIT_SAMPLE_BYTES];
};

enum request_op {
	REQUEST_EXPECT = 1,
	REQUEST_UNEXPECT,
	REQUEST_TRUST, /* reason: why no more; REASON_NONE: the dialogue is this protocol's */
	REQUEST_ATTEND,
	REQUEST_WATCH,
	REQUEST_PORT_TAKE, /* an assignment uses this protocol and destination port */
	REQUEST_PORT_GIVE,
	REQUEST_JUDGE, /* user space decides about this connection from here on */
	REQUEST_STREAM, /* a control connection of layout 1 gets an entry in the table of streams; id, slot: an expectation of it */
};

/*
 * What user space asks of the datapath: a batch of these behind LIMIT_REQUEST_HEADER bytes, through
 * BPF_PROG_TEST_RUN. The same code as in the datapath does the work; the answer comes back in place.
 */
struct request {
	__u8 op;
	__u8 result; /* out: a reason, REASON_NONE: done */
	__u8 class;
	__u8 flags;
	__u8 limit; /* live expectations per master and class */
	__u8 direction;
	__u8 reason;
	__u8 created; /* out: 1: a new one, 0: refreshed */
	__u64 id; /* in: what to remove; out: the expectation's id */
	__u64 evicted; /* out: id of the one that made room */
	__u64 timeout; /* ns */
	__u32 mark; /* 0: the master's assignment's */
	__u32 start; /* sequence numbers */
	__u32 end;
	__u32 slot; /* out, and in for UNEXPECT */
	struct tuple master; /* the control connection, either way round */
	struct tuple tuple; /* the expectation */
};

#endif

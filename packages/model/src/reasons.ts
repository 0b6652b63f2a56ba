// SPDX-License-Identifier: Apache-2.0
import { REASONS, type Reason } from './generated/reasons.js';

/** What each reason means: what happened and, where it helps, what the operator can do. */
export const REASON_TEXT: Readonly<Record<Reason, string>> = {
  none: 'No reason.',

  'not-ip': 'The packet is neither IPv4 nor IPv6; passed untouched.',
  'not-tracked-protocol': 'Neither TCP nor UDP; passed untouched.',
  malformed: 'A header contradicts itself (length, version); passed, never tracked.',
  truncated: 'The packet ends within its headers; passed, never tracked.',
  fragment: 'A fragment: its ports cannot be read; passed, never tracked.',
  'extension-headers': 'More IPv6 extension headers than are followed; passed, never tracked.',
  'not-watched':
    'The packet belongs to an interface or VLAN that is not watched; add it to `interfaces` if it should be.',

  'flows-full': 'The flow table is full, the new flow was not tracked; raise `limits.flows`.',
  'controls-full': 'The table of control connections is full, the new one was not tracked; raise `limits.control`.',
  'expectations-full': 'The expectation table is full, the announcement was refused; raise `limits.expectations`.',
  'per-source': 'One address holds as much as `limits.per-source` allows; raise it, or look at what that address does.',
  evicted:
    'The oldest expectation of its master made room for a newer one; raise `limits.per-master` if both are needed.',
  clash: 'Another control connection already expects a connection that this one would match; the first one keeps it.',
  busy: 'Another CPU was changing the same entry; the announcement was refused. A retransmission tries again.',
  'no-master': 'The control connection ended before its expectation was in place.',
  'lost-race': 'Another packet made the same flow at the same moment; that one counts.',

  'port-zero': 'The announced port is 0.',
  'port-range': 'The announced port is outside `data.ports` of the assignment.',
  'bad-port': 'The announced port is no number up to 65535.',
  'bad-octet': 'A number of the announced address or port is over 255.',
  'bad-syntax': 'The announcement cannot be read.',
  'bad-family': 'The announced address family is neither 1 (IPv4) nor 2 (IPv6).',
  'wrong-family': 'The announced address is of another family than the control connection.',
  address:
    "The announced address is not the announcer's; `data.third-party: true` allows it, and bounce attacks with it.",
  nat: 'NAT stands between the announcer and the peer; such announcements cannot be translated yet.',
  unsolicited: 'A reply announced a connection that no command had asked for.',
  'line-too-long': 'A line is longer than the helper reads; its announcement, if any, was ignored.',
  'refused-by-server': 'The server refused the command; its expectation is gone.',

  'not-protocol': "The dialogue is not the helper's protocol; the connection is not looked at again.",
  encrypted: 'The control connection is encrypted from here on; its announcements cannot be read.',
  'fast-open': 'The connection began with data in its SYN (TCP Fast Open); it is not parsed.',
  rewritten: 'A retransmission carried other bytes than the original; the connection is not trusted any more.',
  ttl: 'The hop limit changed in a way that lets a packet die before the receiver; the connection is not trusted any more.',
  urgent: 'Urgent data in a place where both ends may read different bytes; the connection is not parsed any more.',
  gap: 'Bytes of the control connection went past unseen; it is not parsed any more.',

  'bad-ack': 'A segment acknowledged what was never sent; it was not judged.',
  'beyond-window': 'A segment too far ahead to be held; it was dropped, and TCP sends it again.',
  'rst-ignored': 'An RST without the exact sequence number; it ended nothing.',
  'syn-ignored': 'A SYN for a connection that is alive; it changed nothing.',
  handshake: 'A handshake that was not completed in order; no control connection was made.',

  held: 'A control packet was kept back for the control plane.',
  released: 'A held packet went on.',
  'hold-unavailable': 'No daemon took held packets; `hold.unavailable` decided. Start the daemon again.',
  'hold-unattended':
    'The daemon did not answer within `hold.deadline`; `hold.unavailable` decided. See what keeps it busy.',
  'hold-budget': 'Too many packets of one address are held already; this one was dropped, and TCP sends it again.',
  'hold-unknown': 'A packet came out of the hold device that was never put in; dropped.',
  'hold-failed': 'A packet could not be put into the hold device; it was dropped, and TCP sends it again.',

  fin: 'Both sides closed the connection.',
  rst: 'The connection was reset.',
  idle: 'Nothing was seen for as long as `idle` allows.',
  expired: 'The deadline passed before the expected connection came; raise `limits.expectation` if it comes later.',
  matched: 'The expected connection came.',
  'master-ended': 'The control connection ended, and its expectations with it.',
  'given-back': 'The data connection was reset, or not answered in 10 s; its expectation counts again, once.',
  reused: 'A new connection uses the same addresses and ports.',

  late: 'A related packet entered by an interface that is not watched: marked too late for FORWARD. Add that interface to `interfaces`.',
  'taken-over': 'Another hook counts this direction now: a route changed.',
  guard: 'A new connection to a guarded destination that nothing expects; dropped.',
  'guard-fragment': 'A fragment, or a packet whose ports cannot be read, to a guarded destination; dropped.',
  'event-lost': 'An event found no room in the ring buffer.',
  'sample-lost': 'A sample found no room in the ring buffer.',
  'hold-strips':
    'A control packet came through IPsec or a tunnel: it cannot be held, so it went on before it was judged.',

  decided: 'A control packet that the tables in the datapath decided, without the daemon.',
  judged: 'A control connection said something that the tables do not decide: the daemon judges the rest of it.',
  parked: 'A segment came before the bytes in front of it; it went on, and is read when they are there.',
  'out-of-order': 'A segment came before the bytes in front of it and could not be kept; dropped, TCP sends it again.',
  damaged: 'A segment with a wrong checksum went on unread; its receiver will discard it.',
};

const known: ReadonlySet<string> = new Set(REASONS);

/** Whether a word is one of the reasons of this version. */
export function isReason(word: string): word is Reason {
  return known.has(word);
}

/** The reason with this number in the datapath; a number of a newer datapath shows as `none`. */
export function reasonOf(number: number): Reason {
  return REASONS[number] ?? 'none';
}

/** The sentence for a reason. */
export function explainReason(reason: Reason): string {
  return REASON_TEXT[reason];
}

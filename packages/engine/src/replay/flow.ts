// SPDX-License-Identifier: Apache-2.0
import type { Assignment, Config } from '@relatd/config';
import { TCP_FLAG, type TupleRecord } from '@relatd/datapath';
import type { FlowState } from '@relatd/model';
import { PROTOCOL_NUMBER } from '../assignments.js';
import type { ControlConnection, DetailBox, DirectionName } from '../connection.js';
import { sequenceDistance } from '../segments.js';
import type { Expected } from './expectations.js';
import type { Packet } from './packet.js';

/** One direction. */
export interface Side {
  /** The place at which it was captured first, which counts and follows it; null: none yet. */
  owner: number | null;
  /** TCP: the next sequence number. */
  next: number;
  fin: boolean;
  packets: number;
  bytes: number;
}

interface FlowBase {
  readonly id: bigint;
  /** From its opener. */
  readonly tuple: TupleRecord;
  readonly assignment: Assignment;
  /** Null: not known. */
  readonly interface: string | null;
  readonly sides: Readonly<Record<DirectionName, Side>>;
  /** Milliseconds since 1970. */
  readonly created: number;
  last: number;
  state: FlowState;
}

export interface TrackedControl extends FlowBase {
  readonly kind: 'control';
  readonly connection: ControlConnection;
  /** Hop limits of the handshake. */
  readonly ttl: Readonly<Record<DirectionName, number>>;
  /** Sequence numbers of FINs that came before the bytes in front of them, or with them. */
  readonly fins: Record<DirectionName, number | null>;
  /** The oldest first. */
  readonly expectations: Set<Expected>;
}

export interface TrackedRelated extends FlowBase {
  readonly kind: 'related';
  readonly master: TrackedControl;
  /** What it matched. */
  readonly expected: Expected;
  /** Sequence number of the SYN. */
  readonly initial: number;
  /** The opener has seen the answer. */
  completed: boolean;
  /** The smaller maximum segment size of both; null: neither said one. */
  segmentSize: number | null;
  readonly box: DetailBox | null;
}

export type TrackedFlow = TrackedControl | TrackedRelated;

/** As in the datapath: what lies further ahead is a stranger's guess, or long past. */
export const SEQUENCE_WINDOW = 1 << 24;
/** A segment that lies further ahead is not kept. */
export const SEGMENT_WINDOW = 0xffff;

const UDP_IDLE = 120_000;
const UNANSWERED = 10_000;
const OWNER_SILENT = 2000;

export const newSide = (owner: number | null, next = 0): Side => ({ owner, next, fin: false, packets: 0, bytes: 0 });

export const otherDirection = (direction: DirectionName): DirectionName =>
  direction === 'original' ? 'reply' : 'original';

/** Whether `a` lies behind `b` in sequence space. */
export const isAfter = (a: number, b: number): boolean => sequenceDistance(a, b) > 0;

/** Whether `a` lies at `b`, or behind it but within {@link SEQUENCE_WINDOW}. */
export const isWithin = (a: number, b: number): boolean => (a - b) >>> 0 < SEQUENCE_WINDOW;

/** Whether a packet can open a connection. */
export function isOpener({ tuple, flags }: Packet): boolean {
  if (tuple.protocol === PROTOCOL_NUMBER.udp) return true;
  return (flags & (TCP_FLAG.syn | TCP_FLAG.ack | TCP_FLAG.fin | TCP_FLAG.rst)) === TCP_FLAG.syn;
}

/** Whether a packet is the SYN of a new connection that uses the addresses and ports of one that is over. */
export function isReused(flow: TrackedFlow, packet: Packet): boolean {
  if (packet.tuple.protocol !== PROTOCOL_NUMBER.tcp || !isOpener(packet)) return false;
  return flow.state === 'closed' || flow.state === 'closing';
}

/**
 * Whether this place counts and follows a direction: the one at which it was captured first. Another takes over when it
 * sees what the first has not.
 */
export function owns(flow: TrackedFlow, direction: DirectionName, packet: Packet, now: number): boolean {
  const side = flow.sides[direction];
  if (side.owner === packet.place) return true;
  if (side.owner !== null) {
    let news: boolean;
    if (packet.tuple.protocol === PROTOCOL_NUMBER.udp) news = now - flow.last > OWNER_SILENT;
    else if (packet.flags & TCP_FLAG.rst) news = packet.seq === side.next && flow.state !== 'closed';
    else news = packet.end !== packet.seq && isAfter(packet.end, side.next) && isWithin(packet.end, side.next);
    if (!news) return false;
  }
  side.owner = packet.place;
  return true;
}

/** Counts a packet, of which the wire had `segments`. */
export function touch(
  flow: TrackedFlow,
  direction: DirectionName,
  packet: Packet,
  segments: number,
  now: number,
): void {
  const side = flow.sides[direction];
  side.packets += segments;
  side.bytes += packet.length + (segments - 1) * packet.headers;
  flow.last = now;
}

/**
 * A host that lets its device cut what it sends, and put together what it receives, captures several segments as one packet:
 * how many there were, by what both ends said that they take.
 */
export function segmentsOf({ segmentSize }: TrackedRelated, { tuple, headers, payloadLength }: Packet): number {
  if (segmentSize === null) return 1;
  // The size leaves out options, which take of it (RFC 6691).
  const room = segmentSize + (tuple.family === 4 ? 40 : 60) - headers;
  return room > 0 && payloadLength > room ? Math.ceil(payloadLength / room) : 1;
}

/** Milliseconds without a packet after which a flow is over. */
export function idleLimit(flow: TrackedFlow, idle: Config['idle']): number {
  if (flow.state === 'closed') return idle.closed;
  if (flow.state === 'new') return Math.min(idle.halfOpen, UNANSWERED);
  if (flow.tuple.protocol === PROTOCOL_NUMBER.udp) return flow.kind === 'control' ? idle.halfOpen : UDP_IDLE;
  return flow.kind === 'control' ? idle.control : idle.related;
}

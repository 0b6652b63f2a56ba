// SPDX-License-Identifier: Apache-2.0
import { TCP_FLAG } from '@relatd/datapath';
import type { Reason } from '@relatd/model';
import { PROTOCOL_NUMBER } from '../assignments.js';
import type { DirectionName } from '../connection.js';
import { emptyOutcome, type Outcome } from '../outcome.js';
import {
  SEGMENT_WINDOW,
  isAfter,
  isWithin,
  otherDirection,
  owns,
  touch,
  type TrackedControl,
  type TrackedFlow,
} from './flow.js';
import type { Packet } from './packet.js';

/** What the rules need of the tables around a flow. */
export interface FlowContext {
  readonly now: number;
  /** Something of the one list of reasons has happened. */
  count(reason: Reason): void;
  /** A flow is over. */
  end(flow: TrackedFlow, reason: Reason): void;
  /** Does what a control connection's parser wants done. */
  commit(flow: TrackedControl, outcome: Outcome): void;
}

/** A hop limit that is lower than the handshake's by more lets a packet die before the receiver. */
const TTL_SLACK = 8;

/** A packet of a control connection: bpf/lib/stream.h, where nothing is held and everything is judged by the parser. */
export function controlPacket(
  flow: TrackedControl,
  direction: DirectionName,
  packet: Packet,
  context: FlowContext,
): void {
  if (packet.tuple.protocol === PROTOCOL_NUMBER.udp) {
    if (!owns(flow, direction, packet, context.now)) return;
    touch(flow, direction, packet, 1, context.now);
    read(flow, direction, packet, context);
    return;
  }
  if (packet.flags & TCP_FLAG.syn) {
    context.count('syn-ignored');
    return;
  }
  if (acknowledgesNonsense(flow, direction, packet)) {
    context.count('bad-ack');
    if (!missed(flow, direction, packet)) return;
    giveUp(flow, 'gap', context);
  }
  if (!owns(flow, direction, packet, context.now)) return;
  touch(flow, direction, packet, 1, context.now);
  segment(flow, direction, packet, context);
}

const isTrusted = ({ connection }: TrackedControl): boolean => connection.distrusted === null;

/** Who acknowledges nothing, what was never sent or what is long past does not see the connection (RFC 5961, 5). */
function acknowledgesNonsense(flow: TrackedControl, direction: DirectionName, { flags, ack }: Packet): boolean {
  if (!isTrusted(flow) || flags & TCP_FLAG.rst) return false;
  return !(flags & TCP_FLAG.ack) || !isWithin(flow.sides[otherDirection(direction)].next, ack);
}

/** A bare ACK in order comes from who takes part: the bytes that it acknowledges are not in the capture. */
function missed(flow: TrackedControl, direction: DirectionName, { flags, seq, end, ack }: Packet): boolean {
  const { [direction]: own, [otherDirection(direction)]: other } = flow.sides;
  return (flags & TCP_FLAG.ack) !== 0 && end === seq && seq === own.next && isWithin(ack, other.next);
}

function segment(flow: TrackedControl, direction: DirectionName, packet: Packet, context: FlowContext): void {
  const { connection, ttl } = flow;
  const side = flow.sides[direction];
  if (!isTrusted(flow) || flow.state === 'closed' || packet.flags & TCP_FLAG.rst) {
    advance(flow, direction, packet, context);
    return;
  }
  if (packet.end === packet.seq) return;
  if (isAfter(packet.seq, (side.next + SEGMENT_WINDOW) >>> 0)) {
    context.count('beyond-window');
    return;
  }
  const isNew = isAfter(packet.end, side.next);
  if (isNew && packet.payloadLength > 0 && packet.ttl + TTL_SLACK < ttl[direction]) giveUp(flow, 'ttl', context);
  else if (packet.payloadLength > 0) read(flow, direction, packet, context);
  if (!isTrusted(flow)) {
    advance(flow, direction, packet, context);
    return;
  }
  if (isNew && packet.flags & TCP_FLAG.fin) flow.fins[direction] = (packet.end - 1) >>> 0;
  if (isAfter(connection.next(direction), side.next)) side.next = connection.next(direction);
  if (flow.fins[direction] !== side.next || side.fin) return;
  side.next = (side.next + 1) >>> 0;
  finish(flow, direction, context);
}

/** Hands the payload to the parser, which puts it in order. */
function read(flow: TrackedControl, direction: DirectionName, packet: Packet, context: FlowContext): void {
  const { connection } = flow;
  const { seq, flags, urgent, payload } = packet;
  if (!isTrusted(flow)) return;
  if (payload.length < packet.payloadLength) {
    context.count('truncated');
    giveUp(flow, 'gap', context);
    return;
  }
  const outcome = emptyOutcome();
  // Checksums tell nothing in a capture: a host that leaves them to its device captures its packets without.
  connection.push({ direction, seq, flags, urgent, payload, intact: true, frame: null, decided: false }, outcome);
  context.commit(flow, outcome);
}

function giveUp(flow: TrackedControl, reason: Reason, context: FlowContext): void {
  const outcome = emptyOutcome();
  flow.connection.giveUp(reason, outcome);
  context.commit(flow, outcome);
}

/** Of what is not read only the end is of interest, and a far guess must not spoil it. */
function advance(flow: TrackedControl, direction: DirectionName, packet: Packet, context: FlowContext): void {
  const side = flow.sides[direction];
  if (packet.flags & TCP_FLAG.rst) {
    if (packet.seq === side.next) context.end(flow, 'rst');
    else context.count('rst-ignored');
    return;
  }
  if (packet.end === side.next || !isWithin(packet.end, side.next)) return;
  side.next = packet.end;
  if (packet.flags & TCP_FLAG.fin) finish(flow, direction, context);
}

/** A FIN in order: the connection is over when both sides have sent one. */
function finish(flow: TrackedControl, direction: DirectionName, context: FlowContext): void {
  flow.sides[direction].fin = true;
  if (flow.state !== 'closed') flow.state = 'closing';
  if (flow.sides[otherDirection(direction)].fin) context.end(flow, 'fin');
}

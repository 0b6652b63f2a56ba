// SPDX-License-Identifier: Apache-2.0
import { TCP_FLAG } from '@relatd/datapath';
import { PROTOCOL_NUMBER } from '../assignments.js';
import type { DirectionName } from '../connection.js';
import type { FlowContext } from './control.js';
import { isAfter, isWithin, otherDirection, owns, segmentsOf, touch, type TrackedRelated } from './flow.js';
import type { Packet } from './packet.js';

export interface RelatedContext extends FlowContext {
  /** The connection did not come about: what it matched counts again, once. */
  giveBack(flow: TrackedRelated): void;
}

/** A packet of a related flow: bpf/lib/related.h. */
export function relatedPacket(
  flow: TrackedRelated,
  direction: DirectionName,
  packet: Packet,
  context: RelatedContext,
): void {
  if (!owns(flow, direction, packet, context.now)) return;
  touch(flow, direction, packet, segmentsOf(flow, packet), context.now);
  if (packet.tuple.protocol === PROTOCOL_NUMBER.tcp) follow(flow, direction, packet, context);
  else if (direction === 'reply' && flow.state === 'new') flow.state = 'established';
}

function follow(flow: TrackedRelated, direction: DirectionName, packet: Packet, context: RelatedContext): void {
  const { [direction]: own, [otherDirection(direction)]: other } = flow.sides;
  const { flags, end } = packet;
  if (flags & TCP_FLAG.syn) {
    if (direction === 'original' || flow.state !== 'new' || !answers(flow, packet)) return;
    own.next = (packet.seq + 1) >>> 0;
    flow.state = 'established';
    const { segmentSize } = packet;
    if (segmentSize === null || flow.segmentSize === null) flow.segmentSize ??= segmentSize;
    else flow.segmentSize = Math.min(flow.segmentSize, segmentSize);
    return;
  }
  if (flags & TCP_FLAG.rst) {
    reset(flow, direction, packet, context);
    return;
  }
  // Who opened it has seen the answer, which a stranger who used its address has not.
  if (direction === 'original' && flags & TCP_FLAG.ack && flow.state !== 'new' && isWithin(other.next, packet.ack))
    flow.completed = true;
  if (end === own.next || !isWithin(end, own.next)) return;
  own.next = end;
  if (!(flags & TCP_FLAG.fin)) return;
  own.fin = true;
  if (flow.state !== 'closed') flow.state = 'closing';
  if (other.fin) context.end(flow, 'fin');
}

function reset(flow: TrackedRelated, direction: DirectionName, packet: Packet, context: RelatedContext): void {
  if (flow.state === 'new' && direction === 'reply' && answers(flow, packet)) {
    context.end(flow, 'rst');
    context.giveBack(flow);
    return;
  }
  if (flow.state === 'new' || packet.seq !== flow.sides[direction].next) {
    context.count('rst-ignored');
    return;
  }
  // The SYN was a stranger's: whose address it bore knows nothing of it.
  const disowned = direction === 'original' && flow.state === 'established' && !flow.completed;
  context.end(flow, 'rst');
  if (disowned) context.giveBack(flow);
}

/** Whether a packet acknowledges the SYN, and none or some of the data that it may have had (RFC 7413). */
function answers(flow: TrackedRelated, { flags, ack }: Packet): boolean {
  return (flags & TCP_FLAG.ack) !== 0 && isAfter(ack, flow.initial) && !isAfter(ack, flow.sides.original.next);
}

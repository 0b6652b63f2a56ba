// SPDX-License-Identifier: Apache-2.0
import type { Announcement, Expectation } from './expectation.js';
import { formatDetail, type ControlFlow, type Flow, type RelatedFlow } from './flow.js';
import type { Reason } from './generated/reasons.js';
import { formatEndpoint, printable } from './text.js';

/** Every type of event. */
export const EVENT_TYPES = [
  'control.new',
  'control.end',
  'expectation.new',
  'expectation.refused',
  'expectation.expired',
  'related.new',
  'related.end',
  'guard.drop',
  'lost',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** A packet that `guard` dropped: of no flow, so it has only what the packet says. */
export interface GuardedPacket extends Pick<Flow, 'protocol' | 'source' | 'destination' | 'interface'> {
  readonly assignment: null;
  readonly detail: null;
}

type Parts = 'flow' | 'expectation' | 'reason' | 'count';

/** An event has `Has`; the other parts can be asked for and are undefined. */
type EventOf<Type extends EventType, Has> = { readonly time: string; readonly type: Type } & Readonly<Has> & {
    readonly [Part in Exclude<Parts, keyof Has>]?: undefined;
  };

/** An assignment's control connection is established. */
export type ControlNewEvent = EventOf<'control.new', { flow: ControlFlow }>;
/** A control connection is over: `reason` says how. */
export type ControlEndEvent = EventOf<'control.end', { flow: ControlFlow; reason: Reason }>;
/** An announced connection is now expected. */
export type ExpectationNewEvent = EventOf<'expectation.new', { expectation: Expectation }>;
/**
 * An announcement was turned down, `count` times since the last such event of the same source. `expectation` is what was
 * announced where it could be read, `flow` the control connection where it could not.
 */
export type ExpectationRefusedEvent =
  | EventOf<'expectation.refused', { expectation: Announcement; reason: Reason; count: number }>
  | EventOf<'expectation.refused', { flow: ControlFlow; reason: Reason; count: number }>;
/** An expectation ended without a connection: by its deadline, or by what `reason` says. */
export type ExpectationExpiredEvent = EventOf<'expectation.expired', { expectation: Expectation; reason: Reason }>;
/** An expected connection arrived. */
export type RelatedNewEvent = EventOf<'related.new', { flow: RelatedFlow }>;
/** A related flow is over: `reason` says how. */
export type RelatedEndEvent = EventOf<'related.end', { flow: RelatedFlow; reason: Reason }>;
/** `guard` dropped `count` packets of one source since the last such event; this is the latest. */
export type GuardDropEvent = EventOf<'guard.drop', { flow: GuardedPacket; reason: Reason; count: number }>;
/** `count` events could not be delivered. */
export type LostEvent = EventOf<'lost', { count: number }>;

/** What happened, as `relatd monitor --json` prints it. `time` is ISO 8601, UTC. */
export type Event =
  | ControlNewEvent
  | ControlEndEvent
  | ExpectationNewEvent
  | ExpectationRefusedEvent
  | ExpectationExpiredEvent
  | RelatedNewEvent
  | RelatedEndEvent
  | GuardDropEvent
  | LostEvent;

const TYPE_WIDTH = Math.max(...EVENT_TYPES.map((type) => type.length));

/** An event on one line: time, type, what it concerns, why, how often. */
export function formatEvent(event: Event): string {
  const words: string[] = [event.time, event.type.padEnd(TYPE_WIDTH)];
  const subject = event.flow ?? event.expectation;
  if (subject !== undefined) {
    words.push(printable(subject.assignment ?? '-'), subject.protocol);
    words.push(`${formatEndpoint(subject.source)} > ${formatEndpoint(subject.destination)}`);
  }
  const detail = formatDetail(event.flow?.detail ?? null);
  if (detail !== '') words.push(detail);
  if (event.reason !== undefined) words.push(`reason=${event.reason}`);
  if (event.count !== undefined) words.push(`count=${String(event.count)}`);
  return words.join(' ');
}

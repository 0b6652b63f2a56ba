// SPDX-License-Identifier: Apache-2.0
import { formatMark, type Announcement, type Expectation, type Flow } from '@relatd/model';
import type { TupleRecord } from '@relatd/datapath';
import { destinationOf, patternDestination, patternSource, protocolOf, sourceOf } from '../convert.js';
import { shownDetail } from '../details.js';
import type { Expected } from './expectations.js';
import type { TrackedControl, TrackedFlow } from './flow.js';

/** What stands in the place of an interface that is not known. */
const NO_INTERFACE = '-';

/** ISO 8601, UTC. */
export const isoTime = (milliseconds: number): string => new Date(milliseconds).toISOString();

const tenths = (milliseconds: number): number => Math.max(0, Math.round(milliseconds / 100) / 10);

/** A flow as it is now, as `monitor` shows it. */
export function flowView(flow: TrackedControl, now: number): Extract<Flow, { kind: 'control' }>;
export function flowView(flow: TrackedFlow, now: number): Flow;
export function flowView(flow: TrackedFlow, now: number): Flow {
  const { id, tuple, assignment, sides, state } = flow;
  const { original, reply } = sides;
  const box = flow.kind === 'control' ? flow.connection.box : flow.box;
  const base = {
    id: id.toString(),
    assignment: assignment.name,
    helper: assignment.helper,
    protocol: protocolOf(tuple),
    source: sourceOf(tuple),
    destination: destinationOf(tuple),
    interface: flow.interface ?? NO_INTERFACE,
    state,
    mark: formatMark(flow.kind === 'control' ? 0 : assignment.mark),
    packets: { original: original.packets, reply: reply.packets },
    bytes: { original: original.bytes, reply: reply.bytes },
    created: isoTime(flow.created),
    idleSeconds: tenths(now - flow.last),
    detail: shownDetail(box?.detail ?? null, assignment.detail),
  };
  if (flow.kind === 'related') return { ...base, kind: 'related', master: flow.master.id.toString() };
  return { ...base, kind: 'control', master: null, trust: flow.connection.distrusted ?? 'ok' };
}

/** What was announced, expected or not. */
export function announcementView(tuple: TupleRecord, master: TrackedControl): Announcement {
  return {
    assignment: master.assignment.name,
    helper: master.assignment.helper,
    protocol: protocolOf(tuple),
    source: patternSource(tuple),
    destination: patternDestination(tuple),
    master: master.id.toString(),
  };
}

/** An expectation as it is now. */
export function expectationView({ id, tuple, master, created, deadline }: Expected, now: number): Expectation {
  return {
    id: id.toString(),
    ...announcementView(tuple, master),
    created: isoTime(created),
    expiresSeconds: tenths(deadline - now),
    permanent: false,
  };
}

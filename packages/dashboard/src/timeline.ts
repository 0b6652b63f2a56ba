// SPDX-License-Identifier: Apache-2.0
import {
  bytesOf,
  explainReason,
  formatBytes,
  formatDetail,
  formatDuration,
  formatEndpoint,
  type Flow,
} from '@relatd/model';
import type { Session } from './sessions.js';

/** How a moment looks. */
export type Tone = 'begin' | 'expect' | 'match' | 'end' | 'refuse' | 'fade';

/** Something that happened in a session. Times are milliseconds of Unix time. */
export interface Moment {
  readonly at: number;
  readonly tone: Tone;
  readonly title: string;
  /** Addresses. */
  readonly text: string;
  /** Why, or how much; empty where there is nothing to say. */
  readonly note: string;
}

/** A connection as a bar from its first packet to its end; `end` is null while it lives. */
export interface Lane {
  readonly id: string;
  readonly label: string;
  readonly kind: 'control' | 'related';
  readonly begin: number;
  readonly end: number | null;
  /** When it was announced, where that is known. */
  readonly announced: number | null;
}

/** A session as people read it: what happened, oldest first, and its connections side by side. */
export interface Timeline {
  readonly moments: readonly Moment[];
  readonly lanes: readonly Lane[];
}

/** Connections that are drawn: a session may have thousands, the latest are of interest. */
const LANES_MAX = 12;

export function timelineOf(session: Session): Timeline {
  const moments = momentsOf(session);
  const announcements = moments.filter(({ tone }) => tone === 'expect');
  const lanes: Lane[] = [];
  const { control, related } = session;
  if (control !== null) lanes.push({ ...laneOf(control.flow, control.end), announced: null });
  for (const { flow, end } of [...related.values()].slice(-LANES_MAX)) {
    const begin = Date.parse(flow.created);
    const to = formatEndpoint(flow.destination);
    const announced = announcements.findLast(({ at, text }) => at <= begin && text.endsWith(to));
    lanes.push({ ...laneOf(flow, end), announced: announced?.at ?? null });
  }
  return { moments, lanes };
}

function laneOf(flow: Flow, end: { time: string } | null): Omit<Lane, 'announced'> {
  const label =
    flow.kind === 'control' ? 'control connection' : formatDetail(flow.detail) || formatEndpoint(flow.destination);
  return {
    id: flow.id,
    label,
    kind: flow.kind,
    begin: Date.parse(flow.created),
    end: end === null ? null : Date.parse(end.time),
  };
}

const path = ({ source, destination }: Pick<Flow, 'source' | 'destination'>): string =>
  `${formatEndpoint(source)} → ${formatEndpoint(destination)}`;

/** From events where there are any; of what began before this page was opened, from what the tables say. */
function momentsOf(session: Session): Moment[] {
  const moments: Moment[] = [];
  const told = new Set<string>();
  for (const event of session.events) {
    const at = Date.parse(event.time);
    switch (event.type) {
      case 'control.new':
        told.add(event.flow.id);
        moments.push({ at, tone: 'begin', title: 'Control connection', text: path(event.flow), note: '' });
        break;
      case 'related.new':
        told.add(event.flow.id);
        moments.push({
          at,
          tone: 'match',
          title: 'First packet: related',
          text: path(event.flow),
          note: formatDetail(event.flow.detail),
        });
        break;
      case 'control.end':
      case 'related.end': {
        told.add(`${event.flow.id} end`);
        const title = event.type === 'control.end' ? 'Control connection ended' : 'Related flow ended';
        moments.push({ at, tone: 'end', title, text: amount(event.flow, at), note: explainReason(event.reason) });
        break;
      }
      case 'expectation.new':
        told.add(`expectation ${event.expectation.id}`);
        moments.push({ at, tone: 'expect', title: 'Announced: expected', text: path2(event.expectation), note: '' });
        break;
      case 'expectation.refused':
        moments.push({
          at,
          tone: 'refuse',
          title: event.count === 1 ? 'Announced: refused' : `Announced: refused, ${String(event.count)} times`,
          text: event.flow === undefined ? path2(event.expectation) : '',
          note: explainReason(event.reason),
        });
        break;
      case 'expectation.expired':
        moments.push({
          at,
          tone: 'fade',
          title: 'Expectation ended',
          text: path2(event.expectation),
          note: explainReason(event.reason),
        });
        break;
      case 'guard.drop':
      case 'lost':
        break;
    }
  }
  addUntold(session, told, moments);
  return moments.sort((a, b) => a.at - b.at);
}

function addUntold({ control, related, expected }: Session, told: ReadonlySet<string>, moments: Moment[]): void {
  const flows = control === null ? [...related.values()] : [control, ...related.values()];
  for (const { flow, end } of flows) {
    const isControl = flow.kind === 'control';
    const at = Date.parse(flow.created);
    if (!told.has(flow.id)) {
      moments.push({
        at,
        tone: isControl ? 'begin' : 'match',
        title: isControl ? 'Control connection' : 'First packet: related',
        text: path(flow),
        note: isControl ? '' : formatDetail(flow.detail),
      });
    }
    if (end !== null && !told.has(`${flow.id} end`)) {
      const over = Date.parse(end.time);
      const title = isControl ? 'Control connection ended' : 'Related flow ended';
      moments.push({ at: over, tone: 'end', title, text: amount(flow, over), note: '' });
    }
  }
  for (const [id, { expectation }] of expected) {
    if (told.has(`expectation ${id}`)) continue;
    const at = Date.parse(expectation.created);
    moments.push({ at, tone: 'expect', title: 'Announced: expected', text: path2(expectation), note: '' });
  }
}

const path2 = (of: {
  source: Parameters<typeof formatEndpoint>[0];
  destination: Parameters<typeof formatEndpoint>[0];
}) => `${formatEndpoint(of.source)} → ${formatEndpoint(of.destination)}`;

/** `24.1 MiB in 1.8s, 13.4 MiB/s`. */
function amount(flow: Flow, end: number): string {
  const seconds = Math.max(0, end - Date.parse(flow.created)) / 1000;
  const bytes = bytesOf(flow);
  const rate = seconds > 0 && flow.kind === 'related' ? `, ${formatBytes(Math.round(bytes / seconds))}/s` : '';
  return `${formatBytes(bytes)} in ${formatDuration(seconds)}${rate}`;
}

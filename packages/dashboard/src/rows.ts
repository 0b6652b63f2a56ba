// SPDX-License-Identifier: Apache-2.0
import { formatDetail, formatEndpoint, type Flow } from '@relatd/model';
import type { Place, Sort } from './place.js';
import { isOver, isTrouble, traffic, type Expected, type Session, type Tracked } from './sessions.js';

/** One row of the table. Its key stays the same while it lives. */
export type Row = { readonly key: string; readonly session: Session } & (
  | { readonly kind: 'control'; readonly children: number; readonly open: boolean }
  | { readonly kind: 'related'; readonly tracked: Tracked }
  | { readonly kind: 'expected'; readonly expected: Expected }
);

/** The rows that `place` asks for. `toggled` are the sessions that a person has opened or closed against `place.tree`. */
export function rowsOf(sessions: Iterable<Session>, place: Place, toggled: ReadonlySet<string>): Row[] {
  const words = place.query.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Session[] = [];
  for (const session of sessions) if (isShown(session, place) && contains(session, words)) found.push(session);
  sortSessions(found, place.sort, place.descending);
  const rows: Row[] = [];
  for (const session of found) {
    const related = [...session.related.values()].filter(({ end }) => place.shown !== 'live' || end === null);
    const children = related.length + session.expected.size;
    const open = children > 0 && place.tree !== toggled.has(session.id);
    rows.push({ key: session.id, session, kind: 'control', children, open });
    if (!open) continue;
    for (const tracked of related) rows.push({ key: `flow-${tracked.flow.id}`, session, kind: 'related', tracked });
    for (const [id, expected] of session.expected)
      rows.push({ key: `expectation-${id}`, session, kind: 'expected', expected });
  }
  return rows;
}

function isShown(session: Session, place: Place): boolean {
  if (place.assignment !== '' && assignmentOf(session) !== place.assignment) return false;
  if (place.shown === 'all') return true;
  return place.shown === 'trouble' ? isTrouble(session) : !isOver(session);
}

/** The name of a session's assignment. */
export function assignmentOf({ control, related, expected }: Session): string {
  if (control !== null) return control.flow.assignment;
  for (const { flow } of related.values()) return flow.assignment;
  for (const { expectation } of expected.values()) return expectation.assignment;
  return '';
}

function contains(session: Session, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = textOf(session);
  return words.every((word) => text.includes(word));
}

/** Everything of a session that can be searched for, in lower case. */
function textOf({ id, control, related, expected }: Session): string {
  const parts = [`#${id}`];
  const add = (flow: Flow): void => {
    parts.push(
      formatEndpoint(flow.source),
      formatEndpoint(flow.destination),
      formatDetail(flow.detail),
      flow.interface,
    );
    parts.push(flow.assignment, flow.helper, flow.state);
    if (flow.kind === 'control') parts.push(flow.trust);
  };
  if (control !== null) add(control.flow);
  for (const { flow } of related.values()) add(flow);
  for (const { expectation } of expected.values())
    parts.push(formatEndpoint(expectation.source), formatEndpoint(expectation.destination));
  return parts.join(' ').toLowerCase();
}

type Key = string | number;

function keyOf(session: Session, sort: Sort): Key {
  const flow = session.control?.flow ?? [...session.related.values()][0]?.flow;
  switch (sort) {
    case 'started':
      return flow?.created ?? '';
    case 'source':
      return flow === undefined ? '' : sortable(formatEndpoint(flow.source));
    case 'destination':
      return flow === undefined ? '' : sortable(formatEndpoint(flow.destination));
    case 'assignment':
      return assignmentOf(session);
    case 'state':
      return session.control === null || session.control.end !== null ? 'z' : session.control.flow.state;
    case 'bytes':
      return traffic(session).bytes;
    case 'rate':
      return traffic(session).rate;
  }
}

/** So that 10.0.0.9 comes before 10.0.0.10. */
function sortable(text: string): string {
  return text.replace(/\d+/g, (digits) => digits.padStart(5, '0'));
}

/** Equal ones stand in the order in which they came: rows must not change places without a reason. */
function sortSessions(sessions: Session[], sort: Sort, descending: boolean): void {
  const keys = new Map(sessions.map((session) => [session, keyOf(session, sort)]));
  const sign = descending ? -1 : 1;
  sessions.sort((a, b) => {
    const [left = '', right = ''] = [keys.get(a), keys.get(b)];
    if (left < right) return -sign;
    return left > right ? sign : 0;
  });
}

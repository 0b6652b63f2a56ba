// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { ENDED_MS, EVENTS_MAX, isOver, isTrouble, Sessions, traffic } from './sessions.js';
import { BEGIN, control, dialogue, expected, related, timeAt } from './testing.js';

const at = (seconds: number): number => BEGIN + 1000 * seconds;

function only(sessions: Sessions) {
  expect(sessions.size).toBe(1);
  const [session] = sessions.all;
  return session!;
}

describe('sessions', () => {
  test('come out of events', () => {
    const sessions = new Sessions();
    const [begin, announce, match, refuse, end, over] = dialogue();
    sessions.happened(begin!, at(0));
    sessions.happened(announce!, at(1));
    const session = only(sessions);
    expect([...session.expected.keys()]).toEqual(['7']);
    sessions.happened(match!, at(2));
    // The connection has come: it is no longer expected.
    expect([[...session.expected.keys()], [...session.related.keys()]]).toEqual([[], ['2']]);
    expect(isTrouble(session)).toBe(false);
    sessions.happened(refuse!, at(3));
    expect([session.refusals, isTrouble(session)]).toEqual([2, true]);
    sessions.happened(end!, at(4));
    expect(session.related.get('2')?.end).toEqual({ time: timeAt(4), reason: 'fin' });
    expect(isOver(session)).toBe(false);
    sessions.happened(over!, at(5));
    expect(isOver(session)).toBe(true);
    expect(session.events).toHaveLength(6);
  });

  test('come out of lists, with rates between two of them', () => {
    const sessions = new Sessions();
    sessions.list([control('1'), related('2', '1')], [expected('7', '1', 50_000)], at(0), at(0));
    const session = only(sessions);
    expect(traffic(session)).toEqual({ bytes: 1300, rate: 0 });
    sessions.list([control('1'), related('2', '1', { bytes: { original: 0, reply: 5000 } })], [], at(2), at(2));
    expect(traffic(session)).toEqual({ bytes: 5300, rate: 2000 });
    expect(session.expected.size).toBe(0);
    sessions.list([], [], at(4), at(4));
    expect(isOver(session)).toBe(true);
    expect(session.control?.end).toEqual({ time: timeAt(4), reason: null });
  });

  test('that are newer than a list are not ended by it, and what ended is not revived', () => {
    const sessions = new Sessions();
    for (const event of dialogue().slice(0, 3)) sessions.happened(event, at(3));
    sessions.list([], [], at(2), at(4));
    const session = only(sessions);
    expect(isOver(session)).toBe(false);
    for (const event of dialogue().slice(4)) sessions.happened(event, at(5));
    // A closed flow stays in the table for a while.
    sessions.list([control('1', { state: 'closed' })], [], at(6), at(6));
    expect(session.control?.end).toEqual({ time: timeAt(5), reason: 'rst' });
  });

  test('without a control connection show what outlived it', () => {
    const sessions = new Sessions();
    sessions.list([related('2', '1')], [], at(0), at(0));
    const session = only(sessions);
    expect([session.id, session.control, isOver(session)]).toEqual(['1', null, false]);
  });

  test('that are over are forgotten after a while, and their events are bounded', () => {
    const sessions = new Sessions();
    for (const event of dialogue()) sessions.happened(event, at(5));
    const [, , , refuse] = dialogue();
    for (let count = 0; count < 2 * EVENTS_MAX; count++) sessions.happened(refuse!, at(5));
    expect(only(sessions).events.length).toBeLessThanOrEqual(EVENTS_MAX);
    sessions.list([], [], at(6), at(6));
    expect(sessions.size).toBe(1);
    sessions.list([], [], at(6) + ENDED_MS, at(6) + ENDED_MS);
    expect(sessions.size).toBe(0);
  });
});

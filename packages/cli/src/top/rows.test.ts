// SPDX-License-Identifier: Apache-2.0
import { beforeAll, describe, expect, test } from 'vitest';
import { rowsOf, SORTS, type Selection } from './rows.js';
import { busy, control, later, NOON, related } from './samples.js';
import { sessionsOf, type Session, type Snapshot } from './sessions.js';

const all: Selection = { sort: 'rate', reverse: false, filter: '', isFolded: () => false };
let snapshot: Snapshot;
let sessions: Session[];

beforeAll(async () => {
  snapshot = await busy();
  sessions = sessionsOf(later(snapshot), snapshot);
});

const ids = (selection: Partial<Selection> = {}): string[] =>
  rowsOf(sessions, { ...all, ...selection }).map(({ kind, item }) =>
    kind === 'control' ? item.master : `${kind.charAt(0)}${item.subject.id}`,
  );
const masters = (selection: Partial<Selection>): string[] => ids({ ...selection, isFolded: () => true });

describe('sessions', () => {
  test('have their expectations and related flows, those of a control connection that is not listed too', () => {
    expect(ids()).toEqual(['1', 'e2', 'r3', 'r4', '5', '6', 'e7', '8', 'r9']);
    expect(sessions.find(({ master }) => master === '8')).toMatchObject({ subject: null, assignment: 'ftp-2121' });
  });

  test('sum up, and have a rate between two snapshots alone', () => {
    const [first] = sessions;
    expect(first).toMatchObject({ bytes: 26_321_816, rate: 1_048_576, ageSeconds: 191, idleSeconds: 0.4 });
    expect(sessionsOf(snapshot, null)[0]).toMatchObject({ bytes: 25_273_240, rate: null });
  });

  test('of a flow that is new since count from zero; counters that fell are no traffic', () => {
    const before = { ...snapshot, flows: [control('1', { bytes: { original: 5000, reply: 0 } })] };
    const created = new Date(NOON + 100).toISOString();
    const flows = [
      control('1'),
      related('3', '1', { created, bytes: { original: 0, reply: 4000 } }),
      related('4', '1'),
    ];
    const [session] = sessionsOf({ ...snapshot, time: NOON + 2000, flows, expectations: [] }, before);
    expect(session?.rate).toBe(2000);
    expect(session?.related.map(({ rate }) => rate)).toEqual([2000, null]);
  });
});

describe('rows', () => {
  test('are sorted by sessions, and within them; what is not known is last', () => {
    expect(
      SORTS.map((sort) => [sort, masters({ sort }).join(' '), masters({ sort, reverse: true }).join(' ')]),
    ).toEqual([
      ['rate', '1 5 6 8', '5 6 8 1'],
      ['bytes', '1 8 5 6', '5 6 8 1'],
      ['age', '6 1 5 8', '1 5 8 6'],
      ['idle', '1 6 8 5', '5 1 6 8'],
      ['assignment', '6 1 5 8', '1 5 8 6'],
    ]);
    expect(ids({ sort: 'bytes', reverse: true }).slice(-4)).toEqual(['1', 'e2', 'r4', 'r3']);
  });

  test('are filtered by any text of theirs; with a control connection come all of its own', () => {
    expect(ids({ filter: 'CHAT' })).toEqual(['6', 'e7']);
    expect(ids({ filter: 'big.iso' })).toEqual(['1', 'e2', 'r3', 'r4']);
    expect(ids({ filter: ':40093' })).toEqual(['1', 'e2', '6', 'e7']);
    expect(ids({ filter: 'encrypted' })).toEqual(['5']);
    expect(ids({ filter: 'closed' })).toEqual(['1', 'r4']);
    expect(ids({ filter: 'x1b' })).toEqual(['6', 'e7']);
    expect(ids({ filter: 'nobody' })).toEqual([]);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { HOME, type Place } from './place.js';
import { rowsOf } from './rows.js';
import { Sessions } from './sessions.js';
import { BEGIN, control, dialogue, expected, related, timeAt } from './testing.js';

const sessions = new Sessions();
for (const event of dialogue()) sessions.happened(event, BEGIN);
sessions.list(
  [
    control('10', { created: timeAt(10), detail: { user: 'bob' }, bytes: { original: 0, reply: 50 } }),
    control('11', { created: timeAt(11), assignment: 'ftp-2121', trust: 'encrypted' }),
    related('12', '11'),
    control('13', { created: timeAt(9), source: { address: '10.0.1.10', port: 1 } }),
  ],
  [expected('14', '11')],
  BEGIN,
  BEGIN,
);

const keys = (change: Partial<Place>, toggled: string[] = []): string[] =>
  rowsOf(sessions.all, { ...HOME, ...change }, new Set(toggled)).map(({ key }) => key);

describe('rows', () => {
  test('are sessions, the youngest first, with what belongs to them below', () => {
    expect(keys({})).toEqual(['11', 'flow-12', 'expectation-14', '10', '13']);
    expect(keys({}, ['11'])).toEqual(['11', '10', '13']);
    expect(keys({ tree: false })).toEqual(['11', '10', '13']);
    expect(keys({ tree: false }, ['11'])).toEqual(['11', 'flow-12', 'expectation-14', '10', '13']);
  });

  test('are those that were asked for', () => {
    expect(keys({ shown: 'all', tree: false })).toEqual(['11', '10', '13', '1']);
    expect(keys({ shown: 'trouble', tree: false })).toEqual(['11', '1']);
    expect(keys({ assignment: 'ftp-2121', tree: false })).toEqual(['11']);
    expect(keys({ query: 'BOB', tree: false })).toEqual(['10']);
    expect(keys({ query: 'alice big.iso', tree: false })).toEqual(['11']);
    expect(keys({ query: '10.0.1.10:1', tree: false })).toEqual(['13']);
    expect(keys({ query: 'nobody', tree: false })).toEqual([]);
  });

  test('stand in the order that was asked for', () => {
    expect(keys({ sort: 'bytes', tree: false })).toEqual(['11', '13', '10']);
    expect(keys({ sort: 'bytes', descending: false, tree: false })).toEqual(['10', '13', '11']);
    expect(keys({ sort: 'source', descending: false, tree: false })).toEqual(['10', '11', '13']);
    expect(keys({ sort: 'assignment', tree: false })).toEqual(['11', '10', '13']);
  });
});

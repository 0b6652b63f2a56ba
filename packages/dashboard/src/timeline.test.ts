// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { Sessions } from './sessions.js';
import { BEGIN, control, dialogue, expected, related } from './testing.js';
import { timelineOf } from './timeline.js';

describe('a timeline', () => {
  test('tells a session from its events', () => {
    const sessions = new Sessions();
    for (const event of dialogue()) sessions.happened(event, BEGIN);
    const { moments, lanes } = timelineOf(sessions.get('1')!);
    expect(moments.map(({ at, tone, text }) => [(at - BEGIN) / 1000, tone, text])).toEqual([
      [0, 'begin', '10.0.1.2:20001 → 10.0.2.2:21'],
      [1, 'expect', '10.0.1.2:* → 10.0.2.2:40000'],
      [2, 'match', '10.0.1.2:30000 → 10.0.2.2:40000'],
      [3, 'refuse', '10.0.1.2:* → 10.0.2.2:80'],
      [4, 'end', '4.0 MiB in 2.0s, 2.0 MiB/s'],
      [5, 'end', '300 B in 5.0s'],
    ]);
    expect(moments[3]).toMatchObject({
      title: 'Announced: refused, 2 times',
      note: expect.stringContaining('data.ports') as string,
    });
    const seconds = (at: number | null) => (at === null ? null : (at - BEGIN) / 1000);
    expect(lanes.map(({ kind, begin, end, announced }) => [kind, ...[begin, end, announced].map(seconds)])).toEqual([
      ['control', 0, 5, null],
      ['related', 2, 4, 1],
    ]);
  });

  test('tells what the tables say of what began before', () => {
    const sessions = new Sessions();
    sessions.list([control('1'), related('2', '1')], [expected('7', '1', 50_000)], BEGIN, BEGIN);
    const { moments, lanes } = timelineOf(sessions.get('1')!);
    expect(moments.map(({ tone }) => tone)).toEqual(['begin', 'expect', 'match']);
    expect(lanes.map(({ end }) => end)).toEqual([null, null]);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { REFUSED, SAMPLES_MAX, Series, TABLE } from './series.js';
import { counters, timeAt } from './testing.js';

describe('a series', () => {
  test('makes rates of what only grows', () => {
    const series = new Series();
    series.add(counters(), 100);
    series.add(counters({ expectationTotal: 50, relatedTotal: 30, refused: { nat: 8, address: 0 } }), 104);
    expect(series.columns(['expected', 'matched', `${REFUSED}nat`, 'control', `${TABLE}flows`])).toEqual([
      [100, 104],
      [null, 5],
      [null, 2.5],
      [null, 2],
      [3, 3],
      [25, 25],
    ]);
    expect([series.names(REFUSED), series.names(TABLE)]).toEqual([[`${REFUSED}nat`], [`${TABLE}flows`]]);
  });

  test('has a gap where the daemon began anew', () => {
    const series = new Series();
    series.add(counters({ expectationTotal: 5000 }), 100);
    series.add(counters({ expectationTotal: 1 }, timeAt(60)), 102);
    series.add(counters({ expectationTotal: 5 }, timeAt(60)), 104);
    expect(series.columns(['expected'])[1]).toEqual([null, null, 2]);
  });

  test('is bounded', () => {
    const series = new Series();
    for (let time = 0; time < SAMPLES_MAX + 10; time++) series.add(counters(), time);
    expect([series.samples.length, series.samples[0]?.time]).toEqual([SAMPLES_MAX, 10]);
  });
});

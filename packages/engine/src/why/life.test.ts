// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { Life } from './life.js';

describe('Life', () => {
  it('of the first daemon begins with its start', () => {
    const life = new Life(1000, null);
    expect(life.evidence(1500, true)).toEqual({ started: 1000, loaded: 1000, since: 1000, away: [], lost: [] });
    // The history has forgotten what came first.
    expect(life.evidence(1500, false).since).toBe(1500);
  });

  it('reaches back to the stop of the daemon before, because what happened meanwhile waited', () => {
    expect(new Life(1000, { stopped: 400, alive: 390 }).evidence(600, true)).toMatchObject({
      ...{ loaded: null, since: 400, away: [{ from: 400, to: 1000 }] },
    });
    expect(new Life(1000, { stopped: null, alive: 390 }).evidence(600, true)).toMatchObject({
      ...{ loaded: null, since: 600, away: [{ from: 390, to: 1000 }] },
    });
  });

  it('tells losses by the time in which they happened, and puts the oldest together', () => {
    const life = new Life(1000, { stopped: 400, alive: 390 });
    life.lost(3, 1100);
    life.lost(0, 1200);
    life.lost(2, 1300);
    expect(life.evidence(null, true).lost).toEqual([
      { from: 400, to: 1100, count: 3 },
      { from: 1200, to: 1300, count: 2 },
    ]);
    for (let time = 1400; time < 1400 + 100; time++) life.lost(1, time);
    const { lost } = life.evidence(null, true);
    expect(lost).toHaveLength(64);
    expect(lost[0]).toMatchObject({ from: 400 });
    expect(lost.reduce((sum, { count }) => sum + count, 0)).toBe(105);
  });
});

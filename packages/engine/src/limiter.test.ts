// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Limiter } from './limiter.js';

it('lets one through per interval and source, and the next stands for those between', () => {
  const limiter = new Limiter<string>(1000);
  expect(limiter.take('clash', 'a', '1', 1, 0)).toBe(1);
  expect(limiter.take('clash', 'a', '2', 1, 500)).toBe(0);
  expect(limiter.take('clash', 'b', '3', 1, 500)).toBe(1);
  expect(limiter.take('nat', 'a', '4', 1, 500)).toBe(1);
  expect(limiter.take('clash', 'a', '5', 4, 999)).toBe(0);
  expect(limiter.take('clash', 'a', '6', 1, 1000)).toBe(6);
});

it('gives the last one of those after whom none came', () => {
  const limiter = new Limiter<string>(1000);
  for (const item of ['1', '2', '3']) limiter.take('clash', 'a', item, 1, 0);
  expect(limiter.due(999)).toEqual([]);
  expect(limiter.due(1000)).toEqual([{ item: '3', count: 2 }]);
  expect(limiter.take('clash', 'a', '4', 1, 1500)).toBe(0);
  expect(limiter.due(2000)).toEqual([{ item: '4', count: 1 }]);
  expect(limiter.due(3000)).toEqual([]);
});

it('counts every occurrence exactly once, with any number of sources, and forgets them all in the end', () => {
  const step = fc.record({ source: fc.nat(20), occurrences: fc.integer({ min: 1, max: 5 }), wait: fc.nat(400) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const limiter = new Limiter<number>(1000, 4);
      let now = 0;
      let told = 0;
      let happened = 0;
      const tellDue = (): void => {
        for (const { count } of limiter.due(now)) told += count;
      };
      for (const { source, occurrences, wait } of steps) {
        now += wait;
        if (wait > 300) tellDue();
        happened += occurrences;
        told += limiter.take('kind', String(source), source, occurrences, now);
      }
      for (let rounds = 0; rounds < 3; rounds++) {
        now += 1000;
        tellDue();
      }
      expect(told).toBe(happened);
      // A source of before is new again: nothing is kept of it.
      expect(limiter.take('kind', '1', 1, 1, now)).toBe(1);
    }),
  );
});

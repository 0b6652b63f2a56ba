// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { Timeouts } from './timeouts.js';

it('gives what is due, the earliest first, as it was set last', () => {
  const timeouts = new Timeouts<string>();
  timeouts.set('a', 100, 0);
  timeouts.set('b', 10, 5);
  timeouts.set('c', 100, 6);
  timeouts.set('d', 10, 7);
  timeouts.set('a', 100, 8);
  timeouts.delete('d');
  expect(timeouts.take(14)).toBeNull();
  expect(timeouts.take(1000)).toEqual({ item: 'b', due: 15 });
  expect(timeouts.take(105)).toBeNull();
  timeouts.set('e', 1, 105);
  expect(timeouts.take(106)).toEqual({ item: 'c', due: 106 });
  expect(timeouts.take(106)).toEqual({ item: 'e', due: 106 });
  expect(timeouts.take(108)).toEqual({ item: 'a', due: 108 });
  expect(timeouts.take(Infinity)).toBeNull();
  expect(timeouts.size).toBe(0);
});

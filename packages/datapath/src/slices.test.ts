// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { inSlices } from './slices.js';

it('makes everything in order, and lets others run meanwhile', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const busy = (index: number): number => {
    const until = performance.now() + 0.2;
    while (performance.now() < until);
    return index;
  };
  try {
    const items = await inSlices(1000, busy);
    expect(items).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    expect(turns).toBeGreaterThan(1);
  } finally {
    clearInterval(timer);
  }
});

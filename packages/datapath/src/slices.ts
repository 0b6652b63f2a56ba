// SPDX-License-Identifier: Apache-2.0
import { setImmediate } from 'node:timers/promises';

/** How long a step may take, milliseconds: held packets wait meanwhile. */
const STEP_MS = 5;
/** How many items are made between two looks at the clock. */
const LOOK = 64;

/** Makes a long list in short steps, between which the event loop runs. */
export async function inSlices<Item>(count: number, make: (index: number) => Item): Promise<Item[]> {
  const items: Item[] = [];
  let begun = performance.now();
  for (let index = 0; index < count; index++) {
    if (index % LOOK === LOOK - 1 && performance.now() - begun > STEP_MS) {
      await setImmediate();
      begun = performance.now();
    }
    items.push(make(index));
  }
  return items;
}

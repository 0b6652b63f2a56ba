// SPDX-License-Identifier: Apache-2.0
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { Rig, Wires } from './rig.js';

/** A rig with fresh tables for every test of a file; the function gives the current test's. */
export function useRig(sizes: ConstructorParameters<typeof Rig>[1] = {}): () => Rig {
  let wires: Wires | undefined;
  let rig: Rig | undefined;
  beforeAll(async () => {
    wires = await Wires.create();
  });
  afterAll(async () => wires?.close());
  beforeEach(() => {
    if (wires !== undefined) rig = new Rig(wires, sizes);
  });
  afterEach(() => {
    rig?.close();
    rig = undefined;
  });
  return () => {
    if (rig === undefined) throw new Error('no rig outside a test');
    return rig;
  };
}

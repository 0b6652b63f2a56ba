// SPDX-License-Identifier: Apache-2.0
// @ts-check
// A thread that runs pinned programs on packets as fast as it can. Plain JavaScript and the bare addon: threads
// do not see what the test runner does to sources.
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

const { addon, pins, namespace, runs, rounds, seed, gate } = workerData;
const binding = createRequire(import.meta.url)(addon);
const inside = new binding.Namespace(namespace);
const programs = Object.fromEntries(
  ['relatd_main', 'relatd_request', 'relatd_sweep'].map((name) => [name, new binding.BpfProgram(`${pins}/${name}`)]),
);

let state = seed;
const random = () => (state = (state * 1103515245 + 12345) & 0x7fffffff) >>> 8;
/** @type {number[]} */
const marks = [];

Atomics.add(gate, 0, 1);
Atomics.wait(gate, 1, 0);
for (let round = 0; round < rounds; round++) {
  const at = rounds === runs.length ? round : random() % runs.length;
  const { program, data, ctx } = runs[at];
  const result = programs[program].testRun(data, ctx, 1, program === 'relatd_main' ? inside : null);
  if (rounds === runs.length) marks.push(new DataView(result.ctx.buffer, result.ctx.byteOffset).getUint32(8, true));
}
parentPort?.postMessage(marks);

// SPDX-License-Identifier: Apache-2.0
// The program in the kernel, the interpreter of the same tables and the parsers written by hand, on the same dialogues.
// RELATD_DIALOGUES=1000000 RELATD_SEED=7 makes a long run of it; RELATD_INDEX=12 gives one dialogue of a seed alone.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Wires, nothing, second } from '../datapath/rig.js';
import { readDialogue } from './dialogue.js';
import { generate } from './generate.js';
import { Kernel } from './kernel.js';
import { Tally } from './tally.js';
import { attempt, minimize, outcomeOf, report, unexplained } from './trial.js';

const dialogues = Number(process.env['RELATD_DIALOGUES'] ?? 4000);
const seed = Number(process.env['RELATD_SEED'] ?? 20261126);
const first = Number(process.env['RELATD_INDEX'] ?? 0);
/** So many differences are enough to look into. */
const ENOUGH = 10;

let wires: Wires;
let kernel: Kernel;
beforeAll(async () => {
  wires = await Wires.create();
  kernel = new Kernel(wires);
});
afterAll(async () => {
  kernel.close();
  await wires.close();
});

const directory = join(import.meta.dirname, 'corpus');
it.each(readdirSync(directory))('%s: no difference but those that are explained', (name) => {
  const text = readFileSync(join(directory, name), 'utf8');
  const dialogue = readDialogue(text);
  const trial = attempt(kernel, dialogue);
  expect(unexplained(trial), report(name, dialogue, trial)).toEqual([]);
  expect(outcomeOf(trial)).toBe(/^outcome (.*)$/m.exec(text)?.[1]);
});

it(
  `${String(dialogues)} dialogues of seed ${String(seed)} give the same three times`,
  () => {
    const tally = new Tally();
    const began = performance.now();
    const reports: string[] = [];
    for (let index = first; tally.dialogues < dialogues && reports.length < ENOUGH; index++) {
      const { kind, dialogue } = generate(seed, index);
      const trial = attempt(kernel, dialogue);
      tally.add(dialogue.setup.helper, kind, trial);
      const [difference] = unexplained(trial);
      if (difference === undefined) continue;
      const smallest = minimize(kernel, dialogue, difference);
      reports.push(report(`seed ${String(seed)}, dialogue ${String(index)}`, smallest, attempt(kernel, smallest)));
    }
    const seconds = (performance.now() - began) / 1000;
    console.log(`${tally.toString()}\n${String(kernel.packets)} packets, ${seconds.toFixed(1)} s`);
    expect(reports.join('\n')).toBe('');
  },
  Math.max(60_000, dialogues * 50),
);

it('leaves nothing behind', () => {
  kernel.rig.advance(11n * second);
  kernel.rig.sweep();
  kernel.rig.events();
  expect(kernel.rig.leaks()).toEqual(nothing);
});

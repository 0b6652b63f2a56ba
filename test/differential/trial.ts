// SPDX-License-Identifier: Apache-2.0
import { compareKernel, compareParser, type Difference } from './compare.js';
import { dialogueText, packet, type Dialogue, type Packet } from './dialogue.js';
import type { Kernel } from './kernel.js';
import { machineOf } from './machines.js';
import { Model } from './model.js';
import { explanationOf } from './explained.js';

/** What came of one dialogue. */
export interface Trial {
  readonly model: Model;
  readonly differences: readonly Difference[];
}

/** Gives a dialogue to all three. */
export function attempt(kernel: Kernel, dialogue: Dialogue): Trial {
  const model = new Model(machineOf(dialogue.setup.helper), dialogue.setup);
  model.run(dialogue);
  const run = kernel.run(dialogue, model.acks);
  const differences = [compareKernel(model, run), compareParser(dialogue.setup, model)].filter(
    (found) => found !== null,
  );
  return { model, differences };
}

/** Those that nothing explains. */
export function unexplained({ differences }: Trial): Difference[] {
  return differences.filter((difference) => explanationOf(difference) === null);
}

/** How a dialogue ended up, and everything about it that needs an explanation. */
export function outcomeOf({ model, differences }: Trial): string {
  const names = [...model.peculiarities, ...differences.map((one) => explanationOf(one)?.name ?? 'a difference')];
  return [model.outcome, ...names].join(', ');
}

/** The smallest dialogue found that still makes the same two part. */
export function minimize(kernel: Kernel, dialogue: Dialogue, { between }: Difference): Dialogue {
  let best = dialogue;
  const parts = (smaller: Dialogue): boolean =>
    unexplained(attempt(kernel, smaller)).some((found) => found.between === between);
  const take = (packets: readonly Packet[]): boolean => {
    const smaller = { ...best, packets };
    if (sizeOf(packets) >= sizeOf(best.packets) || !parts(smaller)) return false;
    best = smaller;
    return true;
  };
  for (let progress = true; progress;) {
    progress = false;
    for (let size = best.packets.length; size >= 1; size >>= 1)
      for (let at = 0; at < best.packets.length;)
        if (take(best.packets.toSpliced(at, size))) progress = true;
        else at += size;
    for (const from of [0, 1] as const) {
      const length = Math.max(0, ...best.packets.map((one) => (one.from === from ? one.at + one.bytes.length : 0)));
      for (let size = length; size >= 1; size >>= 1)
        for (let at = 0; at < length;)
          if (take(without(best.packets, from, at, at + size))) progress = true;
          else at += size;
    }
  }
  for (const simple of [
    { ...best, setup: { ...best.setup, isn: [1000, 5000] as const } },
    { ...best, setup: { ...best.setup, translated: false } },
    { ...best, packets: best.packets.map((one) => ({ ...one, wait: 0 })) },
  ])
    if (parts(simple)) best = { ...best, ...simple };
  return best;
}

const sizeOf = (packets: readonly Packet[]): number =>
  packets.reduce((size, { bytes, fin }) => size + 1 + bytes.length + (fin ? 1 : 0), 0);

/** Cuts bytes out of one side's stream, wherever they were sent. */
function without(packets: readonly Packet[], from: 0 | 1, start: number, end: number): Packet[] {
  return packets.flatMap((one) => {
    if (one.from !== from || one.at + one.bytes.length <= start) return [one];
    const left = one.bytes.subarray(0, Math.max(0, start - one.at));
    const right = one.bytes.subarray(Math.max(0, end - one.at));
    const bytes = Buffer.concat([left, right]);
    const at = one.at <= start ? one.at : Math.max(start, one.at - (end - start));
    return bytes.length === 0 && !one.fin ? [] : [packet(from, at, bytes, { ...one, at, bytes })];
  });
}

/** Everything that somebody needs who has to look into it. */
export function report(name: string, dialogue: Dialogue, trial: Trial): string {
  return [
    `--- ${name}`,
    dialogueText(dialogue),
    `outcome ${outcomeOf(trial)}`,
    ...trial.differences.flatMap((difference) => {
      const explanation = explanationOf(difference);
      return [
        `${difference.between}${explanation === null ? '' : ` (explained: ${explanation.name})`}`,
        ...difference.expected.map((line) => `  interpreter: ${line}`),
        ...difference.found.map((line) => `  ${difference.step === null ? 'kernel' : 'parser'}: ${line}`),
      ];
    }),
  ].join('\n');
}

// SPDX-License-Identifier: Apache-2.0
import { setImmediate as turn } from 'node:timers/promises';

/** One of the things that are compared, and how it is measured once. */
export interface Contender<Name extends string = string> {
  readonly name: Name;
  readonly measure: () => Promise<number> | number;
}

/**
 * Measures every contender once per round. The order is turned from round to round and reversed in every other one: who
 * comes first, and after whom, is shared out evenly. Results by name, in order of the rounds.
 */
export async function pairedRounds<Name extends string>(
  contenders: readonly Contender<Name>[],
  rounds: number,
): Promise<Record<Name, number[]>> {
  const results = Object.fromEntries(contenders.map(({ name }) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    // Test runs block: let signals through in between.
    await turn();
    for (const { name, measure } of turned(contenders, round)) results[name].push(await measure());
  }
  return results;
}

/** The list as it is gone through in a round. */
export function turned<T>(list: readonly T[], round: number): T[] {
  const start = Math.floor(round / 2) % Math.max(1, list.length);
  const order = [...list.slice(start), ...list.slice(0, start)];
  return round % 2 === 0 ? order : order.reverse();
}

// SPDX-License-Identifier: Apache-2.0
import { explanationOf } from './explained.js';
import type { Kind } from './generate.js';
import type { HelperName } from './machines.js';
import type { Trial } from './trial.js';

/** Counts over many dialogues of one helper and kind. */
interface Row {
  dialogues: number;
  judged: number;
  gaveUp: number;
  payloads: number;
  decided: number;
  expected: number;
}

/** What a run has seen. */
export class Tally {
  readonly #rows = new Map<string, Row>();
  readonly #explained = new Map<string, number>();
  dialogues = 0;

  add(helper: HelperName, kind: Kind, { model, differences }: Trial): void {
    this.dialogues++;
    const name = `${helper} ${kind}`;
    const row = this.#rows.get(name) ?? { dialogues: 0, judged: 0, gaveUp: 0, payloads: 0, decided: 0, expected: 0 };
    this.#rows.set(name, row);
    row.dialogues++;
    if (model.outcome === 'judged') row.judged++;
    else if (model.outcome !== 'decided') row.gaveUp++;
    row.payloads += model.payloads;
    row.decided += model.decided;
    for (const line of model.log) if (line.startsWith('new ')) row.expected++;
    for (const difference of differences) this.#explain(explanationOf(difference)?.name);
    for (const name of model.peculiarities) this.#explain(name);
  }

  #explain(name: string | undefined): void {
    if (name !== undefined) this.#explained.set(name, (this.#explained.get(name) ?? 0) + 1);
  }

  toString(): string {
    const share = (part: number, whole: number): string => `${((100 * part) / Math.max(whole, 1)).toFixed(2)} %`;
    const rows = [...this.#rows].sort(([one], [other]) => one.localeCompare(other));
    return [
      `${String(this.dialogues)} dialogues`,
      ...rows.map(
        ([name, row]) =>
          `${name}: ${String(row.dialogues)} dialogues, ${share(row.judged, row.dialogues)} left to user space, ${share(row.gaveUp, row.dialogues)} given up; ${String(row.payloads)} packets with news, ${share(row.decided, row.payloads)} decided; ${String(row.expected)} expectations`,
      ),
      ...[...this.#explained].map(([name, count]) => `explained, ${name}: ${String(count)}`),
    ].join('\n');
  }
}

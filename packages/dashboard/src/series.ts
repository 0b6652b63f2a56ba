// SPDX-License-Identifier: Apache-2.0
import type { Counters } from '@relatd/model';

/** Numbers of one moment. Rates are per second since the moment before. */
export interface Sample {
  /** Unix time in seconds. */
  readonly time: number;
  readonly values: Readonly<Record<string, number>>;
}

/** Moments that are kept: half an hour, at one in two seconds. */
export const SAMPLES_MAX = 900;

/** Refusals are named by reason, tables by name. */
export const REFUSED = 'refused ';
export const TABLE = 'table ';

/** The daemon's counters over time, since this page was opened. */
export class Series {
  #last: { readonly time: number; readonly counters: Counters } | null = null;
  readonly samples: Sample[] = [];

  /** `time`: Unix time in seconds. */
  add(counters: Counters, time: number): void {
    const last = this.#last;
    this.#last = { time, counters };
    const values: Record<string, number> = now(counters);
    // A daemon that has started anew counts from zero.
    if (last !== null && last.counters.started === counters.started && time > last.time) {
      const before = totals(last.counters);
      for (const [name, total] of Object.entries(totals(counters))) {
        values[name] = Math.max(0, total - (before[name] ?? 0)) / (time - last.time);
      }
    }
    this.samples.push({ time, values });
    if (this.samples.length > SAMPLES_MAX) this.samples.splice(0, this.samples.length - SAMPLES_MAX);
  }

  /** Times and the values of `names`, as uPlot takes them; null where nothing is known. */
  columns(names: readonly string[]): [number[], ...(number | null)[][]] {
    const column = (name: string) => this.samples.map(({ values }) => values[name] ?? null);
    return [this.samples.map(({ time }) => time), ...names.map(column)];
  }

  /** Names of values that begin so, in order; of reasons only those that ever were more than zero. */
  names(prefix: string): string[] {
    const names = new Set<string>();
    for (const { values } of this.samples)
      for (const [name, value] of Object.entries(values))
        if (name.startsWith(prefix) && (value > 0 || prefix !== REFUSED)) names.add(name);
    return [...names].sort();
  }
}

function sum(counters: Counters, value: (assignment: Counters['assignments'][number]) => number): number {
  return counters.assignments.reduce((total, assignment) => total + value(assignment), 0);
}

function now(counters: Counters): Record<string, number> {
  const values: Record<string, number> = {
    control: sum(counters, ({ flows }) => flows.control),
    related: sum(counters, ({ flows }) => flows.related),
    expectations: sum(counters, ({ expectations }) => expectations),
  };
  for (const { name, used, size } of counters.tables) values[`${TABLE}${name}`] = size === 0 ? 0 : (100 * used) / size;
  return values;
}

function totals(counters: Counters): Record<string, number> {
  const values: Record<string, number> = {
    expected: sum(counters, ({ expectationTotal }) => expectationTotal),
    matched: sum(counters, ({ relatedTotal }) => relatedTotal),
    connected: sum(counters, ({ controlTotal }) => controlTotal),
    'lost events': counters.losses.events,
    'lost samples': counters.losses.samples,
    held: counters.hold.held,
    released: counters.hold.released,
    unattended: counters.hold.unattended,
  };
  for (const { refused } of counters.assignments) {
    for (const [reason, count] of Object.entries(refused)) {
      const name = `${REFUSED}${reason}`;
      values[name] = (values[name] ?? 0) + count;
    }
  }
  return values;
}

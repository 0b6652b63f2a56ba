// SPDX-License-Identifier: Apache-2.0

/** Median and quartiles of a series. */
export interface Spread {
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
  /** How many values there were. */
  readonly count: number;
}

/** The value below which the part `at` (0 to 1) of the values lies, interpolated. NaN of nothing. */
export function quantile(values: readonly number[], at: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * at;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

export function spread(values: readonly number[]): Spread {
  return {
    median: quantile(values, 0.5),
    lower: quantile(values, 0.25),
    upper: quantile(values, 0.75),
    count: values.length,
  };
}

/**
 * Round by round, so that what disturbs a whole round disturbs both sides. Rounds that one side does not have are left
 * out.
 */
function pair(one: readonly number[], other: readonly number[], join: (a: number, b: number) => number): Spread {
  const joined = one.slice(0, other.length).map((value, round) => join(value, other[round] ?? Number.NaN));
  return spread(joined);
}

/** How much more `one` is than `other`. */
export const pairedDifference = (one: readonly number[], other: readonly number[]): Spread =>
  pair(one, other, (a, b) => a - b);

/** How many times `other` `one` is. */
export const pairedRatio = (one: readonly number[], other: readonly number[]): Spread =>
  pair(one, other, (a, b) => a / b);

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

/** How much more `one` is than `other`, round by round. */
export const differences = (one: readonly number[], other: readonly number[]): number[] =>
  one.slice(0, other.length).map((value, round) => value - (other[round] ?? Number.NaN));

/** How many times the median of `other` the median of `one` is, with the quartiles of the quotients by round. */
export function ratioOfMedians(one: readonly number[], other: readonly number[]): Spread {
  return { ...pairedRatio(one, other), median: quantile(one, 0.5) / quantile(other, 0.5) };
}

/** Standard normal quantile of 97.5 %. */
const Z = 1.96;

/** The 95 % interval of the median, by the ranks between which it lies. Of few values: the least and the greatest. */
export function medianInterval(values: readonly number[]): { readonly lower: number; readonly upper: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const half = (Z * Math.sqrt(sorted.length)) / 2;
  const below = Math.max(0, Math.floor(sorted.length / 2 - half));
  const above = Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + half));
  return { lower: sorted[below] ?? Number.NaN, upper: sorted[above] ?? Number.NaN };
}

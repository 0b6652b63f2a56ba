// SPDX-License-Identifier: Apache-2.0

/**
 * What is known of a value that a rule puts into the mark, bit by bit: the bits in `same` are as the mark has them
 * before, in `flipped` the opposite, in `zero` and `one` always that. Of a bit that is in none nothing is known.
 */
export interface MarkValue {
  readonly same: number;
  readonly flipped: number;
  readonly zero: number;
  readonly one: number;
}

/** All bits of a mark. */
export const ALL = 0xffffffff;

/** The mark as it is before the rule. */
export const MARK: MarkValue = { same: ALL, flipped: 0, zero: 0, one: 0 };

/** Any value, such as that of another field. */
export const UNKNOWN: MarkValue = { same: 0, flipped: 0, zero: 0, one: 0 };

/** A number of 32 bits. */
export function constant(value: number): MarkValue {
  return { same: 0, flipped: 0, zero: ~value >>> 0, one: value >>> 0 };
}

/** Any number from 0 to `largest`, and those that need no more bits. */
export function upTo(largest: number): MarkValue {
  const used = Math.clz32(largest) === 0 ? ALL : 2 ** (32 - Math.clz32(largest)) - 1;
  return { ...UNKNOWN, zero: ~used >>> 0 };
}

export function and(a: MarkValue, b: MarkValue): MarkValue {
  return {
    same: ((a.same & b.one) | (a.one & b.same) | (a.same & b.same)) >>> 0,
    flipped: ((a.flipped & b.one) | (a.one & b.flipped) | (a.flipped & b.flipped)) >>> 0,
    zero: (a.zero | b.zero | (a.same & b.flipped) | (a.flipped & b.same)) >>> 0,
    one: (a.one & b.one) >>> 0,
  };
}

export function not({ same, flipped, zero, one }: MarkValue): MarkValue {
  return { same: flipped, flipped: same, zero: one, one: zero };
}

export function or(a: MarkValue, b: MarkValue): MarkValue {
  return not(and(not(a), not(b)));
}

export function xor(a: MarkValue, b: MarkValue): MarkValue {
  return or(and(a, not(b)), and(not(a), b));
}

/** Shifted by `count` bits, to the left if it is positive, to the right if it is negative. */
export function shift(value: MarkValue, count: number): MarkValue {
  const by = (bits: number): number => {
    if (Math.abs(count) > 31) return 0;
    return count < 0 ? bits >>> -count : (bits << count) >>> 0;
  };
  // A bit of the mark at another place is not the one that was there.
  return { same: 0, flipped: 0, zero: (by(value.zero) | ~by(ALL)) >>> 0, one: by(value.one) };
}

/** One of several values, which of them is not known; of no value at all, nothing is known. */
export function oneOf(values: readonly MarkValue[]): MarkValue {
  const [first = UNKNOWN, ...rest] = values;
  return rest.reduce(
    (a, b) => ({
      same: (a.same & b.same) >>> 0,
      flipped: (a.flipped & b.flipped) >>> 0,
      zero: (a.zero & b.zero) >>> 0,
      one: (a.one & b.one) >>> 0,
    }),
    first,
  );
}

/** What two things that are both true say. */
export function both(a: MarkValue, b: MarkValue): MarkValue {
  return {
    same: (a.same | b.same) >>> 0,
    flipped: (a.flipped | b.flipped) >>> 0,
    zero: (a.zero | b.zero) >>> 0,
    one: (a.one | b.one) >>> 0,
  };
}

/** What is known of the mark where `mark & mask` equals `value`. */
export function matched(value: MarkValue, mask: number): MarkValue {
  return { ...UNKNOWN, zero: (value.zero & mask) >>> 0, one: (value.one & mask) >>> 0 };
}

/** Bits of `mask` that may have changed, once the mark has become `value`. `before`: what its bits are known to be. */
export function changedBits(value: MarkValue, before: MarkValue, mask: number): number {
  const kept = value.same | (value.zero & before.zero) | (value.one & before.one);
  return (mask & ~kept) >>> 0;
}

/** What makes of a mark the value that is meant: `mark & and ^ xor | or`. */
export interface Masked {
  readonly and: number;
  readonly xor: number;
  readonly or: number;
}

/** The same as `value` outside of `mask`, and without effect inside; null where `value` is not known well enough. */
export function masked(value: MarkValue, mask: number): Masked | null {
  const { same, flipped, zero, one } = value;
  if (~(same | flipped | zero | one | mask) !== 0) return null;
  const kept = same | flipped | mask;
  // A bit that is set anyway need not be cleared before, if that leaves nothing to clear.
  return { and: ~(kept | one) === 0 ? ALL : kept >>> 0, xor: (flipped & ~mask) >>> 0, or: (one & ~mask) >>> 0 };
}

/** Whether nothing is left to do. */
export function isNothing({ and, xor, or }: Masked): boolean {
  return and === ALL && xor === 0 && or === 0;
}

// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MARK, UNKNOWN, and, changedBits, constant, masked, not, oneOf, or, shift, upTo, xor } from './markValue.js';
import type { MarkValue } from './markValue.js';

/** An expression over the mark and one unknown field: what is known of it, and what it gives. */
interface Expression {
  readonly known: MarkValue;
  readonly run: (mark: number, field: number) => number;
}

const word = fc.nat({ max: 0xffffffff });

const expression = fc.letrec<{ expression: Expression }>((tie) => {
  const pair = fc.tuple(tie('expression'), tie('expression'));
  return {
    expression: fc.oneof(
      { maxDepth: 4 },
      fc.constant<Expression>({ known: MARK, run: (mark) => mark }),
      fc.constant<Expression>({ known: UNKNOWN, run: (_mark, field) => field }),
      word.map((value): Expression => ({ known: constant(value), run: () => value })),
      word.map((value): Expression => ({ known: upTo(value), run: (_mark, field) => Math.min(field, value) })),
      pair.map(([a, b]): Expression => ({
        known: and(a.known, b.known),
        run: (...at) => (a.run(...at) & b.run(...at)) >>> 0,
      })),
      pair.map(([a, b]): Expression => ({
        known: or(a.known, b.known),
        run: (...at) => (a.run(...at) | b.run(...at)) >>> 0,
      })),
      pair.map(([a, b]): Expression => ({
        known: xor(a.known, b.known),
        run: (...at) => (a.run(...at) ^ b.run(...at)) >>> 0,
      })),
      pair.map(([a, b]): Expression => ({
        known: oneOf([a.known, b.known]),
        run: (mark, field) => (field % 2 === 0 ? a : b).run(mark, field),
      })),
      tie('expression').map(({ known, run }): Expression => ({ known: not(known), run: (...at) => ~run(...at) >>> 0 })),
      fc.tuple(tie('expression'), fc.integer({ min: -33, max: 33 })).map(([a, count]): Expression => ({
        known: shift(a.known, count),
        run: (...at) =>
          Number(
            count < 0
              ? BigInt(a.run(...at)) >> BigInt(-count)
              : BigInt.asUintN(32, BigInt(a.run(...at)) << BigInt(count)),
          ),
      })),
    ),
  };
}).expression;

describe('what is known of a value', () => {
  it('is true of every value: bits that are not said to change do not, and the masked form keeps the rest', () => {
    fc.assert(
      fc.property(expression, word, word, word, ({ known, run }, mark, field, mask) => {
        const after = run(mark, field);
        expect(((after ^ mark) & mask & ~changedBits(known, UNKNOWN, mask)) >>> 0).toBe(0);
        const form = masked(known, mask);
        if (form === null) return;
        const kept = ((mark & form.and) ^ form.xor) | form.or;
        expect(((kept ^ mark) & mask) >>> 0).toBe(0);
        expect(((kept ^ after) & ~mask) >>> 0).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('is all there is to know of masks with constants', () => {
    expect(changedBits(or(and(MARK, constant(0xff000000)), constant(1)), UNKNOWN, 0xff000000)).toBe(0);
    expect(changedBits(xor(MARK, constant(0x01000001)), UNKNOWN, 0xff000000)).toBe(0x01000000);
    expect(changedBits(upTo(0x00ffffff), constant(7), 0xff000000)).toBe(0);
    expect(changedBits(upTo(0x01000000), constant(7), 0xff000000)).toBe(0x01000000);
    expect(changedBits(shift(upTo(0xff), 16), constant(0), 0xff000000)).toBe(0);
    expect(changedBits(oneOf([constant(1), constant(2)]), UNKNOWN, 0xff000000)).toBe(0xff000000);
    expect(changedBits(xor(MARK, MARK), constant(0), 0xffffffff)).toBe(0);
  });
});

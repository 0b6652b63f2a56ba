// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AnnouncedBytes } from './announcedBytes.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const LINE = 'PORT 10,0,1,2,200,10\r\n';
const DIALOGUE = `USER a\r\n${LINE}LIST\r\n`;

/** Reads the dialogue in pieces from `isn` on; the announcement is found where its line ends. */
function heard(isn: number, cuts: readonly number[]): AnnouncedBytes {
  const announced = new AnnouncedBytes();
  const places = [0, ...new Set(cuts), DIALOGUE.length].sort((a, b) => a - b);
  const start = DIALOGUE.indexOf(LINE);
  const end = start + LINE.length;
  for (const [index, from] of places.entries()) {
    const to = places[index + 1] ?? from;
    if (to === from) continue;
    announced.begin(bytes(DIALOGUE.slice(from, to)), (isn + from) >>> 0);
    if (from < end && to >= end) announced.announce((isn + start) >>> 0, (isn + end) >>> 0);
    announced.finish();
  }
  return announced;
}

it('a retransmission contradicts exactly when it changes a byte of the announcement, wherever segments were cut', () => {
  const place = fc.integer({ min: 0, max: DIALOGUE.length });
  fc.assert(
    fc.property(
      fc.oneof(fc.nat(0xffffffff), fc.constant(0xfffffff8)),
      fc.array(place, { maxLength: 8 }),
      place,
      place,
      fc.option(fc.nat(DIALOGUE.length - 1)),
      (isn, cuts, one, other, changed) => {
        const announced = heard(isn, cuts);
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        const again = bytes(DIALOGUE)
          .map((byte, index) => (index === changed ? byte ^ 1 : byte))
          .subarray(from, to);
        const start = DIALOGUE.indexOf(LINE);
        const hit =
          changed !== null && changed >= from && changed < to && changed >= start && changed < start + LINE.length;
        expect(announced.contradicts((isn + from) >>> 0, again, again.length)).toBe(hit);
      },
    ),
  );
});

it('only the bytes that were read before count', () => {
  const announced = heard(100, []);
  const start = 100 + DIALOGUE.indexOf(LINE);
  expect(announced.contradicts(start, bytes('PORX'), 3)).toBe(false);
  expect(announced.contradicts(start, bytes('PORX'), 4)).toBe(true);
});

it('is remembered over a hole in the stream', () => {
  const announced = heard(100, []);
  announced.interrupt();
  announced.begin(bytes('NOOP\r\n'), 5000);
  announced.finish();
  expect(announced.contradicts(100 + DIALOGUE.indexOf(LINE), bytes('EPRT'), 4)).toBe(true);
});

it('does not grow with a line that never ends', () => {
  const announced = new AnnouncedBytes();
  for (let index = 0; index < 100; index++) {
    announced.begin(bytes('x'.repeat(1000)), index * 1000);
    announced.finish();
  }
  announced.begin(bytes('y\n'), 100_000);
  announced.announce(0, 100_002);
  announced.finish();
  expect(announced.contradicts(0, bytes('z'.repeat(95_000)), 95_000)).toBe(false);
  expect(announced.contradicts(99_999, bytes('z'), 1)).toBe(true);
});

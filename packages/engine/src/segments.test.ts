// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Budget, SegmentQueue, sequenceDistance, type Segment, type SegmentSink } from './segments.js';

/** A queue whose stream is `text` from `isn` on, and everything that it does, in order. */
class Trace implements SegmentSink<string> {
  readonly queue: SegmentQueue<string>;
  readonly log: string[] = [];
  text = '';

  constructor(isn: number, budget?: Budget) {
    this.queue = new SegmentQueue(isn, this, budget);
  }

  push(seq: number, text: string, name = text): void {
    this.queue.push({ seq: seq >>> 0, payload: Buffer.from(text, 'latin1'), carrier: name });
  }

  read(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString('latin1');
    this.text += text;
    this.log.push(`read ${text}`);
  }

  again(segment: Segment<string>, old: number): void {
    this.log.push(`again ${segment.carrier} ${String(old)}`);
  }

  release(segment: Segment<string>): void {
    this.log.push(`release ${segment.carrier}`);
  }

  keep(segment: Segment<string>): Segment<string> {
    return { ...segment, payload: segment.payload.slice() };
  }
}

describe('a stream', () => {
  it('in order is read and released segment by segment', () => {
    const trace = new Trace(100);
    trace.push(100, 'ab');
    trace.push(102, 'cd');
    expect(trace.log).toEqual(['read ab', 'release ab', 'read cd', 'release cd']);
  });

  it('with a gap waits, and releases nothing before what precedes it was read', () => {
    const trace = new Trace(100);
    trace.push(104, 'ef');
    trace.push(102, 'cd');
    expect(trace.log).toEqual([]);
    expect(trace.queue.gapEnd).toBe(102);
    trace.push(100, 'ab');
    expect(trace.log).toEqual(['read ab', 'release ab', 'read cd', 'release cd', 'read ef', 'release ef']);
  });

  it('with a partial overlap reads the new bytes only, and says which were old', () => {
    const trace = new Trace(100);
    trace.push(100, 'abcd');
    trace.push(102, 'cdef');
    trace.push(100, 'ab');
    expect(trace.log).toEqual([
      'read abcd',
      'release abcd',
      'again cdef 2',
      'read ef',
      'release cdef',
      'again ab 2',
      'release ab',
    ]);
  });

  it('releases what carries no payload in its place: a FIN, and an RST at the same number', () => {
    const trace = new Trace(100);
    trace.push(102, '', 'FIN');
    trace.push(102, '', 'RST');
    expect(trace.log).toEqual([]);
    trace.push(100, 'ab');
    expect(trace.log).toEqual(['read ab', 'release ab', 'release FIN', 'release RST']);
  });

  it('skipped goes on behind the hole', () => {
    const trace = new Trace(100);
    trace.push(110, 'kl');
    trace.queue.skip(110);
    trace.queue.skip(105);
    expect(trace.log).toEqual(['read kl', 'release kl']);
    expect(trace.queue.next).toBe(112);
  });

  it('flushed releases in stream order, unread', () => {
    const trace = new Trace(0xfffffffe);
    trace.push(6, 'c');
    trace.push(0xffffffff, 'a');
    trace.push(2, 'b');
    trace.queue.flush();
    expect(trace.log).toEqual(['release a', 'release b', 'release c']);
    expect(trace.queue.waiting).toBe(0);
  });
});

/** Bytes that tell their place in the stream, so that a misplaced one is seen. */
const stream = (length: number): string =>
  String.fromCharCode(...Array.from({ length }, (_, index) => (index * 131 + (index >> 8)) & 0xff));

interface Piece {
  from: number;
  length: number;
}

const LENGTH = 300;
const script = fc.record({
  isn: fc.oneof(fc.nat(0xffffffff), fc.integer({ min: 0xffffffff - LENGTH, max: 0xffffffff }), fc.constant(0x7fffffff)),
  pieces: fc.array(fc.record({ from: fc.nat(LENGTH - 1), length: fc.integer({ min: 0, max: 60 }) }), { maxLength: 60 }),
});

describe('any segmentation, duplication, overlap and reordering', () => {
  it('gives exactly the bytes of the stream, in order, and releases nothing too early', () => {
    fc.assert(
      fc.property(script, fc.integer({ min: 1, max: 40 }), ({ isn, pieces }, step) => {
        const whole = stream(LENGTH);
        const trace = new Trace(isn);
        let readTo = 0;
        const give = ({ from, length }: Piece): void => {
          const text = whole.slice(from, from + length);
          const already = trace.log.length;
          trace.push(isn + from, text, String(from + text.length));
          for (const line of trace.log.slice(already)) {
            if (line.startsWith('read ')) readTo += line.length - 'read '.length;
            if (line.startsWith('release '))
              expect(readTo).toBeGreaterThanOrEqual(Number(line.slice('release '.length)));
          }
        };
        for (const piece of pieces) give(piece);
        expect(whole.startsWith(trace.text)).toBe(true);
        // Whatever was thrown away for want of room is sent again.
        for (let from = 0; from < LENGTH; from += step) give({ from, length: step });
        expect(trace.text).toBe(whole);
        expect(trace.queue.next).toBe((isn + LENGTH) >>> 0);
        expect(trace.queue.waiting).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps no more than it may, and gives all of it back', () => {
    fc.assert(
      fc.property(script, fc.integer({ min: 0, max: 200 }), ({ isn, pieces }, bytes) => {
        const budget = new Budget(bytes);
        const trace = new Trace(isn, budget);
        for (const { from, length } of pieces) {
          trace.push(isn + 1 + from, stream(LENGTH).slice(from, from + length));
          expect(budget.left).toBeGreaterThanOrEqual(0);
          expect(trace.queue.waiting).toBeLessThanOrEqual(64);
        }
        trace.queue.forget();
        expect(budget.left).toBe(bytes);
        expect(trace.log).toEqual([]);
      }),
    );
  });
});

it('one direction does not keep more than 64 KiB, and goes on nevertheless', () => {
  const trace = new Trace(0);
  const big = 'x'.repeat(10_000);
  for (let index = 1; index < 20; index++) trace.push(index * 10_000, big);
  expect(trace.queue.waiting).toBe(6);
  trace.push(0, big);
  expect(trace.queue.next).toBe(70_000);
});

it.each([
  [5, 3, 2],
  [3, 5, -2],
  [1, 0xffffffff, 2],
  [0xffffffff, 1, -2],
  [0x80000000, 1, 0x7fffffff],
])('the distance to %d from %d is %d', (a, b, distance) => {
  expect(sequenceDistance(a, b)).toBe(distance);
});

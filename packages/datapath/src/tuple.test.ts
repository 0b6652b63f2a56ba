// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TUPLE_SIZE, readTuple } from './generated/layout.js';
import { reverseTuple, sortTuple, tupleBytes, tupleId, tupleOf } from './tuple.js';

/** Few values each: equal and nearly equal endpoints must be common. */
const address = fc.uint8Array({ minLength: 16, maxLength: 16, max: 2 });
const port = fc.oneof(fc.constantFrom(21, 0x1500, 0x0115, 0x1501), fc.nat(0xffff));
const tuple = fc
  .record({ source: address, destination: address, sourcePort: port, destinationPort: port })
  .map((parts) => tupleOf({ ...parts, protocol: 6, family: 6, zone: 7 }));

const half = (bytes: Uint8Array, index: number): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(index * 8, true);
const bigEndianPort = (value: number): number => ((value & 0xff) << 8) | (value >> 8);

describe('sortTuple', () => {
  it('gives both directions one key, and tells them apart', () => {
    fc.assert(
      fc.property(tuple, (one) => {
        const there = sortTuple(one);
        const back = sortTuple(reverseTuple(one));
        expect(back.key).toEqual(there.key);
        if (tupleId(one) !== tupleId(reverseTuple(one))) expect(back.swapped).toBe(!there.swapped);
        expect(there.swapped ? reverseTuple(there.key) : there.key).toEqual(one);
      }),
    );
  });

  it('compares as tuple_key in bpf/lib/tuple.h: two 64-bit words, then the ports, as the machine reads them', () => {
    fc.assert(
      fc.property(tuple, (one) => {
        const [s0, d0, s1, d1] = [
          half(one.source, 0),
          half(one.destination, 0),
          half(one.source, 1),
          half(one.destination, 1),
        ];
        const ports = bigEndianPort(one.sourcePort) > bigEndianPort(one.destinationPort);
        const swapped = s0 > d0 || (s0 === d0 && (s1 > d1 || (s1 === d1 && ports)));
        expect(sortTuple(one).swapped).toBe(swapped);
      }),
    );
  });

  it('sorting again changes nothing', () => {
    fc.assert(
      fc.property(tuple, (one) => {
        const { key } = sortTuple(one);
        expect(sortTuple(key)).toEqual({ key, swapped: false });
      }),
    );
  });
});

it('a tuple survives its 40 bytes; ports stand in network order', () => {
  const one = tupleOf({ sourcePort: 0x1234, destinationPort: 21, protocol: 6, family: 4, zone: 0x0102 });
  const bytes = tupleBytes(one);
  expect(bytes).toHaveLength(TUPLE_SIZE);
  expect([...bytes.subarray(32)]).toEqual([0x12, 0x34, 0, 21, 6, 4, 0x02, 0x01]);
  expect(readTuple(new DataView(bytes.buffer), 0)).toEqual(one);
});

it('different tuples have different ids', () => {
  fc.assert(
    fc.property(tuple, tuple, (a, b) => {
      expect(tupleId(a) === tupleId(b)).toBe(Buffer.compare(tupleBytes(a), tupleBytes(b)) === 0);
    }),
  );
});

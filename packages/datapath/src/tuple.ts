// SPDX-License-Identifier: Apache-2.0
import { TUPLE_SIZE, writeTuple, zeroTuple, type TupleRecord } from './generated/layout.js';

/** The same connection seen from its other end. */
export function reverseTuple(tuple: TupleRecord): TupleRecord {
  return {
    ...tuple,
    source: tuple.destination,
    destination: tuple.source,
    sourcePort: tuple.destinationPort,
    destinationPort: tuple.sourcePort,
  };
}

/** The 40 bytes of a tuple, as map key or as identity. */
export function tupleBytes(tuple: TupleRecord): Uint8Array {
  const bytes = new Uint8Array(TUPLE_SIZE);
  writeTuple(new DataView(bytes.buffer), 0, tuple);
  return bytes;
}

/**
 * Endpoints sorted as the datapath sorts them (tuple_key in bpf/lib/tuple.h): by two 64-bit words in host order,
 * then by port in network order read in host order.
 */
export function sortTuple(tuple: TupleRecord): { key: TupleRecord; swapped: boolean } {
  const swapped = compareEndpoints(tuple) > 0;
  return { key: swapped ? reverseTuple(tuple) : tuple, swapped };
}

function compareEndpoints(tuple: TupleRecord): number {
  for (const word of [0, 1]) {
    // Little-endian machines compare the last byte of a word first.
    for (let at = 7; at >= 0; at--) {
      const difference = (tuple.source[word * 8 + at] ?? 0) - (tuple.destination[word * 8 + at] ?? 0);
      if (difference !== 0) return difference;
    }
  }
  return swapBytes(tuple.sourcePort) - swapBytes(tuple.destinationPort);
}

function swapBytes(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}

const scratch = Buffer.alloc(TUPLE_SIZE);
const scratchView = new DataView(scratch.buffer, scratch.byteOffset, TUPLE_SIZE);

/** A string that is equal for equal tuples: for JavaScript maps. */
export function tupleId(tuple: TupleRecord): string {
  writeTuple(scratchView, 0, tuple);
  return scratch.toString('latin1');
}

const NO_TUPLE = zeroTuple();

/** A tuple from parts; address bytes in the mapped form. */
export function tupleOf(parts: Partial<TupleRecord>): TupleRecord {
  return {
    source: parts.source ?? NO_TUPLE.source,
    destination: parts.destination ?? NO_TUPLE.destination,
    sourcePort: parts.sourcePort ?? 0,
    destinationPort: parts.destinationPort ?? 0,
    protocol: parts.protocol ?? 0,
    family: parts.family ?? 0,
    zone: parts.zone ?? 0,
  };
}

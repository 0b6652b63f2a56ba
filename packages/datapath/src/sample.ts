// SPDX-License-Identifier: Apache-2.0
import { SAMPLE_AT, readTuple, type SampleRecord } from './generated/layout.js';

/**
 * A sample out of the ring; `bytes` is its record's length. `data` is a view of what is there: a record of layout 1 says the length
 * of its payload and has the beginning.
 */
export function sampleAt(view: DataView, at: number, bytes: number): SampleRecord {
  const length = view.getUint32(at + SAMPLE_AT.length, true);
  const start = view.byteOffset + at + SAMPLE_AT.data;
  return {
    type: view.getUint8(at + SAMPLE_AT.type),
    reason: view.getUint8(at + SAMPLE_AT.reason),
    hook: view.getUint8(at + SAMPLE_AT.hook),
    direction: view.getUint8(at + SAMPLE_AT.direction),
    length,
    time: view.getBigUint64(at + SAMPLE_AT.time, true),
    flow: view.getBigUint64(at + SAMPLE_AT.flow, true),
    seq: view.getUint32(at + SAMPLE_AT.seq, true),
    tcpFlags: view.getUint32(at + SAMPLE_AT.tcpFlags, true),
    tuple: readTuple(view, at + SAMPLE_AT.tuple),
    data: new Uint8Array(view.buffer, start, Math.min(length, bytes - SAMPLE_AT.data)),
  };
}

// SPDX-License-Identifier: Apache-2.0
import { RingRecord, eachRecord, eventBatch, recordMemory, zeroEvent, type RecordBatch } from '@relatd/datapath';
import { describe, expect, it } from 'vitest';
import { History } from './history.js';

/** A batch of records of these lengths, each with its length as its first word. */
function batch(...lengths: readonly number[]): RecordBatch {
  const bytes = lengths.reduce((sum, length) => (sum + 8 + length + 7) & ~7, 0);
  const memory = recordMemory(new ArrayBuffer(bytes));
  let at = 0;
  for (const length of lengths) {
    memory.words[at >>> 2] = 8 + length;
    memory.words[(at + 8) >>> 2] = length;
    at = (at + 8 + length + 7) & ~7;
  }
  return { memory, bytes };
}

function read(history: History): number[] {
  const snapshot = history.snapshot();
  const record = snapshot.record();
  return Array.from({ length: snapshot.size }, (_, index) => {
    snapshot.place(index, record);
    const memory = recordMemory(new ArrayBuffer((record.length + 7) & ~7));
    record.copyTo(memory, 0);
    expect(memory.words[0]).toBe(record.length);
    return record.length;
  });
}

describe('History', () => {
  it('has nothing at first', () => {
    const history = new History(256);
    history.keep(batch());
    expect({ records: read(history), since: history.since, complete: history.complete }).toEqual({
      ...{ records: [], since: null, complete: true },
    });
  });

  it('keeps the newest batches, whole and in order, whatever their lengths', () => {
    for (const bytes of [256, 264, 1000]) {
      const history = new History(bytes);
      const all: number[] = [];
      for (let number = 1; number < 300; number++) {
        const lengths = Array.from({ length: 1 + (number % 3) }, (_, index) => 8 + (((number + index) * 37) % 60));
        history.keep(batch(...lengths));
        all.push(...lengths);
        const kept = read(history);
        expect(kept).toEqual(all.slice(-kept.length));
        expect(kept.length).toBeGreaterThanOrEqual(lengths.length);
        expect(history.complete).toBe(kept.length === all.length);
      }
    }
  });

  it('leaves out what is larger than all of it', () => {
    const history = new History(64);
    history.keep(batch(32));
    history.keep(batch(64));
    expect(read(history)).toEqual([32]);
    expect(history.complete).toBe(false);
  });

  it('says how far back it reaches', () => {
    const history = new History(700);
    for (const time of [5n, 6n, 7n]) history.keep(eventBatch({ ...zeroEvent(), type: 1, time }));
    expect(history.since).toBe(6n);
  });

  it('gives a picture of one moment', () => {
    const history = new History(64);
    history.keep(batch(24));
    const snapshot = history.snapshot();
    history.keep(batch(32));
    const record = snapshot.record();
    snapshot.place(0, record);
    expect({ size: snapshot.size, length: record.length }).toEqual({ size: 1, length: 24 });
    expect(read(history)).toEqual([32]);
  });

  it('has nothing in it of what was erased', () => {
    const history = new History(1000);
    const erased = eventBatch({ ...zeroEvent(), type: 1, time: 5n });
    const record = new RingRecord(erased.memory);
    eachRecord(erased.memory, 0, erased.bytes, record, (one) => {
      one.erase();
    });
    history.keep(erased);
    history.keep(eventBatch({ ...zeroEvent(), type: 1, time: 6n }));
    const snapshot = history.snapshot();
    const read = snapshot.record();
    const seen = Array.from({ length: snapshot.size }, (_, index) => {
      snapshot.place(index, read);
      return [read.type, read.time, read.event().tuple.family];
    });
    expect(seen).toEqual([
      [0, 0n, 0],
      [1, 6n, 0],
    ]);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { RingRecord, recordMemory, zeroEvent, eventRecord } from '@relatd/datapath';
import { describe, expect, it } from 'vitest';
import { History } from './history.js';

/** A record of this length whose second word is a number. */
function numbered(number: number, length: number): RingRecord {
  const memory = recordMemory(new ArrayBuffer((length + 7) & ~7));
  memory.words[1] = number;
  const record = new RingRecord(memory);
  record.place(memory, 0, length);
  return record;
}

function read(history: History): string[] {
  const found: string[] = [];
  history.each((record) => {
    const memory = recordMemory(new ArrayBuffer((record.length + 7) & ~7));
    record.copyTo(memory, 0);
    found.push(`${String(memory.words[1])}/${String(record.length)}`);
  });
  return found;
}

describe('History', () => {
  it('has nothing at first', () => {
    const history = new History(256);
    expect({ records: read(history), since: history.since, size: history.size }).toEqual({
      ...{ records: [], since: null, size: 0 },
    });
  });

  it('keeps the newest records, whole and in order, whatever their lengths', () => {
    for (const bytes of [256, 264, 1000]) {
      const history = new History(bytes);
      const all: string[] = [];
      for (let number = 1; number < 400; number++) {
        const length = 8 + ((number * 37) % 90);
        history.keep(numbered(number, length));
        all.push(`${String(number)}/${String(length)}`);
        const kept = read(history);
        expect(kept).toEqual(all.slice(-kept.length));
        expect(kept).toHaveLength(history.size);
        expect(kept.length).toBeGreaterThan(0);
      }
    }
  });

  it('leaves out what is larger than all of it', () => {
    const history = new History(64);
    history.keep(numbered(1, 32));
    history.keep(numbered(2, 64));
    expect(read(history)).toEqual(['1/32']);
  });

  it('says how far back it reaches', () => {
    const history = new History(700);
    for (const time of [5n, 6n, 7n]) history.keep(eventRecord({ ...zeroEvent(), type: 1, time }));
    expect(history.since).toBe(6n);
  });
});

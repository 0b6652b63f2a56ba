// SPDX-License-Identifier: Apache-2.0
import { RingRecord, recordMemory } from '@relatd/datapath';
import { describe, expect, it } from 'vitest';
import { Backlog } from './backlog.js';

/** A record that carries a number, and as many bytes as asked for. */
function recordOf(number: number, bytes = 64): RingRecord {
  const memory = recordMemory(new ArrayBuffer((bytes + 15) & ~7));
  memory.words[2] = number;
  const record = new RingRecord(memory);
  record.place(memory, 8, bytes);
  return record;
}

/** A backlog, and the numbers that were read from it. */
function world(): { backlog: Backlog; read: number[] } {
  const read: number[] = [];
  const target = recordMemory(new ArrayBuffer(4096));
  const backlog = new Backlog((record) => {
    record.copyTo(target, 0);
    read.push(target.words[0] ?? 0);
  });
  return { backlog, read };
}

describe('a backlog', () => {
  it('reads nothing before somebody asks, and then that connection only, in order, once', () => {
    const { backlog, read } = world();
    for (const number of [1, 2, 3]) backlog.keep(7n, recordOf(number, 60 + number));
    backlog.keep(8n, recordOf(9));
    expect(read).toEqual([]);
    backlog.read(7n);
    backlog.read(7n);
    backlog.read(6n);
    expect(read).toEqual([1, 2, 3]);
    backlog.keep(7n, recordOf(4));
    backlog.readAll();
    expect(read).toEqual([1, 2, 3, 4, 9]);
  });

  it('reads by itself what would become too much of one connection, and loses none', () => {
    const { backlog, read } = world();
    const numbers = Array.from({ length: 100 }, (_, at) => at + 1);
    for (const number of numbers) backlog.keep(7n, recordOf(number, number % 2 === 0 ? 304 : 1096));
    expect(read.length).toBeGreaterThan(90);
    backlog.read(7n);
    expect(read).toEqual(numbers);
  });

  it('asked for a connection by whoever reads it, does not read it again', () => {
    const read: number[] = [];
    const backlog: Backlog = new Backlog((record) => {
      read.push(record.length);
      backlog.read(7n);
    });
    for (const bytes of [64, 72, 80]) backlog.keep(7n, recordOf(1, bytes));
    backlog.read(7n);
    expect(read).toEqual([64, 72, 80]);
  });

  it('forgets unread what has been over for long enough, the earliest first', () => {
    const { backlog, read } = world();
    for (const [at, id] of [1n, 2n, 3n].entries()) {
      backlog.keep(id, recordOf(at));
      backlog.ended(id, 1000 * at);
    }
    backlog.keep(4n, recordOf(4));
    backlog.forget(10_000, 11_500);
    expect([1n, 2n, 3n, 4n].map((id) => backlog.has(id))).toEqual([false, false, true, true]);
    expect(read).toEqual([]);
  });

  it('what is over can be asked for once more; then nothing is left of it', () => {
    const { backlog, read } = world();
    backlog.keep(7n, recordOf(5));
    backlog.ended(7n);
    backlog.read(7n);
    expect(read).toEqual([5]);
    expect(backlog.size).toBe(0);
  });

  it('is read, not forgotten, where a related flow outlives its control connection', () => {
    const { backlog, read } = world();
    for (const id of [7n, 8n]) {
      backlog.keep(id, recordOf(Number(id)));
      backlog.relatedBegan(id);
      backlog.ended(id, 0);
    }
    backlog.relatedEnded(8n, 9000);
    backlog.forget(10_000, 12_000);
    expect(read).toEqual([7]);
    expect([backlog.has(7n), backlog.has(8n)]).toEqual([false, true]);
    backlog.forget(10_000, 19_000);
    expect(read).toEqual([7]);
    expect(backlog.size).toBe(0);
  });

  it('reads what the table no longer has and whose end nobody told', () => {
    const { backlog, read } = world();
    backlog.keep(7n, recordOf(1));
    backlog.keep(8n, recordOf(2));
    const known = backlog.known();
    backlog.keep(9n, recordOf(3));
    backlog.prune(known, new Set([8n]));
    expect(read).toEqual([1]);
    expect([7n, 8n, 9n].map((id) => backlog.has(id))).toEqual([false, true, true]);
  });
});

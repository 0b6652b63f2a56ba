// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BpfObject, EventRing, records } from './index.js';
import { bpfWorks, failure, Testbed, until } from './testbed.js';

const packet = new Uint8Array(60);

describe.skipIf(!bpfWorks('ring'))('EventRing', () => {
  let bed: Testbed;
  let object: BpfObject;
  const buffer = new ArrayBuffer(16 * 1024);
  const open = (onBatch: (bytes: number) => void, intervalMs = 20) => {
    const ring = new EventRing(object.map('events'), buffer, onBatch, { intervalMs });
    bed.defer(() => {
      ring.close();
    });
    return ring;
  };
  beforeEach(() => {
    bed = new Testbed();
    object = new BpfObject({ file: bed.probe(), pins: null });
  });
  afterEach(() => {
    bed.dispose();
  });

  /** Numbers of the flood program's records in a batch. */
  const numbers = (bytes: number) =>
    [...records(buffer, bytes)].map(({ offset }) => Number(new DataView(buffer).getBigUint64(offset, true)));

  test('delivers a flood in order and loses nothing', async () => {
    const total = 30_000;
    const seen: number[] = [];
    let batches = 0;
    open((bytes) => {
      batches++;
      seen.push(...numbers(bytes));
    });
    // Without wake-ups: the timer drains, the fairness cap makes several batches of it.
    for (let i = 0; i < 10; i++) {
      object.program('flood').testRun({ data: packet, repeat: total / 10 });
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => seen.length === total, 'all records');
    expect(seen).toEqual(Array.from({ length: total }, (_, at) => at));
    expect(batches).toBeGreaterThanOrEqual(total / 512);
  });

  test('wakes at once where the producer asks for it, and keeps lengths', async () => {
    const seen: number[] = [];
    open((bytes) => {
      for (const { offset, length } of records(buffer, bytes)) {
        expect(offset % 8).toBe(0);
        seen.push(length, new Uint8Array(buffer)[offset] ?? -1);
      }
    }, 60_000);
    for (const length of [14, 15, 16, 61, 64])
      object.program('copy').testRun({ data: new Uint8Array(length).fill(length) });
    await until(() => seen.length === 10, 'five records');
    expect(seen).toEqual([14, 14, 15, 15, 16, 16, 61, 61, 64, 64]);
  });

  test('drains on request, a buffer at a time', () => {
    const ring = open(() => expect.unreachable(), 60_000);
    object.program('flood').testRun({ data: packet, repeat: 1000 });
    expect(ring.pending).toBe(1000 * 32);
    const seen: number[] = [];
    for (let bytes = ring.drain(); bytes > 0; bytes = ring.drain()) seen.push(...numbers(bytes));
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, at) => at));
    expect(ring.pending).toBe(0);
    expect(ring.oversized).toBe(0);
  });

  test('closes from inside the callback, and twice', async () => {
    let batches = 0;
    const ring = open(() => {
      batches++;
      ring.close();
      ring.close();
    });
    object.program('flood').testRun({ data: packet, repeat: 5000 });
    await until(() => batches > 0, 'a batch');
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(batches).toBe(1);
    expect(failure(() => ring.drain()).code).toBe('RELATD_CLOSED');
    ring.ref();
    ring.unref();
  });

  test('does not need the map or the object any more', async () => {
    let bytes = 0;
    open((more) => (bytes += more));
    const flood = object.program('flood');
    object.map('events').close();
    object.close();
    flood.testRun({ data: packet, repeat: 10 });
    await until(() => bytes > 0, 'a batch');
  });

  test('takes nothing while its buffer is transferred away', async () => {
    const lost = new ArrayBuffer(8192);
    let batches = 0;
    const ring = new EventRing(object.map('events'), lost, () => batches++);
    structuredClone(lost, { transfer: [lost] });
    object.program('flood').testRun({ data: packet, repeat: 10 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([batches, ring.drain(), ring.pending]).toEqual([0, 0, 320]);
    ring.close();
  });

  test('refuses what does not fit', () => {
    const events = object.map('events');
    const calls: (() => unknown)[] = [
      () => new EventRing(object.map('table'), buffer, () => undefined),
      () => new EventRing(events, new ArrayBuffer(16), () => undefined),
      () => new EventRing(events, new Uint8Array(65536) as never, () => undefined),
      () => new EventRing(events, buffer, 'callback' as never),
      () => new EventRing(events, buffer, () => undefined, { intervalMs: 0 }),
    ];
    for (const call of calls) expect(failure(call).code).toBe('RELATD_ARGUMENT');
    events.close();
    expect(failure(() => new EventRing(events, buffer, () => undefined)).code).toBe('RELATD_CLOSED');
  });
});

// SPDX-License-Identifier: Apache-2.0
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BpfMap, BpfObject, type MapEntries } from './index.js';
import { bpfWorks, failure, Testbed, words } from './testbed.js';

const works = bpfWorks('map');

function keysOf(entries: MapEntries): number[] {
  return [...new Uint32Array(entries.keys.buffer, 0, entries.count)].sort((a, b) => a - b);
}

describe.skipIf(!works)('BpfMap', () => {
  const bed = new Testbed();
  let object: BpfObject;
  let table: BpfMap;
  beforeAll(() => {
    object = new BpfObject({ file: bed.probe(), pins: null, maxEntries: { table: 20_000 } });
    table = object.map('table');
  });
  afterEach(async () => {
    const { keys, count } = await table.entries();
    table.deleteBatch(keys, count);
  });
  afterAll(() => {
    bed.dispose();
  });

  test('knows its shape', () => {
    expect(table.info).toMatchObject({
      typeName: 'hash',
      name: 'table',
      keySize: 4,
      valueSize: 16,
      valueStride: 16,
      maxEntries: 20_000,
      copies: 1,
    });
    expect(table.memoryBytes).toBeGreaterThan(20_000 * 20);
    const percpu = object.map('percpu');
    expect(percpu.valueStride).toBe(8 * percpu.info.copies);
  });

  test('single entries', () => {
    expect(table.lookup(words(1))).toBeNull();
    table.update(words(1), words(1, 2, 3, 4), 'create');
    expect(table.lookup(words(1))).toEqual(words(1, 2, 3, 4));
    expect(failure(() => table.update(words(1), words(0, 0, 0, 0), 'create'))).toMatchObject({
      code: 'RELATD_EXISTS',
      errno: 17,
      syscall: 'BPF_MAP_UPDATE_ELEM',
    });
    table.update(words(1), words(9, 9, 9, 9), 'exist');
    expect(failure(() => table.update(words(2), words(0, 0, 0, 0), 'exist')).code).toBe('RELATD_NOT_FOUND');
    expect(table.delete(words(1))).toBe(true);
    expect(table.delete(words(1))).toBe(false);
  });

  test('takes a view into a larger buffer', () => {
    const large = new Uint32Array([7, 8, 1, 2, 3, 4]);
    table.update(new Uint8Array(large.buffer, 4, 4), new Uint8Array(large.buffer, 8, 16));
    expect(table.lookup(words(8))).toEqual(words(1, 2, 3, 4));
  });

  test('whole tables in batches, on a thread and at once', async () => {
    const count = 15_000;
    const keys = new Uint32Array(count).map((_, at) => at);
    table.updateBatch(new Uint8Array(keys.buffer), new Uint8Array(count * 16), count);
    const entries = await table.entries();
    expect(entries.count).toBe(count);
    expect(entries.values.length).toBe(count * 16);
    expect(keysOf(entries)).toEqual([...keys]);
    expect(keysOf(table.entriesSync())).toEqual([...keys]);
    const some = words(5, 99_999, 6, 88_888, 7);
    expect(table.deleteBatch(some, 5)).toBe(3);
    expect((await table.entries()).count).toBe(count - 3);
  });

  test('a full table says so, and how far a batch came', () => {
    const keys = new Uint8Array(new Uint32Array(30_000).map((_, at) => at).buffer);
    const error = failure(() => table.updateBatch(keys, new Uint8Array(30_000 * 16), 30_000));
    expect(error).toMatchObject({ code: 'RELATD_TABLE_FULL', errno: 7, done: 20_000 });
    expect(error.message).toBe('cannot write a batch to map table: Argument list too long; make the table larger');
    expect(failure(() => table.update(words(77_777), words(0, 0, 0, 0))).code).toBe('RELATD_TABLE_FULL');
  });

  test('closing while a thread reads is safe', async () => {
    const other = object.map('table');
    const entries = other.entries();
    other.close();
    expect((await entries).count).toBe(0);
    expect(failure(() => other.lookup(words(1))).code).toBe('RELATD_CLOSED');
    expect(other.info.name).toBe('table');
    other.close();
  });

  test('maps without batches, per-CPU maps, program arrays, tries', async () => {
    const trie = object.map('prefixes');
    trie.update(words(8, 10), words(1));
    trie.update(words(16, 10), words(2));
    expect((await trie.entries()).count).toBe(2);
    const percpu = object.map('percpu');
    const value = new Uint8Array(percpu.valueStride).fill(1);
    percpu.update(words(2), value);
    expect(percpu.lookup(words(2))?.length).toBe(percpu.valueStride);
    const all = await percpu.entries();
    expect(all.count).toBe(4);
    expect(all.values.length).toBe(4 * percpu.valueStride);
    const slots = object.map('slots');
    expect((await slots.entries()).count).toBe(0);
    slots.setProgram(words(1), object.program('drop'));
    const held = await slots.entries();
    expect([held.count, new Uint32Array(held.values.buffer)[0]]).toEqual([1, object.program('drop').id]);
    expect(slots.delete(words(1))).toBe(true);
    expect(failure(() => table.setProgram(words(1), object.program('drop'))).code).toBe('RELATD_ARGUMENT');
    await expect(object.map('events').entries()).rejects.toMatchObject({ code: 'RELATD_ARGUMENT' });
  });

  test('shared memory outlives the map object', () => {
    const shared = object.map('shared');
    const memory = new BigUint64Array(shared.mmap(), 0, 3);
    shared.close();
    memory[2] = 5n;
    expect(object.map('shared').lookup(words(2))).toEqual(words(5, 0));
    expect(failure(() => table.mmap()).code).toBe('RELATD_ARGUMENT');
    expect(failure(() => object.map('rodata').mmap()).code).toBe('RELATD_NO_PERMISSION');
  });

  test('pins once', () => {
    const pins = bed.pins();
    table.pin(`${pins}/deep/table`);
    expect(BpfMap.openPinned(`${pins}/deep/table`).id).toBe(table.id);
    expect(failure(() => table.pin(`${pins}/deep/table`)).code).toBe('RELATD_EXISTS');
    expect(failure(() => table.pin('/tmp/table')).code).toBe('RELATD_NO_BPFFS');
    object.program('pass').pin(`${pins}/program`);
    expect(failure(() => BpfMap.openPinned(`${pins}/program`)).message).toContain('is not a pinned map');
  });

  test('refuses what does not fit', () => {
    const calls: (() => unknown)[] = [
      () => table.lookup(words(1, 2)),
      () => table.lookup('key' as never),
      () => table.lookup(new Uint32Array(1) as never),
      () => table.lookup(undefined as never),
      () => table.update(words(1), words(1)),
      () => table.update(words(1), words(1, 2, 3, 4), 'sometimes' as never),
      () => table.updateBatch(words(1, 2), new Uint8Array(16), 2),
      () => table.updateBatch(words(1, 2), new Uint8Array(32), -1),
      () => table.deleteBatch(words(1), 2),
      () => table.deleteBatch(words(1), 0.5),
      () => table.setProgram(words(1), {} as never),
      () => table.pin(''),
      () => table.pin('/sys/fs/bpf/a\0b'),
      () => BpfMap.openPinned(7 as never),
    ];
    for (const call of calls) expect(failure(call).code).toBe('RELATD_ARGUMENT');
    const detached = words(1);
    structuredClone(detached.buffer, { transfer: [detached.buffer as ArrayBuffer] });
    expect(failure(() => table.lookup(detached)).code).toBe('RELATD_ARGUMENT');
  });
});

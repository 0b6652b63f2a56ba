// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BpfMap, BpfObject, BpfProgram } from './index.js';
import { bpfWorks, failure, Testbed, words } from './testbed.js';

describe.skipIf(!bpfWorks('object'))('BpfObject', () => {
  let bed: Testbed;
  beforeEach(() => void (bed = new Testbed()));
  afterEach(() => {
    bed.dispose();
  });

  test('names maps and programs as the source does', () => {
    const object = new BpfObject({ file: bed.probe(), pins: null });
    expect(object.maps().sort()).toEqual(
      ['bss', 'data', 'events', 'percpu', 'prefixes', 'rodata', 'shared', 'slots', 'table'].sort(),
    );
    expect(object.programs()).toContain('pass');
    expect(failure(() => object.map('nothing'))).toMatchObject({ code: 'RELATD_NOT_FOUND' });
    expect(failure(() => object.program('nothing')).message).toBe(
      'the BPF object has no program nothing; check the name',
    );
  });

  test('pins, and takes the pinned state at the next load', () => {
    const pins = bed.pins();
    const file = bed.probe();
    const first = new BpfObject({ file, pins, maxEntries: { table: 100 } });
    first.map('table').update(words(1), words(2, 0, 3, 0));
    first.program('pass').testRun({ data: new Uint8Array(60), repeat: 7 });
    const id = first.map('table').id;
    first.close();

    const second = new BpfObject({ file, pins, maxEntries: { table: 200 } });
    expect(second.kept).toEqual([{ map: 'table', entries: 100, asked: 200 }]);
    expect(second.map('table').id).toBe(id);
    expect(second.map('table').lookup(words(1))).toEqual(words(2, 0, 3, 0));
    const counters = new BigUint64Array(second.map('bss').mmap(), 0, 2);
    expect([...counters]).toContain(7n);
    second.program('pass').testRun({ data: new Uint8Array(60) });
    expect([...counters]).toContain(8n);
    expect(BpfMap.openPinned(`${pins}/maps/table`).maxEntries).toBe(100);
    expect(BpfProgram.openPinned(`${pins}/programs/pass`).id).toBe(second.program('pass').id);
  });

  test('keeps live data, replaces constants of another build', () => {
    const pins = bed.pins();
    const look = (object: BpfObject) => {
      const { verdict, ctx } = object.program('look').testRun({ data: new Uint8Array(60), mark: 1 });
      return [verdict, new Uint32Array(ctx.buffer)[2]];
    };
    const first = new BpfObject({ file: bed.probe(), pins });
    first.map('data').update(words(0), words(9));
    expect(look(first)).toEqual([9, 6]);
    const second = new BpfObject({ file: bed.probe('CONSTANT=30'), pins });
    expect(look(second)).toEqual([9, 31]);
    expect(BpfMap.openPinned(`${pins}/maps/rodata`).id).toBe(second.map('rodata').id);
    expect(second.map('rodata').id).not.toBe(first.map('rodata').id);
    const third = new BpfObject({ file: bed.probe('CONSTANT=30'), pins });
    expect(third.map('rodata').id).toBe(second.map('rodata').id);
  });

  test('refuses pinned maps of another layout and pins nothing then', () => {
    const pins = bed.pins();
    new BpfObject({ file: bed.probe(), pins }).close();
    const error = failure(() => new BpfObject({ file: bed.probe('WIDE'), pins }));
    expect(error).toMatchObject({ code: 'RELATD_LAYOUT' });
    expect(error.message).toContain('the pinned map table has value size 16, this version needs 24');
  });

  test('tells what the verifier objects to', () => {
    const pins = bed.pins();
    const error = failure(() => new BpfObject({ file: bed.probe('REFUSED'), pins }));
    expect(error.code).toBe('RELATD_VERIFIER');
    expect(error.message).toContain('refuses program refused');
    expect(error.log).toContain('invalid access to packet');
    expect(failure(() => BpfMap.openPinned(`${pins}/maps/table`)).code).toBe('RELATD_NOT_FOUND');
  });

  test('keeps the whole log on request', () => {
    const quiet = new BpfObject({ file: bed.probe(), pins: null });
    expect(quiet.verifierLog).toBe('');
    const verbose = new BpfObject({ file: bed.probe(), pins: null, verifierLog: true });
    expect(verbose.verifierLog).toMatch(/processed \d+ insns/);
  });

  test('says what is wrong with a file, a name or a folder', () => {
    const folder = bed.folder();
    const text = join(folder, 'text.o');
    writeFileSync(text, 'no object');
    expect(failure(() => new BpfObject({ file: text, pins: null })).code).toBe('RELATD_OBJECT');
    expect(failure(() => new BpfObject({ file: join(folder, 'none.o'), pins: null }))).toMatchObject({
      code: 'RELATD_NOT_FOUND',
      errno: 2,
      syscall: 'open',
    });
    const file = bed.probe();
    expect(failure(() => new BpfObject({ file, pins: folder })).code).toBe('RELATD_NO_BPFFS');
    expect(failure(() => new BpfObject({ file, pins: null, maxEntries: { nothing: 1 } })).code).toBe(
      'RELATD_NOT_FOUND',
    );
    expect(failure(() => new BpfObject({ file, pins: null, maxEntries: { table: 0 } })).code).toBe('RELATD_ARGUMENT');
    expect(failure(() => new BpfObject({ file, pins: `${bed.pins()}/a.b` })).message).toContain('cannot have a dot');
  });

  test('outlives and is outlived by what came from it', () => {
    const object = new BpfObject({ file: bed.probe(), pins: null });
    const map = object.map('table');
    const program = object.program('pass');
    object.close();
    object.close();
    map.update(words(1), words(0, 0, 0, 0));
    expect(program.testRun({ data: new Uint8Array(60) }).verdict).toBe(-1);
    expect(failure(() => object.map('table'))).toMatchObject({
      code: 'RELATD_CLOSED',
      message: 'this BpfObject is closed; do not use it after close()',
    });
  });
});

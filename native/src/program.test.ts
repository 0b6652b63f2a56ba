// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BpfObject, BpfProgram, skbField } from './index.js';
import { bpfWorks, failure, indexOf, Testbed, words } from './testbed.js';

describe.skipIf(!bpfWorks('program'))('BpfProgram', () => {
  const bed = new Testbed();
  const packet = new Uint8Array(60);
  let object: BpfObject;
  beforeAll(() => {
    object = new BpfObject({ file: bed.probe(), pins: null });
  });
  afterAll(() => {
    bed.dispose();
  });

  test('runs on a packet with mark and control block', () => {
    const { verdict, data, ctx, nanoseconds } = object
      .program('look')
      .testRun({ data: packet, mark: 0x5200_0000, cb: [21, 0], repeat: 1 });
    const out = new DataView(ctx.buffer);
    const little = new Uint8Array(words(1).buffer)[0] === 1;
    expect(verdict).toBe(7);
    expect(data).toEqual(packet);
    expect(out.getUint32(skbField.mark, little)).toBe(0x5200_0005);
    expect(out.getUint32(skbField.cb + 4, little)).toBe(42);
    expect(nanoseconds).toBeGreaterThanOrEqual(0);
    expect(object.program('pass').testRun({ data: packet }).verdict).toBe(-1);
  });

  test('runs inside a namespace, where its interfaces are', () => {
    const { namespace, ip } = bed.namespace();
    ip('link', 'add', 'br0', 'index', '4242', 'type', 'bridge');
    const { ctx } = object.program('look').testRun({ data: packet, ifindex: 4242, ingressIfindex: 1, namespace });
    expect([...new Uint32Array(ctx.buffer, skbField.cb + 8, 2)]).toEqual([4242, 1]);
    expect(failure(() => object.program('look').testRun({ data: packet, ifindex: 4242 }))).toMatchObject({
      code: 'RELATD_NO_INTERFACE',
      errno: 19,
    });
    expect(indexOf(namespace, 'br0')).toBe(4242);
  });

  test('tail calls what stands in the array', () => {
    const slots = object.map('slots');
    expect(object.program('stub').testRun({ data: packet }).verdict).toBe(42);
    slots.setProgram(words(0), object.program('drop'));
    expect(object.program('stub').testRun({ data: packet }).verdict).toBe(2);
    slots.setProgram(words(0), object.program('pass'));
    expect(object.program('stub').testRun({ data: packet }).verdict).toBe(-1);
  });

  test('tells what the kernel knows', () => {
    const info = object.program('pass').info();
    expect(info).toMatchObject({ type: 3, name: 'pass' });
    expect(info.mapIds).toContain(object.map('bss').id);
    expect(info.verifiedInstructions).toBeGreaterThan(0);
    expect(info.tag).toMatch(/^[0-9a-f]{16}$/);
  });

  test('is pinned in the place of another', () => {
    const pins = bed.pins();
    object.program('pass').pin(`${pins}/p`);
    object.program('drop').pin(`${pins}/p`);
    expect(BpfProgram.openPinned(`${pins}/p`).name).toBe('drop');
  });

  test('refuses what does not fit', () => {
    const look = object.program('look');
    const calls: (() => unknown)[] = [
      () => look.testRun({ data: new Uint8Array(3) }),
      () => look.testRun({ data: packet, repeat: 0 }),
      () => look.testRun({ data: packet, cb: [1, 2, 3, 4, 5, 6] }),
      () => look.testRun({ data: packet, ctx: new Uint8Array(192).fill(1, 0, 4) }),
      () => look.testRun({ data: 'packet' as never }),
      () => look.testRun({}),
    ];
    for (const call of calls) expect(failure(call).code).toBe('RELATD_ARGUMENT');
    const closed = object.program('look');
    closed.close();
    closed.close();
    expect(failure(() => closed.testRun({ data: packet })).code).toBe('RELATD_CLOSED');
  });
});

// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attach, BpfObject, EventRing, HoldDevice, recordHeader, records, type Namespace } from './index.js';
import { bpfWorks, failure, Testbed, until } from './testbed.js';

/** Frames in the framing of the hold device. */
function framed(...frames: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + ((recordHeader + frame.length + 7) & ~7), 0));
  let at = 0;
  for (const frame of frames) {
    new DataView(bytes.buffer).setUint32(at, recordHeader + frame.length, true);
    bytes.set(frame, at + recordHeader);
    at += (recordHeader + frame.length + 7) & ~7;
  }
  return bytes;
}

/** An Ethernet frame of a type nobody handles. */
function frame(length: number, mark: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(mark);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
  return bytes;
}

describe.skipIf(!bpfWorks('hold'))('HoldDevice', () => {
  let bed: Testbed;
  let namespace: Namespace;
  let ip: (...args: string[]) => string;
  const buffer = new ArrayBuffer(256 * 1024);
  const make = (onFrames: (bytes: number, frames: number) => void, onGone?: () => void) => {
    const hold = new HoldDevice({ namespace, name: 'hold0', buffer, onFrames, ...(onGone ? { onGone } : {}) });
    bed.defer(() => {
      hold.close();
    });
    return hold;
  };
  beforeEach(() => {
    bed = new Testbed();
    ({ namespace, ip } = bed.namespace());
  });
  afterEach(() => {
    bed.dispose();
  });

  test('is up, long, silent, and gone after close', async () => {
    let frames = 0;
    const hold = make((_, count) => (frames += count));
    const found = namespace.interfaces().find(({ index }) => index === hold.ifindex);
    expect(found).toMatchObject({ name: 'hold0', kind: 'tun', up: true, running: true, mtu: 65521 });
    expect(ip('-d', 'link', 'show', 'hold0')).toMatch(/NOARP.*qlen 1000.*persist off addrgenmode none/s);
    expect(ip('-6', 'addr', 'show', 'dev', 'hold0')).toBe('');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(frames).toBe(0);
    hold.close();
    hold.close();
    expect(namespace.interfaces().some(({ name }) => name === 'hold0')).toBe(false);
    expect(hold.name).toBe('hold0');
    expect(failure(() => hold.write(framed(frame(60, 1)))).code).toBe('RELATD_CLOSED');
  });

  test('frames go out to the callback and back in to the stack', async () => {
    const object = new BpfObject({ file: bed.probe(), pins: null });
    const got: Uint8Array[] = [];
    let batches = 0;
    const hold = make((bytes, count) => {
      batches++;
      const before = got.length;
      for (const { offset, length } of records(buffer, bytes))
        got.push(new Uint8Array(buffer.slice(offset, offset + length)));
      expect(got.length - before).toBe(count);
    });
    const sent = [14, 60, 61, 1500].map((length, at) => frame(length, at));
    for (const data of sent) {
      const { verdict } = object.program('send').testRun({ data, cb: [hold.ifindex], ifindex: 1, namespace });
      expect(verdict).toBe(0);
    }
    await until(() => got.length === 4, 'four frames');
    expect(got).toEqual(sent);
    expect(batches).toBeLessThan(4);

    const events = new ArrayBuffer(8192);
    const back: number[] = [];
    const ring = new EventRing(object.map('events'), events, (bytes) => {
      for (const { offset, length } of records(events, bytes))
        back.push(length, new Uint8Array(events)[offset + 20] ?? -1);
    });
    const link = attach({
      program: object.program('copy'),
      namespace,
      ifindex: hold.ifindex,
      side: 'ingress',
      mode: 'auto',
      pin: null,
    });
    expect(hold.write(framed(frame(60, 5), frame(61, 6), frame(2000, 7)))).toBe(3);
    await until(() => back.length === 6, 'three events');
    expect(back).toEqual([60, 5, 61, 6, 64, 7]);
    expect(hold.counters()).toMatchObject({ readFrames: 4, writtenFrames: 3, busy: 0, refused: 0 });
    link.close();
    ring.close();
  });

  test('many frames come in few batches', async () => {
    const object = new BpfObject({ file: bed.probe(), pins: null });
    let frames = 0;
    let batches = 0;
    const hold = make((_, count) => {
      frames += count;
      batches++;
    });
    object.program('send').testRun({ data: frame(60, 1), repeat: 900, cb: [hold.ifindex], ifindex: 1, namespace });
    await until(() => frames === 900, '900 frames');
    expect(batches).toBeLessThan(20);
  });

  test('counts what the kernel does not take', () => {
    const hold = make(() => undefined);
    expect(hold.write(framed(frame(60, 1), new Uint8Array(3), frame(60, 1)))).toBe(2);
    ip('link', 'set', 'hold0', 'down');
    expect(hold.write(framed(frame(60, 1)))).toBe(0);
    expect(hold.counters()).toMatchObject({ writtenFrames: 2, refused: 2, lastErrno: 5 });
    for (const bad of [new Uint8Array(4), new Uint8Array(16), framed(frame(60, 1)).subarray(0, 30)]) {
      expect(failure(() => hold.write(bad)).code).toBe('RELATD_ARGUMENT');
    }
  });

  test('tells when somebody deletes it', async () => {
    let gone = 0;
    const hold = make(
      () => undefined,
      () => {
        gone++;
        hold.close();
      },
    );
    ip('link', 'del', 'hold0');
    await until(() => gone > 0, 'the news');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(gone).toBe(1);
    expect(failure(() => hold.write(framed(frame(60, 1)))).code).toBe('RELATD_CLOSED');
    make(() => undefined);
  });

  test('refuses what does not fit', () => {
    make(() => undefined);
    const onFrames = () => undefined;
    const options = { namespace, name: 'hold1', buffer, onFrames };
    expect(failure(() => new HoldDevice({ ...options, name: 'hold0' }))).toMatchObject({
      code: 'RELATD_BUSY',
      message: 'the interface name hold0 is taken; end who uses it or choose another',
    });
    expect(failure(() => new HoldDevice({ ...options, name: 'va' })).code).toBe('RELATD_BUSY');
    for (const wrong of [
      { name: 'a-name-much-too-long' },
      { name: '' },
      { name: 'a/b' },
      { name: 'x%d' },
      { mtu: 65522 },
      { mtu: 1 },
      { queueLength: 0 },
      { buffer: new ArrayBuffer(65536) },
      { namespace: {} as never },
    ]) {
      expect(failure(() => new HoldDevice({ ...options, ...wrong })).code).toBe('RELATD_ARGUMENT');
    }
    expect(namespace.interfaces().map(({ name }) => name)).not.toContain('hold1');
  });
});

// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { binding } from './binding.js';
import {
  boottimeNs,
  BpfObject,
  checkSystem,
  isNativeError,
  lockDirectory,
  monotonicNs,
  mountBpffs,
  nativeErrorCodes,
  removePins,
} from './index.js';
import { bpfWorks, child, failure, Testbed } from './testbed.js';

test('the table of codes is the addon’s own', () => {
  expect(nativeErrorCodes).toEqual(binding.errorCodes);
  expect(isNativeError(new Error('other'))).toBe(false);
  expect(isNativeError(undefined)).toBe(false);
});

test('clocks go forward and are bigints', () => {
  const before = monotonicNs();
  expect(monotonicNs()).toBeGreaterThanOrEqual(before);
  expect(process.hrtime.bigint() - before).toBeLessThan(10_000_000_000n);
  expect(boottimeNs()).toBeGreaterThanOrEqual(before);
});

test('the check describes the machine', () => {
  expect(checkSystem()).toMatchObject({ root: process.geteuid?.() === 0 });
  expect(checkSystem().kernel).toMatch(/^\d+\.\d+/);
});

describe.skipIf(!bpfWorks('system'))('with BPF', () => {
  let bed: Testbed;
  beforeEach(() => void (bed = new Testbed()));
  afterEach(() => {
    bed.dispose();
  });

  test.each(['a plain folder', 'a bpffs'])('locks %s', async (where) => {
    const path = where === 'a bpffs' ? bed.pins() : bed.folder();
    mkdirSync(path, { recursive: true });
    const lock = lockDirectory(path);
    const error = failure(() => lockDirectory(path));
    expect(error).toMatchObject({ code: 'RELATD_LOCKED', pid: process.pid });
    expect(error.message).toBe(`${path} is locked by process ${process.pid}; end it first`);
    lock.close();
    lock.close();
    lockDirectory(path).close();
    // A holder that is killed leaves nothing behind.
    const { signal } = await child('lock.mjs', [path]);
    expect(signal).toBe('SIGKILL');
    lockDirectory(path).close();
    expect(failure(() => lockDirectory(join(path, 'none'))).code).toBe('RELATD_NOT_FOUND');
  });

  test('knows a bpffs from other folders', () => {
    expect(mountBpffs()).toBe(false);
    const pins = bed.pins();
    expect(mountBpffs(join(pins, 'deep', 'er'))).toBe(false);
    expect(existsSync(join(pins, 'deep', 'er'))).toBe(true);
    expect(failure(() => mountBpffs('/proc/self/none')).code).toBe('RELATD_NO_BPFFS');
  });

  test('removes pins, and only pins', () => {
    const pins = bed.pins();
    new BpfObject({ file: bed.probe(), pins }).close();
    expect(removePins(join(pins, 'programs'))).toBeGreaterThan(5);
    expect(removePins(pins)).toBe(9);
    expect(removePins(pins)).toBe(0);
    expect(existsSync(pins)).toBe(false);
    const folder = bed.folder();
    expect(failure(() => removePins(folder)).code).toBe('RELATD_NO_BPFFS');
    expect(existsSync(folder)).toBe(true);
  });
});

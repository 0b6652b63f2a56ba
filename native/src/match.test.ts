// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { attachCgroup, BpfMap, BpfObject, BpfProgram, pinMatch } from './index.js';
import { bpfWorks, failure, Testbed } from './testbed.js';

describe.skipIf(!bpfWorks('match'))('programs for iptables, and on a cgroup', () => {
  const bed = new Testbed();
  afterAll(() => {
    bed.dispose();
  });

  test('only some maps of an object are made, and no program', () => {
    const pins = bed.pins();
    const object = new BpfObject({ file: bed.probe(), pins, onlyMaps: ['slots'] });
    expect(object.maps()).toEqual(['slots']);
    expect(existsSync(`${pins}/maps/slots`)).toBe(true);
    expect(existsSync(`${pins}/programs`)).toBe(false);
    object.close();
    expect(failure(() => new BpfObject({ file: bed.probe(), pins, onlyMaps: ['none'] })).code).toBe('RELATD_NOT_FOUND');
  });

  test('a stub matches nothing while its array is empty', () => {
    const pins = bed.pins();
    const object = new BpfObject({ file: bed.probe(), pins, onlyMaps: ['slots'] });
    pinMatch({ programs: object.map('slots'), number: 7, path: `${pins}/match/ftp` });
    const stub = BpfProgram.openPinned(`${pins}/match/ftp`);
    expect(stub.name).toBe('relatd_stub');
    expect(stub.testRun({ data: new Uint8Array(64) }).verdict).toBe(0);
    stub.close();
    const map = BpfMap.openPinned(`${pins}/maps/slots`);
    expect(failure(() => pinMatch({ programs: map, number: -1, path: `${pins}/match/x` })).code).toBe(
      'RELATD_ARGUMENT',
    );
    expect(failure(() => pinMatch({ programs: map, number: 1, path: '/tmp/relatd-nowhere' })).code).toBe(
      'RELATD_NO_BPFFS',
    );
    map.close();
    object.close();
  });

  test('a program of another type is refused by a cgroup', () => {
    const object = new BpfObject({ file: bed.probe(), pins: null });
    const program = object.program('pass');
    const pin = `${bed.pins()}/links/connect`;
    expect(failure(() => attachCgroup({ program, type: 'connect4', pin })).errno).toBe(22);
    expect(failure(() => attachCgroup({ program, type: 'bind4' as never, pin })).code).toBe('RELATD_ARGUMENT');
    object.close();
  });
});

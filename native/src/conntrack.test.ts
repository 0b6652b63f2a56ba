// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, test } from 'vitest';
import { Conntrack } from './index.js';
import { bpfWorks, failure, run, Testbed } from './testbed.js';

/** struct tuple of the datapath, of IPv4 and TCP. */
function tuple(source: number, sourcePort: number, destination: number, destinationPort: number): Uint8Array {
  const bytes = new Uint8Array(40);
  const view = new DataView(bytes.buffer);
  for (const [at, host] of [
    [0, source],
    [16, destination],
  ] as const) {
    bytes.set([0xff, 0xff, 10, 9, 8, host], at + 10);
  }
  view.setUint16(32, sourcePort);
  view.setUint16(34, destinationPort);
  bytes[36] = 6;
  bytes[37] = 4;
  return bytes;
}

describe.skipIf(!bpfWorks('conntrack'))('Conntrack', () => {
  const bed = new Testbed();
  afterEach(() => {
    bed.dispose();
  });

  test('makes an entry that names its master, with the translation of that', () => {
    const { name, namespace } = bed.namespace();
    const exec = (...command: string[]) => run('nsenter', `--net=/run/netns/${name}`, ...command);
    const ends = ['-s', '10.9.8.1', '-d', '10.9.8.2', '--sport', '1111', '--dport', '21', '--src-nat', '10.9.8.9'];
    exec('conntrack', '-I', '-p', 'tcp', '-t', '60', '--state', 'ESTABLISHED', ...ends);
    const conntrack = new Conntrack(namespace);
    bed.defer(() => {
      conntrack.close();
    });
    const master = tuple(1, 1111, 2, 21);
    const data = tuple(1, 2222, 2, 40000);
    expect(conntrack.relate(data, tuple(1, 1112, 2, 21))).toBe('no-master');
    expect(conntrack.relate(data, master)).toBe('made');
    expect(conntrack.relate(data, master)).toBe('exists');
    // Known by what its answer looks like, too: as seen behind the translation.
    expect(conntrack.relate(tuple(1, 2223, 2, 40001), tuple(9, 1111, 2, 21))).toBe('made');
    const list = exec('conntrack', '-L', '-p', 'tcp', '--dport', '40000');
    expect(list).toMatch(/src=10\.9\.8\.1 dst=10\.9\.8\.2 sport=2222 dport=40000 .*src=10\.9\.8\.2 dst=10\.9\.8\.9 /);
    expect(failure(() => conntrack.relate(data.subarray(1), master)).code).toBe('RELATD_ARGUMENT');
    conntrack.close();
    expect(failure(() => conntrack.relate(data, master)).code).toBe('RELATD_CLOSED');
  });
});

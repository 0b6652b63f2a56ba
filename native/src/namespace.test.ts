// SPDX-License-Identifier: Apache-2.0
import { readlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Namespace } from './index.js';
import { bpfWorks, failure, Testbed, until } from './testbed.js';

describe.skipIf(!bpfWorks('namespace'))('Namespace', () => {
  let bed: Testbed;
  beforeEach(() => void (bed = new Testbed()));
  afterEach(() => {
    bed.dispose();
  });

  test('knows itself and stays outside', () => {
    const own = Namespace.current();
    const { namespace } = bed.namespace();
    expect(readlinkSync('/proc/self/ns/net')).toBe(`net:[${own.inode}]`);
    expect(namespace.inode).not.toBe(own.inode);
    expect(namespace.cookie).not.toBe(own.cookie);
    expect(namespace.interfaces().map(({ name }) => name)).toEqual(['lo', 'vb', 'va']);
    expect(readlinkSync('/proc/thread-self/ns/net')).toBe(`net:[${own.inode}]`);
    expect(Namespace.current().cookie).toBe(own.cookie);
    expect(Namespace.open('/proc/self/ns/net').cookie).toBe(own.cookie);
  });

  test('describes interfaces', () => {
    const { namespace, ip } = bed.namespace();
    ip('link', 'add', 'bridge0', 'type', 'bridge');
    ip('link', 'set', 'va', 'master', 'bridge0', 'mtu', '1400', 'address', '02:00:00:00:00:0a');
    ip('tuntap', 'add', 'mode', 'tun', 'name', 'tun7');
    const by = new Map(namespace.interfaces().map((each) => [each.name, each]));
    expect(by.get('lo')).toMatchObject({ index: 1, kind: null, type: 772, hasEthernetHeader: true, loopback: true });
    expect(by.get('va')).toMatchObject({
      kind: 'veth',
      type: 1,
      hasEthernetHeader: true,
      up: true,
      loopback: false,
      mtu: 1400,
      address: '02:00:00:00:00:0a',
      master: by.get('bridge0')?.index,
      link: by.get('vb')?.index,
      linkNetnsid: null,
      vlanId: null,
    });
    expect(by.get('bridge0')).toMatchObject({ kind: 'bridge', master: null, link: null, up: false });
    expect(by.get('tun7')).toMatchObject({ kind: 'tun', type: 65534, hasEthernetHeader: false, address: '' });
  });

  test('watches, once per burst, until closed', async () => {
    const { namespace, ip } = bed.namespace();
    let calls = 0;
    const watch = namespace.watch(() => calls++);
    namespace.close();
    for (let i = 0; i < 5; i++) ip('link', 'add', `d${i}`, 'type', 'bridge');
    await until(() => calls > 0, 'a call');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(calls).toBeLessThan(5);
    const before = calls;
    watch.close();
    watch.close();
    ip('link', 'del', 'd0');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(calls).toBe(before);
  });

  test('may be closed inside the callback', async () => {
    const { namespace, ip } = bed.namespace();
    let calls = 0;
    const watch = namespace.watch(
      () => {
        calls++;
        watch.close();
      },
      { coalesceMs: 0 },
    );
    ip('link', 'set', 'va', 'down');
    ip('link', 'set', 'va', 'up');
    await until(() => calls > 0, 'a call');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(calls).toBe(1);
  });

  test('says what is not there', () => {
    expect(failure(() => Namespace.open('relatd-native-none'))).toMatchObject({
      code: 'RELATD_NO_NAMESPACE',
      errno: 2,
      message:
        'cannot open the network namespace /run/netns/relatd-native-none: No such file or directory; check the name: ip netns list',
    });
    expect(failure(() => Namespace.open('/etc/hostname')).code).toBe('RELATD_NO_NAMESPACE');
    expect(failure(() => Namespace.open('/proc/self/ns/mnt').interfaces()).code).toBe('RELATD_NO_NAMESPACE');
    const { namespace } = bed.namespace();
    expect(failure(() => namespace.watch('callback' as never)).code).toBe('RELATD_ARGUMENT');
    namespace.close();
    for (const call of [
      () => namespace.cookie,
      () => namespace.inode,
      () => namespace.interfaces(),
      () => namespace.watch(() => undefined),
    ]) {
      expect(failure(call).code).toBe('RELATD_CLOSED');
    }
  });
});

// SPDX-License-Identifier: Apache-2.0
import { InterfaceFlag, type Interface } from '@relatd/datapath';
import { describe, expect, it } from 'vitest';
import { planInterfaces } from './interfaces.js';

const BASE: Interface = {
  index: 0,
  name: '',
  kind: null,
  type: 1,
  hasEthernetHeader: true,
  up: true,
  running: true,
  loopback: false,
  flags: 0,
  mtu: 1500,
  address: '',
  master: null,
  link: null,
  linkNetnsid: null,
  vlanId: null,
};

const FLAGS = new Map<number, string>([
  [InterfaceFlag.watched, 'watched'],
  [InterfaceFlag.stacked, 'stacked'],
  [InterfaceFlag.watched | InterfaceFlag.skip, 'watched skip'],
]);

/** Interfaces are given by name; `master` and `link` name others. */
type Given = Partial<Omit<Interface, 'master' | 'link'>> & { master?: string; link?: string };

function plan(
  given: Readonly<Record<string, Given>>,
  interfaces: 'auto' | readonly string[] = 'auto',
  zones: Readonly<Record<string, number>> = {},
  holdDevice: string | null = null,
) {
  const names = Object.keys(given);
  const number = (name: string | undefined): number | null => (name === undefined ? null : names.indexOf(name) + 1);
  const list = Object.entries(given).map(([name, { master, link, ...more }]) => ({
    ...BASE,
    index: number(name) ?? 0,
    name,
    master: number(master),
    link: number(link),
    ...more,
  }));
  const config = { interfaces, zones: new Map(Object.entries(zones)) };
  const { watched, missing, entries } = planInterfaces(list, config, holdDevice);
  const nameOf = (index: number): string => names[index - 1] ?? '?';
  return {
    watched: watched.map(({ name }) => name).join(' '),
    missing: missing.join(' '),
    entries: entries.map(({ key, value }) => {
      const vlan = key.vlan === 0 ? '' : `:${String(key.vlan)}`;
      const zone = value.zone === 0 ? '' : ` zone ${String(value.zone)}`;
      return `${nameOf(key.ifindex)}${vlan} as ${nameOf(value.routing)} ${FLAGS.get(value.flags) ?? '?'}${zone}`;
    }),
  };
}

describe('auto', () => {
  it('takes what is up, but for loopback and the hold device', () => {
    const given = { lo: { loopback: true }, eth0: {}, eth1: { up: false }, hold: { kind: 'tun' } };
    expect(plan(given, 'auto', {}, 'hold')).toEqual({
      watched: 'eth0',
      missing: '',
      entries: ['eth0 as eth0 watched'],
    });
  });

  it.each(['bridge', 'bond', 'team'])('takes a %s, not its ports, which stand below it', (kind) => {
    const given = { br0: { kind }, eth0: { master: 'br0' }, eth1: { master: 'br0' }, eth2: {} };
    expect(plan(given)).toEqual({
      watched: 'br0 eth2',
      missing: '',
      entries: ['br0 as br0 watched', 'eth0 as br0 stacked', 'eth1 as br0 stacked', 'eth2 as eth2 watched'],
    });
  });

  it('takes the ports of a VRF: they have addresses of their own', () => {
    expect(plan({ vrf0: { kind: 'vrf' }, eth0: { master: 'vrf0' } }).watched).toBe('vrf0 eth0');
  });

  it('takes both ends of a veth pair; they are not stacked', () => {
    const given = { a: { kind: 'veth', link: 'b' }, b: { kind: 'veth', link: 'a' } };
    expect(plan(given).entries).toEqual(['a as a watched', 'b as b watched']);
    expect(plan(given, ['a']).entries).toEqual(['a as a watched']);
  });
});

describe('by name', () => {
  it('says what is missing and takes the rest, down or not', () => {
    const given = { eth0: { up: false }, eth1: {} };
    expect(plan(given, ['eth0', 'eth7'])).toEqual({
      watched: 'eth0',
      missing: 'eth7',
      entries: ['eth0 as eth0 watched'],
    });
  });

  it('takes a port of a bridge, names it as routing does, and has nothing to do with the other ports', () => {
    const given = { br0: { kind: 'bridge' }, eth0: { master: 'br0' }, eth1: { master: 'br0' } };
    expect(plan(given, ['eth0']).entries).toEqual(['br0 as br0 stacked', 'eth0 as br0 watched']);
  });

  it('knows everything that is stacked with it, over several steps', () => {
    const given = {
      eth0: { master: 'bond0' },
      bond0: { kind: 'bond', master: 'br0' },
      br0: { kind: 'bridge' },
      br07: { kind: 'vlan', link: 'br0', vlanId: 7 },
      other: {},
    };
    expect(plan(given, ['br0']).entries).toEqual([
      'eth0 as br0 stacked',
      'bond0 as br0 stacked',
      'br0 as br0 watched',
      'br07 as br07 stacked',
      'br0:7 as br07 watched',
    ]);
  });
});

describe('a VLAN', () => {
  const given = { eth0: {}, 'eth0.100': { kind: 'vlan', link: 'eth0', vlanId: 100 } };

  it('that is not watched is seen on its parent, in its own zone', () => {
    expect(plan(given, ['eth0'], { 'eth0.100': 5 }).entries).toEqual([
      'eth0 as eth0 watched',
      'eth0.100 as eth0.100 stacked zone 5',
      'eth0:100 as eth0.100 watched zone 5',
    ]);
  });

  it('that is watched itself is left to its own programs', () => {
    expect(plan(given, 'auto', { eth0: 2, 'eth0.100': 5 }).entries).toEqual([
      'eth0 as eth0 watched zone 2',
      'eth0.100 as eth0.100 watched zone 5',
      'eth0:100 as eth0.100 watched skip zone 5',
    ]);
  });

  it('alone makes its parent known', () => {
    expect(plan(given, ['eth0.100']).entries).toEqual(['eth0 as eth0 stacked', 'eth0.100 as eth0.100 watched']);
  });

  it('whose parent is in another namespace stands alone', () => {
    const moved = { eth0: {}, v: { kind: 'vlan', link: 'eth0', linkNetnsid: 3, vlanId: 100 } };
    expect(plan(moved, ['v']).entries).toEqual(['v as v watched']);
  });
});

it.each(['macvlan', 'macvtap', 'ipvlan', 'macsec'])('a %s is stacked on its parent', (kind) => {
  expect(plan({ eth0: {}, up0: { kind, link: 'eth0' } }, ['up0']).entries).toEqual([
    'eth0 as eth0 stacked',
    'up0 as up0 watched',
  ]);
});

it('a tunnel is not stacked on the interface that its packets leave by', () => {
  expect(plan({ eth0: {}, tun0: { kind: 'gre', link: 'eth0' } }, ['tun0']).entries).toEqual(['tun0 as tun0 watched']);
});

it('masters in a circle do not hang', () => {
  const given = { a: { kind: 'bridge', master: 'b' }, b: { kind: 'bridge', master: 'a' } };
  expect(plan(given, ['a']).entries).toHaveLength(2);
});

// SPDX-License-Identifier: Apache-2.0
import type { Config } from '@relatd/config';
import { InterfaceFlag, type Interface, type InterfaceKeyRecord, type InterfaceRecord } from '@relatd/datapath';

/** An interface that gets the programs. */
export interface WatchedInterface {
  readonly name: string;
  readonly ifindex: number;
  readonly hasEthernetHeader: boolean;
  readonly zone: number;
}

/** What follows from the configuration and the interfaces that are there. */
export interface InterfacePlan {
  readonly watched: readonly WatchedInterface[];
  /** Configured by name and not there. */
  readonly missing: readonly string[];
  readonly entries: readonly { readonly key: InterfaceKeyRecord; readonly value: InterfaceRecord }[];
}

/** Kinds whose lower device is `link`; for veth it is the other end, for tunnels the way out. */
const STACKED_ON_LINK = new Set(['vlan', 'macvlan', 'macvtap', 'ipvlan', 'ipvtap', 'macsec']);
const ENSLAVING = new Set(['bridge', 'bond', 'team']);

/** Decides which interfaces are watched and what the datapath must know of the others. Pure. */
export function planInterfaces(
  interfaces: readonly Interface[],
  config: Pick<Config, 'interfaces' | 'zones'>,
  holdDevice: string | null,
): InterfacePlan {
  const byIndex = new Map(interfaces.map((one) => [one.index, one]));
  const byName = new Map(interfaces.map((one) => [one.name, one]));
  const master = (one: Interface): Interface | undefined => (one.master === null ? undefined : byIndex.get(one.master));
  const lower = (one: Interface): Interface | undefined =>
    one.link !== null && one.linkNetnsid === null && STACKED_ON_LINK.has(one.kind ?? '')
      ? byIndex.get(one.link)
      : undefined;
  const enslaved = (one: Interface): boolean => ENSLAVING.has(master(one)?.kind ?? '');
  const zone = (one: Interface): number => config.zones.get(one.name) ?? 0;

  const chosen =
    config.interfaces === 'auto'
      ? interfaces.filter((one) => one.up && !one.loopback && one.name !== holdDevice && !enslaved(one))
      : config.interfaces.flatMap((name) => byName.get(name) ?? []);
  const missing = config.interfaces === 'auto' ? [] : config.interfaces.filter((name) => !byName.has(name));
  const isChosen = new Set(chosen.map(({ index }) => index));

  // What a packet passed on its way through a watched interface, up or down. Not the other ports of its bridge: what came
  // in by them was at no hook.
  const above = (one: Interface): Interface[] => {
    const over = master(one);
    return [...interfaces.filter((other) => lower(other) === one), ...(over === undefined ? [] : [over])];
  };
  const below = (one: Interface): Interface[] => {
    const under = lower(one);
    return [...interfaces.filter((other) => master(other) === one), ...(under === undefined ? [] : [under])];
  };
  const stacked = new Set([...reachable(chosen, above), ...reachable(chosen, below)].map(({ index }) => index));

  /** As routing names it: ports of a bridge or bond have no address of their own. */
  const routing = (one: Interface): number => {
    let here = one;
    for (let depth = 0; depth < 8 && enslaved(here); depth++) here = master(here) ?? here;
    return here.index;
  };

  const entries: { key: InterfaceKeyRecord; value: InterfaceRecord }[] = interfaces
    .filter(({ index }) => stacked.has(index))
    .map((one) => ({
      key: { ifindex: one.index, vlan: 0 },
      value: {
        routing: routing(one),
        zone: zone(one),
        flags: isChosen.has(one.index) ? InterfaceFlag.watched : InterfaceFlag.stacked,
      },
    }));
  // A tagged packet on the parent belongs to its VLAN's zone, and to the VLAN's own programs if it has them.
  for (const one of interfaces) {
    const parent = lower(one);
    if (one.kind !== 'vlan' || one.vlanId === null || parent === undefined || !isChosen.has(parent.index)) continue;
    entries.push({
      key: { ifindex: parent.index, vlan: one.vlanId },
      value: {
        routing: routing(one),
        zone: zone(one),
        flags: InterfaceFlag.watched | (isChosen.has(one.index) ? InterfaceFlag.skip : 0),
      },
    });
  }
  return {
    watched: chosen.map((one) => ({
      name: one.name,
      ifindex: one.index,
      hasEthernetHeader: one.hasEthernetHeader,
      zone: zone(one),
    })),
    missing,
    entries,
  };
}

/** `from` and whatever `next` leads to, however many steps away. */
function reachable(from: readonly Interface[], next: (one: Interface) => readonly Interface[]): Set<Interface> {
  const found = new Set(from);
  // A set's iterator also gives what is added meanwhile.
  for (const one of found) for (const other of next(one)) found.add(other);
  return found;
}

// SPDX-License-Identifier: Apache-2.0
import { formatAddress, parseAddress, type Prefix } from '@relatd/model';
import type { Assignment } from './config.js';
import { common, exampleAddress, ofFamily, within } from './prefixSet.js';

/** What of an assignment decides which connections it covers. */
export type Covering = Pick<Assignment, 'protocol' | 'port' | 'interface' | 'from' | 'to'>;

/** How the connections that `a` covers lie to those of `b`. */
export type Relation = 'apart' | 'equal' | 'inside' | 'around' | 'crossing';

/** A connection that two assignments cover. Interface null: any. */
export interface SharedPacket {
  readonly interface: string | null;
  readonly source: string;
  readonly destination: string;
}

const FAMILIES = [4, 6] as const;

const EXAMPLES = {
  4: { source: '198.51.100.1', destination: '192.0.2.1' },
  6: { source: '2001:db8::1', destination: '2001:db8::2' },
} as const;

/** Sources and destinations of one family; a connection has both in the same. */
interface Box {
  readonly from: readonly Prefix[];
  readonly to: readonly Prefix[];
}

function box(assignment: Covering, family: 4 | 6): Box | null {
  const from = ofFamily(assignment.from, family);
  const to = ofFamily(assignment.to, family);
  return from.length === 0 || to.length === 0 ? null : { from, to };
}

/** The families in which an assignment covers any connection at all. */
export function familiesOf(assignment: Covering): (4 | 6)[] {
  return FAMILIES.filter((family) => box(assignment, family) !== null);
}

/**
 * Coverage is a product (interface, sources, destinations) in each family, so one lies inside the other exactly when
 * each factor does, in each family in which it covers anything.
 */
export function relate(a: Covering, b: Covering): Relation {
  if (sharedPacket(a, b) === null) return 'apart';
  const inside = covers(b, a);
  const around = covers(a, b);
  if (inside && around) return 'equal';
  if (inside) return 'inside';
  return around ? 'around' : 'crossing';
}

function covers(outer: Covering, inner: Covering): boolean {
  if (outer.interface !== null && outer.interface !== inner.interface) return false;
  return FAMILIES.every((family) => {
    const small = box(inner, family);
    if (small === null) return true;
    const large = box(outer, family);
    return large !== null && within(small.from, large.from) && within(small.to, large.to);
  });
}

/** A connection that both cover, or null. */
export function sharedPacket(a: Covering, b: Covering): SharedPacket | null {
  if (a.protocol !== b.protocol || a.port !== b.port) return null;
  if (a.interface !== null && b.interface !== null && a.interface !== b.interface) return null;
  for (const family of FAMILIES) {
    const [left, right] = [box(a, family), box(b, family)];
    if (left === null || right === null) continue;
    const source = common(left.from, right.from)[0];
    const destination = common(left.to, right.to)[0];
    if (source === undefined || destination === undefined) continue;
    const prefer = (text: string): Uint8Array => parseAddress(text) ?? new Uint8Array(16);
    return {
      interface: a.interface ?? b.interface,
      source: formatAddress(exampleAddress(source, prefer(EXAMPLES[family].source))),
      destination: formatAddress(exampleAddress(destination, prefer(EXAMPLES[family].destination))),
    };
  }
  return null;
}

/**
 * Sorts by protocol and port, and among those of one port whatever lies inside another before it; else as in the file.
 * Returns each with its rank. Needs assignments that do not cross.
 */
export function rank<Item extends Covering>(assignments: readonly Item[]): (Item & { order: number })[] {
  // What lies inside A lies inside everything that A lies inside of: counting is enough to sort.
  const depth = new Map(
    assignments.map((item) => [item, assignments.filter((other) => relate(item, other) === 'inside').length]),
  );
  const sorted = [...assignments].sort(
    (a, b) => a.protocol.localeCompare(b.protocol) || a.port - b.port || (depth.get(b) ?? 0) - (depth.get(a) ?? 0),
  );
  const ranks = new Map<string, number>();
  return sorted.map((item) => {
    const key = `${item.protocol}/${String(item.port)}`;
    const order = ranks.get(key) ?? 0;
    ranks.set(key, order + 1);
    return { ...item, order };
  });
}

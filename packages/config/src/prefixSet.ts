// SPDX-License-Identifier: Apache-2.0
import { ANY_IPV4, ANY_IPV6, prefixContains, prefixCovers, type AddressBytes, type Prefix } from '@relatd/model';

/** Prefixes without those inside others, and with neighbours joined: equal sets of addresses become equal lists. */
export function joinPrefixes(prefixes: readonly Prefix[]): Prefix[] {
  const joined: Prefix[] = [];
  // A stack in order of address: the last one is the only one that the next can lie in or be the neighbour of.
  for (const prefix of [...prefixes].sort(byAddress)) {
    const last = joined.at(-1);
    if (last !== undefined && prefixContains(last, prefix)) continue;
    joined.push(prefix);
    for (;;) {
      const right = joined.at(-1);
      const left = joined.at(-2);
      const parent = left && right ? commonParent(left, right) : null;
      if (parent === null) break;
      joined.splice(-2, 2, parent);
    }
  }
  return joined;
}

function byAddress(a: Prefix, b: Prefix): number {
  return a.family - b.family || Buffer.compare(a.bytes, b.bytes) || a.length - b.length;
}

/** The prefix of which two prefixes are the halves, or null. */
function commonParent(left: Prefix, right: Prefix): Prefix | null {
  if (left.family !== right.family || left.length !== right.length || left.length === 0) return null;
  const length = left.length - 1;
  if (left.family === 4 && length < 96) return null;
  const parent: Prefix = { bytes: left.bytes, length, family: left.family };
  const bit = 0x80 >> (length & 7);
  const isLeft = ((left.bytes[length >> 3] ?? 0) & bit) === 0;
  return isLeft && prefixContains(parent, right) ? parent : null;
}

/** The part of `prefixes` in one family, joined; `any` becomes every address of it. */
export function ofFamily(prefixes: readonly Prefix[], family: 4 | 6): Prefix[] {
  const every = family === 4 ? ANY_IPV4 : ANY_IPV6;
  return joinPrefixes(
    prefixes.flatMap((prefix) => (prefix.family === 0 ? [every] : prefix.family === family ? [prefix] : [])),
  );
}

/** Whether all of `inner` lies in `outer`, a joined list: what lies in its union lies in one of it. */
export function within(inner: readonly Prefix[], outer: readonly Prefix[]): boolean {
  return inner.every((prefix) => outer.some((candidate) => prefixContains(candidate, prefix)));
}

/** The parts that two lists share. */
export function common(a: readonly Prefix[], b: readonly Prefix[]): Prefix[] {
  return a.flatMap((left) =>
    b.flatMap((right) => (prefixContains(left, right) ? [right] : prefixContains(right, left) ? [left] : [])),
  );
}

/** An address that looks like somebody's: `preferred` where the prefix has it, else its first. */
export function exampleAddress(prefix: Prefix, preferred: AddressBytes): AddressBytes {
  if (prefixCovers(prefix, preferred)) return preferred;
  const bytes = Uint8Array.from(prefix.bytes);
  // The network's own address would be legal, and look like a mistake.
  if (prefix.length < 127) bytes[15] = (bytes[15] ?? 0) | 1;
  return bytes;
}

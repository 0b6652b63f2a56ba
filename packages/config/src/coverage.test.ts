// SPDX-License-Identifier: Apache-2.0
import { parseAddress, parsePrefix, prefixCovers, type Prefix } from '@relatd/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rank, relate, sharedPacket, type Covering } from './coverage.js';
import { joinPrefixes } from './prefixSet.js';

const INTERFACES = ['eth0', 'eth1'];

/** Small enough to try every packet: 8 addresses of each family. */
const ADDRESSES = {
  4: Array.from({ length: 8 }, (_, index) => `10.0.0.${String(index)}`),
  6: Array.from({ length: 8 }, (_, index) => `2001:db8::${index === 0 ? '' : String(index)}`),
};

function prefix(text: string): Prefix {
  const result = parsePrefix(text);
  if ('prefix' in result) return result.prefix;
  throw new Error(text);
}

const bytes = new Map(
  [...ADDRESSES[4], ...ADDRESSES[6]].map((text) => [text, parseAddress(text) ?? new Uint8Array(16)]),
);

/** Prefixes within the small world: the whole of it stands for its family. */
const anyPrefix = fc
  .tuple(fc.constantFrom<4 | 6>(4, 6), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 7 }))
  .map(([family, length, host]): Prefix => {
    const base = host & (0xf8 >> length) & 7;
    return prefix(`${ADDRESSES[family][base] ?? ''}/${String((family === 4 ? 29 : 125) + length)}`);
  });

const covering: fc.Arbitrary<Covering> = fc.record({
  protocol: fc.constant('tcp' as const),
  port: fc.constant(21),
  interface: fc.constantFrom(null, ...INTERFACES),
  from: fc.array(anyPrefix, { minLength: 1, maxLength: 3 }),
  to: fc.array(anyPrefix, { minLength: 1, maxLength: 3 }),
});

function packets(item: Covering): Set<string> {
  const found = new Set<string>();
  for (const by of INTERFACES) {
    if (item.interface !== null && item.interface !== by) continue;
    for (const family of [4, 6] as const) {
      for (const source of ADDRESSES[family]) {
        if (!covers(item.from, source)) continue;
        for (const destination of ADDRESSES[family]) {
          if (covers(item.to, destination)) found.add(`${by} ${source} ${destination}`);
        }
      }
    }
  }
  return found;
}

function covers(prefixes: readonly Prefix[], address: string): boolean {
  return prefixes.some((item) => prefixCovers(item, bytes.get(address) ?? new Uint8Array(16)));
}

function expected(a: Set<string>, b: Set<string>): string {
  const shared = [...a].filter((packet) => b.has(packet)).length;
  if (shared === 0) return 'apart';
  if (shared === a.size && shared === b.size) return 'equal';
  if (shared === a.size) return 'inside';
  return shared === b.size ? 'around' : 'crossing';
}

describe('coverage', () => {
  it('is what trying every packet says, and the packet of a crossing is in both', () => {
    fc.assert(
      fc.property(covering, covering, (a, b) => {
        const [left, right] = [packets(a), packets(b)];
        expect(relate(a, b)).toBe(expected(left, right));
        const shared = sharedPacket(a, b);
        if (shared === null) return;
        const by = shared.interface ?? 'eth0';
        expect(left.has(`${by} ${shared.source} ${shared.destination}`)).toBe(true);
        expect(right.has(`${by} ${shared.source} ${shared.destination}`)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('ranks what lies inside another first', () => {
    fc.assert(
      fc.property(fc.array(covering, { maxLength: 6 }), (items) => {
        const ranked = rank(items);
        expect(ranked.map(({ order }) => order)).toEqual(ranked.map((_, index) => index));
        for (const [index, item] of ranked.entries()) {
          for (const later of ranked.slice(index + 1)) expect(relate(later, item)).not.toBe('inside');
        }
      }),
      { numRuns: 200 },
    );
  });

  it('joins prefixes without changing what they cover', () => {
    fc.assert(
      fc.property(fc.array(anyPrefix, { maxLength: 6 }), (prefixes) => {
        const joined = joinPrefixes(prefixes);
        for (const address of bytes.keys()) expect(covers(joined, address)).toBe(covers(prefixes, address));
        expect(joinPrefixes([...prefixes].reverse())).toEqual(joined);
      }),
    );
  });

  it('keeps other ports and protocols apart', () => {
    const item: Covering = { protocol: 'tcp', port: 21, interface: null, from: [prefix('::/0')], to: [prefix('::/0')] };
    expect(relate(item, { ...item, port: 22 })).toBe('apart');
    expect(relate(item, { ...item, protocol: 'udp' })).toBe('apart');
    expect(relate(item, { ...item, from: [prefix('0.0.0.0/0')], to: [prefix('0.0.0.0/0')] })).toBe('apart');
  });
});

// SPDX-License-Identifier: Apache-2.0
import { Limit, type AssignmentName } from '@relatd/datapath';
import { formatAddress, parsePrefix } from '@relatd/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AssignmentIds, assertGuardsFit, guardRecords, portAssignments, prefixMask } from './assignments.js';
import { configOf } from './testing.js';

/** The pinned table of names, over restarts. */
class Pinned {
  readonly names = new Map<number, AssignmentName>();

  ids(): AssignmentIds {
    return new AssignmentIds((id) => this.names.get(id) ?? null);
  }

  assign(names: readonly string[], inUse: readonly number[] = [], ids = this.ids()): Record<string, number> {
    const wanted = names.map((name) => ({ name, helper: 'ftp' }));
    const assigned = ids.assign(wanted, new Set(inUse), (id, name) => this.names.set(id, name));
    return Object.fromEntries([...assigned].map(([id, { name }]) => [name, id]));
  }
}

describe('numbers of assignments', () => {
  it('stay with their names over reloads and restarts', () => {
    const pinned = new Pinned();
    expect(pinned.assign(['a', 'b'])).toEqual({ a: 0, b: 1 });
    expect(pinned.assign(['b', 'c'])).toEqual({ b: 1, c: 2 });
    expect(pinned.assign(['c', 'a'])).toEqual({ c: 2, a: 0 });
  });

  it('belong to a name with its helper', () => {
    const ids = new Pinned().ids();
    const names = [
      { name: 'x', helper: 'ftp' },
      { name: 'x', helper: 'irc' },
    ];
    expect([...ids.assign(names, new Set(), () => undefined).keys()]).toEqual([0, 1]);
    expect([ids.name(1).helper, ids.name(2).name]).toEqual(['irc', '#2']);
  });

  it('are used again only when all were used, and then never those of flows or of other assignments', () => {
    const pinned = new Pinned();
    const first = Array.from({ length: Limit.assignments }, (_, index) => `old-${String(index)}`);
    pinned.assign(first);
    const inUse = Array.from({ length: 500 }, (_, index) => index);
    const assigned = pinned.assign(['new-1', 'old-500', 'new-2'], inUse);
    expect(assigned).toEqual({ 'new-1': 501, 'old-500': 500, 'new-2': 502 });
    expect(pinned.names.get(501)?.name).toBe('new-1');
  });

  it('are never shared, whatever was there before', () => {
    const name = fc.integer({ min: 0, max: 700 }).map(String);
    const names = fc.uniqueArray(name, { maxLength: 200 });
    fc.assert(
      fc.property(fc.array(fc.tuple(names, fc.array(fc.nat(Limit.assignments - 1))), { maxLength: 6 }), (rounds) => {
        const pinned = new Pinned();
        for (const [wanted, inUse] of rounds) {
          const before = new Map([...pinned.names].map(([id, { name }]) => [id, name]));
          const assigned = pinned.assign(wanted, inUse);
          expect(new Set(Object.values(assigned)).size).toBe(wanted.length);
          for (const [one, id] of Object.entries(assigned)) {
            expect(pinned.names.get(id)?.name).toBe(one);
            if (inUse.includes(id) && before.has(id)) expect(before.get(id)).toBe(one);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('run out with an error', () => {
    const pinned = new Pinned();
    pinned.assign(Array.from({ length: Limit.assignments }, (_, index) => String(index)));
    const all = [...pinned.names.keys()];
    expect(() => pinned.assign(['one more'], all)).toThrow(/table assignments is full \(512 entries\)/);
  });
});

it.each([
  ['0.0.0.0/0', '::ffff:ffff:ffff', 96],
  ['10.0.0.0/8', 'ff:0:0:0', 104],
  ['192.0.2.10', 'ffff:ffff', 128],
  ['::/0', '', 0],
  ['fe80::/10', 'ffc0', 10],
  ['2001:db8::/33', '8000', 33],
  ['::1', 'ffff', 128],
])('the mask of %s has its %s... %d bits set, the first ones', (text, _, bits) => {
  const parsed = parsePrefix(text);
  if (!('prefix' in parsed)) throw new Error(`no prefix: ${text}`);
  const mask = [...prefixMask(parsed.prefix)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  expect(mask).toBe('1'.repeat(bits).padEnd(128, '0'));
});

const CONFIG = configOf(`
assignments:
  - { helper: ftp, port: 21 }
  - { helper: ftp, name: inside, port: 21, from: [10.0.0.0/8, "fd77::/16"], to: [192.0.2.0/24, "2001:db8::/32"], mark: 0x53000000 }
  - { helper: ftp, name: by, port: 2121, interface: eth7 }
guard:
  - { to: 192.0.2.10, ports: 49152-65535 }
`);

describe('what the datapath gets', () => {
  it('is grouped by port, the more specific first, one entry per pair of prefixes of a family', () => {
    const ids = new Map(CONFIG.assignments.map((assignment, index) => [assignment, index]));
    const ports = portAssignments(
      CONFIG.assignments,
      (one) => ids.get(one) ?? -1,
      () => undefined,
    );
    const name = (id: number): string | undefined => CONFIG.assignments[id]?.name;
    expect(
      ports.map(({ protocol, port, entries }) => [
        `${String(protocol)}/${String(port)}`,
        ...entries.map(
          ({ id, family, from, to }) =>
            `${name(id) ?? ''} v${String(family)} ${formatAddress(from)} ${formatAddress(to)}`,
        ),
      ]),
    ).toEqual([
      ['6/21', 'inside v4 10.0.0.0 192.0.2.0', 'inside v6 fd77:: 2001:db8::', 'ftp v0 :: ::'],
      ['6/2121', 'by v0 :: ::'],
    ]);
  });

  it.each([
    [7, 7],
    [undefined, 0xffffffff],
  ])('names an interface by its number: %s is %d', (ifindex, expected) => {
    const ports = portAssignments(
      CONFIG.assignments,
      () => 0,
      () => ifindex,
    );
    expect(ports.flatMap(({ entries }) => entries.map((entry) => entry.ifindex))).toEqual([0, 0, 0, expected]);
  });

  it('guards', () => {
    expect(guardRecords(CONFIG.guard)).toMatchObject([{ fromPort: 49152, toPort: 65535, family: 4 }]);
    const guards = Array.from({ length: Limit.guards + 1 }, () => CONFIG.guard).flat();
    expect(() => assertGuardsFit(guards)).toThrow(/65 guards, 64 fit/);
  });
});

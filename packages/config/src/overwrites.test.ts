// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { iptablesOverwrites } from './iptablesOverwrites.js';
import { nftOverwrites } from './nftOverwrites.js';
import { formatOverwrite, type Overwrite } from './overwrite.js';

const MASK = 0xff000000;
const KEEP = 'and keep its values inside 0x00ffffff';

/** Statements of nft, and the advice about each; null: it is right. Where the advice is a rule, it must be right. */
const nft: readonly (readonly [rule: string, advice: string | null])[] = [
  ['meta mark set 0x1', 'write "meta mark set meta mark & 0xff000000 | 0x00000001" instead'],
  ['meta mark set meta mark & 0xff000000 | 0x1', null],
  ['meta mark set meta mark | 0x1', null],
  ['meta mark set meta mark ^ 0x1', null],
  ['meta mark set meta mark & 0x00ffffff', 'remove it'],
  ['meta mark set meta mark | 0x52000001', 'write "meta mark set meta mark | 0x00000001" instead'],
  ['meta mark set meta mark ^ 0x52000001', 'write "meta mark set meta mark ^ 0x00000001" instead'],
  ['meta mark set meta mark & 0xfffffff0 ^ 0x1', null],
  [
    'meta mark set meta mark & 0xf ^ 0x3 | 0x10',
    'write "meta mark set meta mark & 0xff00000f ^ 0x00000003 | 0x00000010" instead',
  ],
  ['meta mark set ct mark', 'write "meta mark & 0xff000000 == 0x00000000 meta mark set ct mark & 0x00ffffff" instead'],
  [
    'meta mark set ct mark & 0xff',
    'write "meta mark & 0xff000000 == 0x00000000 meta mark set ct mark & 0x000000ff" instead',
  ],
  [
    'meta mark set ct mark | 0x1',
    'write "meta mark & 0xff000000 == 0x00000000 meta mark set (ct mark | 0x00000001) & 0x00ffffff" instead',
  ],
  [
    'meta mark set ct mark << 4',
    'write "meta mark & 0xff000000 == 0x00000000 meta mark set ct mark << 4 & 0x00ffffff" instead',
  ],
  ['meta mark set ct mark >> 8', 'write "meta mark & 0xff000000 == 0x00000000 meta mark set ct mark >> 8" instead'],
  ['meta mark & 0xff000000 == 0 meta mark set ct mark & 0x00ffffff', null],
  [
    'meta mark & 0xff000000 != 0 meta mark set 0x1',
    'write "meta mark set meta mark & 0xff000000 | 0x00000001" instead',
  ],
  ['meta mark 0x5 meta mark set 0x6', null],
  ['meta mark { 0x5, 0x7 } meta mark set 0x6', null],
  ['meta mark 0x100-0x00ffffff meta mark set 0x6', null],
  ['meta mark 0x52000000 meta mark set 0x6', 'write "meta mark set meta mark & 0xff000000 | 0x00000006" instead'],
  [
    'meta mark 0x5 meta mark set 0x6 meta mark set 0x7',
    'write "meta mark set meta mark & 0xff000000 | 0x00000007" instead',
  ],
  [
    'meta mark set tcp dport map { 80 : 0x1, 443 : 0x2 }',
    `put "meta mark & 0xff000000 == 0x00000000" before it, ${KEEP}`,
  ],
  ['meta mark & 0xff000000 == 0 meta mark set tcp dport map { 80 : 0x1, 443 : 0x2 }', null],
  [
    'meta mark & 0xff000000 == 0 meta mark set tcp dport map { 80 : 0x1, 443 : 0x53000000 }',
    `put "meta mark & 0xff000000 == 0x00000000" before it, ${KEEP}`,
  ],
  ['meta mark set tcp dport map @named', `put "meta mark & 0xff000000 == 0x00000000" before it, ${KEEP}`],
  ['meta mark & 0xff000000 == 0 meta mark set tcp dport map @named', null],
  ['meta mark & 0xff000000 == 0 meta mark set jhash ip saddr mod 4 offset 100', null],
  ['meta mark set numgen inc mod 4', `put "meta mark & 0xff000000 == 0x00000000" before it, ${KEEP}`],
  ['ct mark set meta mark', null],
  ['tcp dport 22 counter accept', null],
];

/** Targets of iptables in the same way. */
const iptables: readonly (readonly [rule: string, advice: string | null])[] = [
  ['-j MARK --set-mark 1', 'write "-j MARK --set-xmark 0x00000001/0x00ffffff" instead'],
  ['-j MARK --set-mark 1/0xff', null],
  ['-j MARK --set-mark 0x52000001/0xff', 'write "-j MARK --set-xmark 0x00000001/0x000000ff" instead'],
  ['-j MARK --or-mark 1', null],
  ['-j MARK --and-mark 0xffffff', 'remove it'],
  ['-j MARK --xor-mark 0x01000001', 'write "-j MARK --set-xmark 0x00000001/0x00000000" instead'],
  ['-m mark --mark 0/0xff000000 -j MARK --set-mark 1', null],
  ['-m mark ! --mark 0/0xff000000 -j MARK --set-mark 1', 'write "-j MARK --set-xmark 0x00000001/0x00ffffff" instead'],
  ['-m connmark --mark 0/0xff000000 -j MARK --set-mark 1', 'write "-j MARK --set-xmark 0x00000001/0x00ffffff" instead'],
  ['-j CONNMARK --restore-mark', 'write "-j CONNMARK --restore-mark --nfmask 0x00ffffff --ctmask 0x00ffffff" instead'],
  ['-j CONNMARK --restore-mark --nfmask 0x00ffffff --ctmask 0x00ffffff', null],
  [
    '-j CONNMARK --restore-mark --nfmask 0x00ffffff --ctmask 0xffffffff',
    'write "-j CONNMARK --restore-mark --nfmask 0x00ffffff --ctmask 0x00ffffff" instead',
  ],
  [
    '-j CONNMARK --restore-mark --nfmask 0x00ffffff --ctmask 0x00ffffff --left-shift-mark 8',
    'write "-j CONNMARK --restore-mark --nfmask 0x00ffffff --ctmask 0x0000ffff --left-shift-mark 8" instead',
  ],
  ['-j CONNMARK --restore-mark --mask 0x52000000', 'remove it'],
  ['-j CONNMARK --save-mark', null],
  ['-p tcp -j TPROXY --on-port 80 --tproxy-mark 1', 'write "-j TPROXY --tproxy-mark 0x00000001/0x00ffffff" instead'],
  ['-p tcp -j TPROXY --on-port 80 --tproxy-mark 1/1', null],
  [
    '-p tcp -j HMARK --hmark-tuple src --hmark-mod 10 --hmark-rnd 1',
    `put "-m mark --mark 0x00000000/0xff000000" before it, ${KEEP}`,
  ],
  ['-m mark --mark 0/0xff000000 -p tcp -j HMARK --hmark-tuple src --hmark-mod 10 --hmark-offset 5 --hmark-rnd 1', null],
  ['-m comment --comment -j -j MARK --set-mark 1/1', null],
  ['-m comment --comment "a \\"quoted -j MARK" -j ACCEPT', null],
];

/** What a shell script prints in a network namespace of its own. */
function inNamespace(script: string): string {
  const run = spawnSync('unshare', ['--net', 'sh', '-eu'], { input: script, encoding: 'utf8', timeout: 30_000 });
  if (run.status !== 0) throw new Error(`${script}\n${run.stdout}${run.stderr}`);
  return run.stdout;
}

const missing = ((): string | null => {
  if (process.getuid?.() !== 0) return 'not root';
  try {
    inNamespace('nft -j list ruleset; iptables-save; ip6tables-legacy-save');
    return null;
  } catch (error) {
    return `no network namespace, nft or iptables: ${String(error)}`;
  }
})();
if (missing !== null) console.warn(`SKIPPED: rules are not read from a kernel (${missing})`);

function nftListing(rules: readonly string[]): string {
  return inNamespace(`nft -f - <<'END'
table inet t {
  map named { type inet_service : mark; }
  chain pre {
    type filter hook prerouting priority mangle
    ${rules.join('\n    ')}
  }
}
END
nft -j -t list ruleset`);
}

function iptablesListing(tool: string, rules: readonly string[]): string {
  const lines = rules.map((rule) => `${tool} -w -t mangle -A PREROUTING ${rule}`);
  return inNamespace([...lines, `${tool}-save`].join('\n'));
}

/** The rules of an advice to write something. */
function advised(overwrites: readonly Overwrite[]): string[] {
  return overwrites.flatMap(({ advice }) => /^write "(.*)" instead$/.exec(advice)?.[1] ?? []);
}

describe('nft', () => {
  const rule = (chain: string, handle: number, ...expr: object[]): object => {
    return { rule: { family: 'inet', table: 'fw', chain, handle, expr } };
  };
  const chain = (name: string, hook?: string, family = 'inet'): object => {
    return {
      chain: { family, table: 'fw', name, ...(hook === undefined ? {} : { type: 'filter', hook, prio: -150 }) },
    };
  };
  const set = (value: unknown): object => ({ mangle: { key: { meta: { key: 'mark' } }, value } });
  const dport = { payload: { protocol: 'tcp', field: 'dport' } };
  const read = (...nftables: object[]): string[] =>
    nftOverwrites(JSON.stringify({ nftables: [{ metainfo: {} }, ...nftables] }), MASK).map(formatOverwrite);

  it('says where, what, and what to write', () => {
    expect(read(chain('pre', 'prerouting'), rule('pre', 4, { counter: null }, set(1)))).toEqual([
      'nft, table inet fw, chain pre, handle 4: "meta mark set 0x00000001" overwrites 0xff000000 of the mark, bits of relatd\'s mark.mask: write "meta mark set meta mark & 0xff000000 | 0x00000001" instead',
    ]);
  });

  it('looks where packets come by before the filter, by jumps and maps, and nowhere else', () => {
    const found = read(
      chain('pre', 'prerouting'),
      chain('post', 'postrouting'),
      chain('pre', 'prerouting', 'bridge'),
      ...['a', 'b', 'c', 'd', 'unused'].map((name) => chain(name)),
      rule('pre', 1, { jump: { target: 'a' } }),
      rule('pre', 2, {
        vmap: {
          key: dport,
          data: {
            set: [
              [80, { goto: { target: 'b' } }],
              [81, { accept: null }],
            ],
          },
        },
      }),
      rule('a', 3, { goto: { target: 'c' } }, set(1)),
      rule('b', 4, set(1)),
      rule('c', 5, { jump: { target: 'a' } }, set(1)),
      rule('unused', 6, set(1)),
      rule('post', 7, { jump: { target: 'd' } }, set(1)),
      rule('d', 8, set(1)),
    );
    expect(found.map((text) => /handle (\d+)/.exec(text)?.[1]).sort()).toEqual(['3', '4', '5']);
  });

  it('takes a named map to lead to any chain of its table', () => {
    const vmap = rule('pre', 1, { vmap: { key: dport, data: '@where' } });
    expect(read(chain('pre', 'input'), chain('a'), vmap, rule('a', 2, set(1)))).toHaveLength(1);
  });

  it('reads what else newer versions print, and nothing from what is not a ruleset', () => {
    const mark = { meta: { key: 'mark' } };
    const flat = set({ '|': [{ '&': [mark, 0xff000000] }, 1, 2] });
    expect(read(chain('pre', 'output'), rule('pre', 1, flat, set('named')))).toHaveLength(1);
    for (const text of ['{}', '[]', 'null', '{"nftables":[null,{"rule":3},{"chain":[]}]}'])
      expect(nftOverwrites(text, MASK)).toEqual([]);
    expect(() => nftOverwrites('Error: no', MASK)).toThrow(SyntaxError);
  });

  it.skipIf(missing !== null)('advises what is right, for every kind of rule that a kernel lists', () => {
    const overwrites = nftOverwrites(nftListing(nft.map(([rule]) => rule)), MASK);
    expect(overwrites.map(({ advice }) => advice)).toEqual(nft.flatMap(([, advice]) => advice ?? []));
    const better = advised(overwrites);
    expect(better.length).toBeGreaterThan(8);
    expect(nftOverwrites(nftListing(better), MASK)).toEqual([]);
  });
});

describe('iptables', () => {
  it('says where, what, and what to write; follows jumps', () => {
    const save = `# Generated by ip6tables-save v1.8.9 on Thu Nov 26 23:55:54 2026
*mangle
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:sub - [0:0]
:unused - [0:0]
-A PREROUTING -p tcp -m comment --comment "to \\"sub\\"" -g sub
-A POSTROUTING -j MARK --set-xmark 0x1/0xffffffff
[3:180] -A sub -i eth0 -j MARK --set-xmark 0x5/0xffffffff
-A unused -j MARK --set-xmark 0x5/0xffffffff
-A sub -j constructor
COMMIT
*raw
:OUTPUT ACCEPT [0:0]
-A OUTPUT -j sub
COMMIT
`;
    expect(iptablesOverwrites('ip6tables', save, MASK).map(formatOverwrite)).toEqual([
      'ip6tables (legacy), table mangle, chain sub: "-i eth0 -j MARK --set-xmark 0x5/0xffffffff" overwrites 0xff000000 of the mark, bits of relatd\'s mark.mask: write "-j MARK --set-xmark 0x00000005/0x00ffffff" instead',
    ]);
  });

  it.skipIf(missing !== null).each(['iptables', 'ip6tables-legacy'])(
    'advises what is right, for every kind of rule that %s-save prints',
    (tool) => {
      const listing = iptablesListing(
        tool,
        iptables.map(([rule]) => rule),
      );
      const overwrites = iptablesOverwrites(tool, listing, MASK);
      expect(overwrites.map(({ advice }) => advice)).toEqual(iptables.flatMap(([, advice]) => advice ?? []));
      const better = advised(overwrites).map((rule) =>
        rule.includes('TPROXY') ? `-p tcp ${rule} --on-port 80` : rule,
      );
      expect(iptablesOverwrites(tool, iptablesListing(tool, better), MASK)).toEqual([]);
    },
  );
});

// SPDX-License-Identifier: Apache-2.0
import { Lab } from '@relatd/lab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relatd, relatdScript, startGateway, type Gateway } from './support/gateway.js';

/** Rules that are wrong, by what the warning about each has in it; between them, such as are right. */
const nftRules = `
table inet marks {
  chain before {
    type filter hook prerouting priority mangle;
    meta mark set 0x1
    meta mark set meta mark & 0xff000000 | 0x1
    meta mark set ct mark
    meta mark & 0xff000000 == 0 meta mark set ct mark & 0x00ffffff
    tcp dport 9 jump more
  }
  chain more { meta mark set tcp dport map { 1 : 0x5, 2 : 0x6 }; }
  chain nowhere { meta mark set 0x2; }
  chain after { type filter hook postrouting priority mangle; meta mark set 0x3; }
}
`;

const iptablesRules = `
for tool in iptables ip6tables-legacy; do
  $tool -w -t mangle -A PREROUTING -p tcp -j MARK --set-mark 0x1
  $tool -w -t mangle -A PREROUTING -p tcp -j MARK --set-mark 0x1/0xffffff
  $tool -w -t mangle -A FORWARD -j CONNMARK --restore-mark
  $tool -w -t mangle -A FORWARD -j CONNMARK --restore-mark --nfmask 0xffffff --ctmask 0xffffff
  $tool -w -t mangle -A POSTROUTING -j MARK --set-mark 0x2
done
`;

const expected = [
  /^ip6tables \(legacy\), table mangle, chain FORWARD: "-j CONNMARK .*write "-j CONNMARK --restore-mark --nfmask 0x00ffffff --ctmask 0x00ffffff" instead$/,
  /^ip6tables \(legacy\), table mangle, chain PREROUTING: "-p tcp -j MARK --set-xmark 0x1\/0xffffffff" .*write "-j MARK --set-xmark 0x00000001\/0x00ffffff" instead$/,
  /^iptables, table mangle, chain FORWARD: "-j CONNMARK /,
  /^iptables, table mangle, chain PREROUTING: "-p tcp -j MARK /,
  /^nft, table inet marks, chain before, handle \d+: "meta mark set 0x00000001" overwrites 0xff000000 .*write "meta mark set meta mark & 0xff000000 \| 0x00000001" instead$/,
  /^nft, table inet marks, chain before, handle \d+: "meta mark set ct mark" /,
  /^nft, table inet marks, chain more, handle \d+: "meta mark set …" .*put "meta mark & 0xff000000 == 0x00000000" before it/,
];

describe('rules that overwrite relatd’s bits of the mark', () => {
  let lab: Lab;
  let gateway: Gateway;

  beforeAll(async () => {
    lab = await Lab.create();
    gateway = await startGateway(lab, { ephemeral: false });
    await lab.gateway.nft(nftRules);
    await lab.gateway.run('sh', ['-eu'], { input: iptablesRules });
  });
  afterAll(async () => {
    try {
      await gateway.close();
    } finally {
      await lab.close();
    }
  });

  const check = (...more: string[]) => relatd(['check', gateway.configPath, ...more]);
  const matches = expected.map((pattern) => expect.stringMatching(pattern) as string);

  it('are what `check` warns of, each with what to write instead, and `status` with a daemon and without', async () => {
    const netns = ['--netns', lab.gateway.path];
    const printed = await check(...netns, '--json');
    const found = JSON.parse(printed.stdout) as { severity: string; path: string; message: string }[];
    expect(found.map(({ message }) => message)).toEqual(matches);
    expect(new Set(found.map(({ severity, path }) => `${severity} ${path}`))).toEqual(new Set(['warning mark.mask']));
    const { code, stderr } = await check(...netns);
    expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 0, lines: expected.length });

    expect((await gateway.client().status()).warnings).toEqual(matches);
    expect((await gateway.relatd('status')).stdout).toContain('warning: nft, table inet marks, chain before');
    // What was found counts for a minute; without a daemon there is nobody to remember.
    await lab.gateway.run('nft', ['delete', 'table', 'inet', 'marks']);
    expect((await gateway.client().status()).warnings).toEqual(matches);
    expect(await gateway.stop()).toBe(0);
    const offline = await gateway.relatd('status', ...netns, '--json');
    const { warnings } = JSON.parse(offline.stdout) as { warnings: string[] };
    expect(warnings.filter((text) => text.includes('overwrites'))).toEqual(matches.slice(0, 4));
  });

  it('are not looked for in a namespace that is not there, nor by who may not list rules', async () => {
    expect(await check('--netns', 'nowhere')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no network namespace nowhere') as string,
    });
    // In a user namespace of its own nobody is root here.
    const args = ['--user', process.execPath, relatdScript, 'check', gateway.configPath];
    expect(await lab.gateway.exec('unshare', args)).toMatchObject({
      code: 0,
      stderr: 'firewall rules were not looked at: only root may list them (note)\n',
    });
  });
});

// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { Namespace as NetworkNamespace, matchDirectory } from '@relatd/datapath';
import { Peer, type Namespace } from '@relatd/lab';
import { describe, expect, it } from 'vitest';
import { relatd } from './support/gateway.js';
import { nothing, openStage, transfers, type Stage } from './support/chains.js';
import { download } from './support/session.js';

const assignments = [
  { name: 'ftp-2121', helper: 'ftp', port: 2121, mark: 0x53000000 },
  { name: 'tftp', helper: 'tftp', port: 69 },
] as const;
const config = { interfaces: ['eth0', 'eth1'], assignments };

/** Every base chain drops but what this accepts; control connections may be opened whichever way. */
function base(command: 'iptables' | 'ip6tables', related: readonly string[]): string {
  const chains = ['INPUT', 'FORWARD', 'OUTPUT'];
  const rules = [
    '-m conntrack --ctstate ESTABLISHED -j ACCEPT',
    '-p tcp --dport 2121 -j ACCEPT',
    '-p udp --dport 69 -j ACCEPT',
    ...(command === 'ip6tables' ? ['-p ipv6-icmp -j ACCEPT'] : []),
    ...related,
  ];
  return [
    '*filter',
    ...chains.map((chain) => `:${chain} DROP [0:0]`),
    ...chains.flatMap((chain) => rules.map((rule) => `-A ${chain} ${rule}`)),
    'COMMIT\n',
  ].join('\n');
}

async function restore(gateway: Namespace, related: readonly string[]): Promise<void> {
  for (const command of ['iptables', 'ip6tables'] as const)
    await gateway.run(`${command}-restore`, ['-w'], { input: base(command, related) });
}

const ANSWER = `
const [address, client, port] = process.argv.slice(1);
const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
socket.bind(0, address, () => socket.connect(Number(port), client, () => socket.send('data', () => socket.close())));`;

/** What a TFTP server on the gateway sends first is a new connection that meets OUTPUT; a socket that is bound is marked. */
async function tftpAnswers({ lab }: Stage): Promise<string[]> {
  await using peer = await Peer.start(lab.client);
  const answers: string[] = [];
  for (const family of ['ipv4', 'ipv6'] as const) {
    const address = family === 'ipv4' ? lab.client.gatewayIpv4 : lab.client.gatewayIpv6;
    const socket = await peer.bind(lab.client[family]);
    await socket.send({ address, port: 69 }, '\0\x01down.bin\0octet\0');
    const { port } = socket.local;
    await lab.gateway.run(process.execPath, ['-e', ANSWER, address, lab.client[family], String(port)]);
    answers.push((await socket.receive()).data);
    await socket.close();
  }
  return answers;
}

function matchPins({ path }: Namespace): string {
  const namespace = NetworkNamespace.open(path);
  try {
    return matchDirectory(namespace);
  } finally {
    namespace.close();
  }
}

describe('rules in INPUT, FORWARD and OUTPUT', () => {
  it('by mark: of one assignment, and not of another', async () => {
    await using site = await openStage({ config });
    const { lab, gateway } = site;
    const byMark = (mark: string): string =>
      `-p tcp --dport 1024: -m mark --mark ${mark}/0xff000000 -m conntrack --ctstate NEW -j ACCEPT`;
    const udp = '-p udp --dport 1024: -m mark --mark 0x52000000/0xff000000 -m conntrack --ctstate NEW -j ACCEPT';
    await restore(lab.gateway, [byMark('0x53000000'), udp]);
    const worked = await transfers(site);
    expect(
      Object.entries(worked).filter(([, yes]) => !yes),
      gateway.history(),
    ).toEqual([]);
    expect(await tftpAnswers(site), gateway.history()).toEqual(['data', 'data']);
    // The mark of another assignment opens nothing.
    await restore(lab.gateway, [byMark('0x52000000')]);
    expect(Object.values(await transfers(site, nothing))).not.toContain(true);
    expect((await gateway.client().status()).output).toEqual({ attached: true, problem: null });
  });

  it('by a pinned program of one assignment, which outlives the datapath until it is purged', async () => {
    await using site = await openStage({ config });
    const { lab, gateway } = site;
    const pins = matchPins(lab.gateway);
    const byProgram = (name: string): string =>
      `-p tcp --dport 1024: -m bpf --object-pinned ${pins}/${name} -m conntrack --ctstate NEW -j ACCEPT`;
    await restore(lab.gateway, [byProgram('ftp-2121')]);
    const worked = await transfers(site);
    expect(
      Object.entries(worked).filter(([, yes]) => !yes),
      gateway.history(),
    ).toEqual([]);
    await restore(lab.gateway, [byProgram('tftp')]);
    expect(Object.values(await transfers(site, nothing))).not.toContain(true);

    await restore(lab.gateway, [byProgram('ftp-2121')]);
    const before = await download(lab.client, { server: lab.server.ipv4 });
    expect(before.code).toBe(0);
    // Taken down: the rules stay valid, can be restored, and match nothing.
    await gateway.stop();
    const down = await relatd(['down', '--netns', lab.gateway.path]);
    expect(down.stdout).toMatch(/^kept the programs for iptables/m);
    expect(existsSync(`${pins}/ftp-2121`)).toBe(true);
    await restore(lab.gateway, [byProgram('ftp-2121'), byProgram('tftp')]);
    expect((await download(lab.client, { server: lab.server.ipv4, timeoutMs: 1000 })).code).not.toBe(0);
    // And up again: rules that were never touched work.
    await gateway.start();
    expect((await download(lab.client, { server: lab.server.ipv4 })).code, gateway.history()).toBe(0);
    await gateway.stop();
    expect((await relatd(['down', '--purge', '--netns', lab.gateway.path])).code).toBe(0);
    expect(existsSync(pins)).toBe(false);

    // At boot the pins are made before the firewall is restored.
    const pinned = await relatd(['pin-match', '-c', gateway.configPath, '--netns', lab.gateway.path]);
    expect(pinned).toMatchObject({ code: 0, stdout: `${pins}/ftp-2121\n${pins}/tftp\n` });
    await restore(lab.gateway, [byProgram('ftp-2121')]);
    await gateway.start();
    expect((await download(lab.client, { server: lab.server.ipv4 })).code, gateway.history()).toBe(0);
    await gateway.stop();
    expect((await relatd(['down', '--purge', '--netns', lab.gateway.path])).code).toBe(0);
  });
});

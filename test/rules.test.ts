// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { Namespace as NetworkNamespace, matchDirectory } from '@relatd/datapath';
import { Peer, type Namespace } from '@relatd/lab';
import { MATCH_DIRECTORY } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import { relatd } from './support/gateway.js';
import { failed, nothing, openStage, transfers, type Stage } from './support/chains.js';
import { download } from './support/session.js';

const assignments = [
  { name: 'ftp-2121', helper: 'ftp', port: 2121, mark: 0x53000000 },
  { name: 'tftp', helper: 'tftp', port: 69 },
] as const;
const config = { interfaces: ['eth0', 'eth1'], assignments };

/** Every base chain drops but control connections, which may be opened whichever way. */
function base(command: 'iptables' | 'ip6tables'): string {
  const chains = ['INPUT', 'FORWARD', 'OUTPUT'];
  const rules = ['-p tcp --dport 2121 -j ACCEPT', '-p udp --dport 69 -j ACCEPT'];
  if (command === 'ip6tables') rules.push('-p ipv6-icmp -j ACCEPT');
  return [
    '*filter',
    ...chains.map((chain) => `:${chain} DROP [0:0]`),
    ...chains.flatMap((chain) => rules.map((rule) => `-A ${chain} ${rule}`)),
    'COMMIT\n',
  ].join('\n');
}

/** Puts the base into force, and on top of it what `relatd rules iptables` prints. */
async function restore({ lab, gateway }: Stage, ...options: string[]): Promise<void> {
  const { code, stdout, stderr } = await relatd(['rules', 'iptables', '-c', gateway.configPath, ...options]);
  expect(code, stderr).toBe(0);
  for (const command of ['iptables', 'ip6tables'] as const)
    await lab.gateway.run(`${command}-restore`, ['-w'], { input: base(command) });
  // They name the pins of the host's own network namespace.
  const rules = stdout.replaceAll(`${MATCH_DIRECTORY}/`, `${matchPins(lab.gateway)}/`);
  await lab.gateway.run('sh', ['-e'], { input: rules });
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

const nftBase = `table inet filter {
  chain input { type filter hook input priority filter; policy drop; }
  chain forward { type filter hook forward priority filter; policy drop; }
  chain output { type filter hook output priority filter; policy drop; }
}
${['input', 'forward', 'output']
  .flatMap((chain) => [
    `add rule inet filter ${chain} icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept`,
    `add rule inet filter ${chain} ct state new tcp dport 2121 accept`,
  ])
  .join('\n')}
`;

describe('rules in INPUT, FORWARD and OUTPUT', () => {
  it('by mark: of all assignments, of one, and not of another', async () => {
    await using site = await openStage({ config });
    const { gateway } = site;
    await restore(site);
    expect(failed(await transfers(site)), gateway.history()).toEqual([]);
    expect(await tftpAnswers(site), gateway.history()).toEqual(['data', 'data']);
    await restore(site, '--assignment', 'ftp-2121');
    expect(failed(await transfers(site, { families: ['ipv4'] })), gateway.history()).toEqual([]);
    await restore(site, '--assignment', 'tftp');
    expect(Object.values(await transfers(site, nothing))).not.toContain(true);
    expect((await gateway.client().status()).output).toEqual({ attached: true, problem: null });
  });

  it('by mark, nft', async () => {
    await using site = await openStage({ config });
    const { lab, gateway } = site;
    await lab.gateway.nft(nftBase);
    await lab.gateway.nft((await relatd(['rules', 'nft', '-c', gateway.configPath])).stdout);
    expect(failed(await transfers(site)), gateway.history()).toEqual([]);
  });

  it('by a pinned program of one assignment, which outlives the datapath until it is purged', async () => {
    await using site = await openStage({ config });
    const { lab, gateway } = site;
    const pins = matchPins(lab.gateway);
    await restore(site, '--by', 'bpf', '--assignment', 'tftp');
    expect(Object.values(await transfers(site, nothing))).not.toContain(true);
    await restore(site, '--by', 'bpf');
    expect(failed(await transfers(site)), gateway.history()).toEqual([]);

    // Taken down: the rules stay valid, can be restored, and match nothing.
    await gateway.stop();
    const down = await relatd(['down', '--netns', lab.gateway.path]);
    expect(down.stdout).toMatch(/^kept the programs for iptables/m);
    expect(existsSync(`${pins}/ftp-2121`)).toBe(true);
    await restore(site, '--by', 'bpf');
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
    await restore(site, '--by', 'bpf');
    await gateway.start();
    expect((await download(lab.client, { server: lab.server.ipv4 })).code, gateway.history()).toBe(0);
    await gateway.stop();
    expect((await relatd(['down', '--purge', '--netns', lab.gateway.path])).code).toBe(0);
  });
});

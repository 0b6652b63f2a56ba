// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { Lab, type LabOptions } from './lab.js';
import { Namespace } from './namespace.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const root = process.getuid?.() === 0;
if (!root) console.warn('skipped: the lab, which needs root');

/** Milliseconds until a closed port has refused a connection: a round trip. Rejects when nothing comes back. */
async function reach(from: Namespace, address: string): Promise<number> {
  const script = `
    const start = performance.now();
    const socket = require('node:net').connect(9, process.argv[1]);
    socket.setTimeout(2000, () => process.exit(1));
    socket.on('error', (error) => {
      console.log(error.code, performance.now() - start);
      process.exit(error.code === 'ECONNREFUSED' ? 0 : 1);
    });`;
  return Number((await from.run(process.execPath, ['-e', script, address])).split(' ')[1]);
}

describe.skipIf(!root)('Lab', () => {
  it.each<[string, LabOptions]>([
    ['plain', {}],
    ['without offload', { offload: false }],
    ['TUN towards the client', { tun: 'client' }],
    ['TUN on both sides', { tun: true }],
    ['bridge', { bridge: true }],
  ])('%s: the client reaches the server', async (_name, options) => {
    await using lab = await Lab.create(options);
    await reach(lab.client, lab.server.ipv4);
    await reach(lab.client, lab.server.ipv6);
  });

  it('has interfaces without Ethernet header', async () => {
    await using lab = await Lab.create({ tun: 'client' });
    expect(await lab.gateway.run('ip', ['-d', 'link', 'show', 'eth0'])).toContain('link/none');
    expect(await lab.gateway.run('ip', ['-d', 'link', 'show', 'eth1'])).toContain('link/ether');
  });

  it('adds a round trip time', async () => {
    await using lab = await Lab.create({ rttMs: 40 });
    await reach(lab.client, lab.server.ipv4);
    const time = await reach(lab.client, lab.server.ipv4);
    expect(time).toBeGreaterThanOrEqual(40);
    expect(time).toBeLessThan(60);
  });

  it('does without IPv6', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await reach(lab.client, lab.server.ipv4);
    await expect(reach(lab.client, lab.server.ipv6)).rejects.toThrow('ENETUNREACH');
  });

  it('masquerades', async () => {
    await using lab = await Lab.create({ masquerade: true });
    await using capture = await lab.server.capture('eth0', 'tcp or (ip6 and ip6[6] == 6)');
    await reach(lab.client, lab.server.ipv4);
    await reach(lab.client, lab.server.ipv6);
    const { packets } = await capture.stop();
    const sources = packets.map(({ data }) => Buffer.from(data.subarray(12, 14)).toString('hex'));
    expect(sources.filter((type) => type === '0800')).toHaveLength(2);
    expect([...(packets[0]?.data.subarray(26, 30) ?? [])]).toEqual([10, 77, 2, 1]);
    await expect(reach(lab.server, lab.client.ipv4)).rejects.toThrow('ENETUNREACH');
  });

  it('takes more hosts', async () => {
    await using lab = await Lab.create({ bridge: true });
    const far = await lab.addHost('far');
    const near = await lab.addHost('near', { bridged: true });
    expect([far.ipv4, near.ipv4]).toEqual(['10.77.3.2', '10.77.1.3']);
    for (const host of [far, near]) {
      await reach(lab.client, host.ipv4);
      await reach(lab.client, host.ipv6);
      await reach(host, lab.server.ipv6);
    }
  });

  it('runs packet filters and counts TCP', async () => {
    await using lab = await Lab.create();
    await lab.gateway.nft('table inet t { chain forward { type filter hook forward priority 0; policy drop; }; }');
    await lab.gateway.iptables(['-A', 'FORWARD', '-j', 'ACCEPT']);
    await lab.gateway.iptables(['-A', 'FORWARD', '-j', 'ACCEPT'], 'ip6tables-legacy');
    await expect(lab.gateway.nft('nonsense')).rejects.toThrow('syntax error');
    const before = await lab.client.tcpStats();
    await lab.client.exec('curl', ['-s', '--max-time', '2', 'http://10.77.2.2:81/']);
    const after = await lab.client.tcpStats();
    expect(after.activeOpens - before.activeOpens).toBe(1);
    expect(after.synRetransmits - before.synRetransmits).toBe(1);
  });

  it('removes processes, namespaces and directories', async () => {
    const lab = await Lab.create();
    const sleeper = await lab.client.spawn('sleep', ['1000']);
    const path = await lab.client.directory();
    await lab.close();
    expect(await sleeper.exited).toBe(137);
    expect(existsSync(path)).toBe(false);
    expect(lab.namespaces.filter(({ path: file }) => existsSync(file))).toEqual([]);
  });

  it('is removed after kill -9 of its process', async () => {
    const index = new URL('../dist/index.js', import.meta.url);
    if (!existsSync(fileURLToPath(index))) throw new Error('build @relatd/lab first');
    const script = `
      const { Lab, Namespace } = await import(${JSON.stringify(index.href)});
      const lab = await Lab.create({ tun: true });
      const inside = await lab.server.spawn('sleep', ['1000']);
      const outside = await Namespace.here.spawn('sleep', ['1000']);
      console.log(await lab.client.directory(), inside.pid, outside.pid);
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const [directory = '', ...pids] = line.toString().trim().split(' ');
    const left = (): string[] => [
      ...readdirSync('/run/netns').filter((name) => name.startsWith(`relatd-${child.pid}-`)),
      ...[directory, ...pids.map((pid) => `/proc/${pid}`)].filter((path) => existsSync(path)),
    ];
    expect(left()).toHaveLength(6);
    child.kill('SIGKILL');
    for (let i = 0; i < 100 && left().length > 0; i++) await sleep(50);
    expect(left()).toEqual([]);
  });

  it('sweeps what a dead process has left', async () => {
    const gone = spawn('true');
    await once(gone, 'exit');
    const name = `relatd-${gone.pid}-1-gw`;
    await Namespace.here.run('ip', ['netns', 'add', name]);
    await using _lab = await Lab.create();
    expect(existsSync(`/run/netns/${name}`)).toBe(false);
  });
});

describe.skipIf(!root)('processes', () => {
  it('reports what cannot be started, what takes too long, and exit codes', async () => {
    await using lab = await Lab.create();
    await expect(lab.client.exec('/no/such/file')).rejects.toThrow('cannot start /no/such/file');
    await expect(lab.client.exec('sleep', ['10'], { timeoutMs: 100 })).rejects.toThrow('not done after 100 ms');
    const result = await lab.client.exec('sh', ['-c', 'cat; echo $A >&2; exit 3'], { input: 'x', env: { A: 'y' } });
    expect(result).toEqual({ code: 3, stdout: 'x', stderr: 'y\n' });
  });

  it('waits for output, and says what came when it does not', async () => {
    await using lab = await Lab.create();
    await using talker = await lab.client.spawn('sh', ['-c', 'echo one; sleep 0.1; echo port 42; sleep 100']);
    expect((await talker.waitFor(/port (\d+)/))[1]).toBe('42');
    await expect(talker.waitFor(/never/, 50)).rejects.toThrow('50 ms passed before /never/; output:\none');
    expect(await talker.stop()).toBe(143);
    await expect(talker.waitFor(/never/)).rejects.toThrow('ended with 143');
  });
});

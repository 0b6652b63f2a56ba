// SPDX-License-Identifier: Apache-2.0
// The short of transfers.test.ts, for kernels other than this machine's. In a guest whose code is translated a daemon
// needs half a minute to its first line, so this waits longer than test/support would.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { RelatdClient } from '@relatd/client';
import { Lab, Namespace, startVsftpd, transfer, type FtpServer, type RunningProcess } from '@relatd/lab';
import { formatEvent, type Event } from '@relatd/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relatdScript } from '../support/gateway.js';

/** Milliseconds until anything is done, at the latest. */
const timeoutMs = 240_000;
const content = randomBytes(100_000);
const alice = { user: 'alice', password: 'sesame' };

/** A daemon that is slow is not what is to be seen here. */
const config = (port: number): string =>
  JSON.stringify({
    interfaces: ['eth0', 'eth1'],
    hold: { deadline: '10s' },
    listen: { metrics: 'off' },
    assignments: [{ helper: 'ftp', port }],
  });

/** Accepts the log-in, counts the SYNs that nobody accepted. What `relatd rules` prints comes on top. */
const firewall = `table inet filter {
  counter dropped-syn { }
  chain input { type filter hook input priority filter; policy drop; iifname "lo" accept; }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state new tcp dport 21 accept
    tcp flags & (syn | ack) == syn counter name dropped-syn
  }
}
`;

describe('behind a firewall that drops', () => {
  let lab: Lab;
  let server: FtpServer;
  let daemon: RunningProcess;
  let client: RelatdClient;
  let configPath: string;
  const events: Event[] = [];
  const history = (): string => `${events.map(formatEvent).join('\n')}\n${daemon.stderr}`;

  beforeAll(async () => {
    lab = await Lab.create({ ipv6: false });
    const directory = await lab.gateway.directory();
    configPath = join(directory, 'relatd.yaml');
    const socketPath = join(directory, 'relatd.sock');
    await writeFile(configPath, config(21));
    const rules = await Namespace.here.run(process.execPath, [relatdScript, 'rules', 'nft', '-c', configPath], {
      timeoutMs,
    });
    await lab.gateway.nft(firewall + rules);
    const args = ['up', '-c', configPath, '--netns', lab.gateway.path, '--socket', socketPath, '--ephemeral'];
    daemon = await Namespace.here.spawn(process.execPath, [relatdScript, ...args]);
    await daemon.waitFor(/^relatd ready.*$/m, timeoutMs);
    client = new RelatdClient(socketPath);
    await new Promise<void>((resolve, reject) => {
      const read = async (): Promise<void> => {
        for await (const event of client.events({ onOpen: resolve })) events.push(event);
      };
      read().catch(reject);
    });
    server = await startVsftpd(lab.server, { users: [{ name: alice.user, password: alice.password }] });
    await writeFile(join(server.root, 'down.bin'), content);
  });

  afterAll(async () => {
    // What is not set was not reached.
    const set: Partial<{ lab: Lab; daemon: RunningProcess }> = { lab, daemon };
    try {
      const code = (await set.daemon?.stop({ graceMs: timeoutMs })) ?? 0;
      // An ephemeral daemon removes what it has pinned, unless it fails.
      const down = [relatdScript, 'down', '--netns', lab.gateway.path];
      if (code !== 0) await Namespace.here.exec(process.execPath, down, { timeoutMs });
      expect(code, set.daemon?.stderr).toBe(0);
    } finally {
      await set.lab?.close();
    }
  });

  async function droppedSyns(): Promise<number> {
    const text = await lab.gateway.run('nft', ['list', 'counter', 'inet', 'filter', 'dropped-syn']);
    return Number(/packets (\d+)/.exec(text)?.[1]);
  }

  it('the daemon attaches by what this kernel has: tcx from 6.6 on, clsact before', async () => {
    const [major = 0, minor = 0] = release().split('.').map(Number);
    const mode = major > 6 || (major === 6 && minor >= 6) ? 'tcx' : 'clsact';
    const { interfaces } = await client.status();
    expect(interfaces.map((one) => [one.name, one.mode])).toEqual([
      ['eth0', mode],
      ['eth1', mode],
    ]);
  });

  it.each([
    ['passive', 'PASV'],
    ['active', 'PORT'],
  ] as const)('a transfer that is %s gets through, as one related flow', async (mode, verb) => {
    const from = events.length;
    const { code, output, bytesOk } = await transfer(lab.client, 'curl', {
      ...{ ...alice, server: lab.server.ipv4, mode, extended: false, timeoutMs },
      ...{ op: 'get', file: 'down.bin', content },
    });
    expect({ code, bytesOk }, `${output}\n${history()}`).toEqual({ code: 0, bytesOk: true });
    expect(output).toMatch(new RegExp(`^> ${verb}\\b`, 'm'));
    const own = (type: Event['type']): Event[] => events.slice(from).filter((event) => event.type === type);
    await expect.poll(() => own('related.end').length, { timeout: timeoutMs }).toBe(1);
    await expect.poll(() => own('control.end').length, { timeout: timeoutMs }).toBe(1);
    expect(own('related.new'), history()).toMatchObject([
      { flow: { kind: 'related', helper: 'ftp', assignment: 'ftp', detail: { user: 'alice' } } },
    ]);
    expect(await droppedSyns()).toBe(0);
  });

  it('without an assignment none does, though the log-in does', async () => {
    const from = events.length;
    await writeFile(configPath, config(2121));
    await client.reload();
    const url = `ftp://${alice.user}:${alice.password}@${lab.server.ipv4}/down.bin`;
    // It would wait for minutes: what it waits for is seen at the firewall.
    await using curl = await lab.client.spawn('curl', ['-q', '-sSv', '--noproxy', '*', '--disable-epsv', url]);
    await curl.waitFor(/^< 227 /m, timeoutMs);
    await expect.poll(droppedSyns, { timeout: timeoutMs }).toBeGreaterThan(0);
    expect(events.slice(from).filter(({ type }) => type.endsWith('.new'))).toEqual([]);
  });
});

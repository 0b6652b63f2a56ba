// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Peer, startTftpServer, tftpTransfer, type Namespace } from '@relatd/lab';
import type { Event } from '@relatd/model';
import { beforeAll, expect, it } from 'vitest';
import { relatd } from './support/gateway.js';
import { alice, mustDownload, serve } from './support/session.js';
import { acceptUdp } from './support/udpControl.js';
import { useGateway } from './support/useGateway.js';

const config = {
  interfaces: ['eth0', 'eth1'],
  assignments: [
    { name: 'ftp-2121', helper: 'ftp', port: 2121, interface: 'eth0' },
    { helper: 'tftp', port: 69 },
  ],
};

const site = useGateway({}, { config });
beforeAll(async () => acceptUdp(site().lab.gateway, 'nft', 69));

const content = randomBytes(50_000);

/** Captures in two ways: one file has names of interfaces, in the other every forwarded packet stands twice. */
async function capture(namespace: Namespace): Promise<{ files: readonly string[]; stop: () => Promise<void> }> {
  const directory = await namespace.directory();
  const files = [join(directory, 'eth0.pcapng'), join(directory, 'any.pcap')] as const;
  const dumpcap = await namespace.spawn('dumpcap', ['-q', '-i', 'eth0', '-w', files[0]]);
  // Room for bursts: of packets that are cut on their way into segments only the beginning is kept.
  const tcpdump = await namespace.spawn('tcpdump', ['-n', '-s', '2000', '-Z', 'root', '-i', 'any', '-w', files[1]]);
  await dumpcap.waitFor(/^File: /m);
  await tcpdump.waitFor(/listening on/);
  return {
    files,
    async stop() {
      // The last packets may still be on their way to the files.
      await sleep(1000);
      await dumpcap.stop({ signal: 'SIGINT' });
      await tcpdump.stop({ signal: 'SIGINT' });
    },
  };
}

/** A session that announces somebody else's address. */
async function bounce(client: Namespace, server: string): Promise<void> {
  await using peer = await Peer.start(client);
  const control = await peer.connect(server, 2121);
  const ask = async (line: string, answer: RegExp): Promise<void> => {
    await control.write(`${line}\r\n`);
    await control.waitFor(answer);
  };
  await control.waitFor(/^220 /);
  await ask(`USER ${alice.user}`, /^331 /m);
  await ask(`PASS ${alice.password}`, /^230 /m);
  await ask('PORT 10,9,9,9,129,161', /^5\d\d /m);
  await ask('QUIT', /^221 /m);
  await control.waitForEnd();
  await control.end();
}

/** What happened to each control connection, by its opener, in order; without what is by chance or another clock's. */
function histories(events: readonly Event[]): Record<string, unknown[]> {
  const openers = new Map<string, string>();
  const found: Record<string, unknown[]> = {};
  for (const { type, flow, expectation, reason } of events) {
    if (flow !== undefined && !('kind' in flow)) continue;
    const subject = flow ?? expectation;
    if (subject === undefined) continue;
    if (flow?.kind === 'control') openers.set(flow.id, `${flow.source.address} ${String(flow.source.port)}`);
    const opener = openers.get(flow?.kind === 'control' ? flow.id : (subject.master ?? '')) ?? 'of nobody';
    const { assignment, helper, protocol, source, destination } = subject;
    const end = type.endsWith('.end') && flow !== undefined ? { packets: flow.packets, bytes: flow.bytes } : {};
    const detail = type === 'related.end' ? flow.detail : undefined;
    (found[opener] ??= []).push({ type, assignment, helper, protocol, source, destination, reason, ...end, detail });
  }
  return found;
}

it('a capture gives the events that monitor gave', async (context) => {
  if (!existsSync('/usr/bin/dumpcap')) context.skip('dumpcap is not installed');
  const { lab, gateway } = site();
  await using _ftp = await serve(lab.server);
  await using tftp = await startTftpServer('tftpd-hpa', lab.server);
  await writeFile(join(tftp.root, 'down.bin'), content);
  const { files, stop } = await capture(lab.gateway);

  const server = lab.server.ipv4;
  await mustDownload(gateway, lab.client, { server, mode: 'passive', extended: false });
  await mustDownload(gateway, lab.client, { server: lab.server.ipv6, mode: 'active', extended: true });
  await bounce(lab.client, server);
  const transfer = { server, op: 'get', file: 'down.bin', content, root: tftp.root } as const;
  const { code, bytesOk, output } = await tftpTransfer(lab.client, 'curl', transfer);
  expect({ code, bytesOk }, output).toEqual({ code: 0, bytesOk: true });
  await gateway.event('control.end', ({ flow }) =>
    gateway.of('expectation.refused').some(({ expectation }) => expectation?.master === flow.id),
  );
  await gateway.event('related.new', ({ flow }) => flow.helper === 'tftp');
  await stop();

  const seen = histories(gateway.events);
  expect(Object.keys(seen)).toHaveLength(4);
  for (const file of files) {
    const { code, stdout, stderr } = await relatd(['replay', '--json', '-c', gateway.configPath, file]);
    expect(code, stderr).toBe(0);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Event);
    expect(histories(events), `${file}\n${stderr}`).toEqual(seen);
    expect(stderr).toContain(
      '4 control connections, 3 expectations, 3 related flows; 1 announcement refused (address 1)',
    );
    expect(stderr.includes('does not say by which interface')).toBe(file.endsWith('any.pcap'));
  }
});

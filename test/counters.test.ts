// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode, Lab, startVsftpd, transfer, type Capture, type DecodedTcp, type FtpServer } from '@relatd/lab';
import type { ControlFlow, Directions, Flow, RelatedFlow } from '@relatd/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Gateway } from './support/gateway.js';

const content = randomBytes(600_000);

/** A packet as the wire saw it; `network` and `header` are bytes at IP level. */
interface Seen {
  src: string;
  tcp: DecodedTcp;
  network: number;
  header: number;
}

/** Packets of one connection, by direction. */
function packetsOf(seen: readonly Seen[], flow: Flow): { original: Seen[]; reply: Seen[] } {
  const of = (from: Flow['source'], to: Flow['source']): Seen[] =>
    seen.filter(({ src, tcp }) => src === from.address && tcp.sport === from.port && tcp.dport === to.port);
  return { original: of(flow.source, flow.destination), reply: of(flow.destination, flow.source) };
}

/**
 * What relatd must have counted. A merged packet stands for as many as its sender's segment size makes of it; Linux sends
 * full segments of 1500 bytes less the headers.
 */
function expected(packets: readonly Seen[]): { packets: number; bytes: number } {
  return packets.reduce(
    (sum, { network, header }) => {
      const segments = Math.max(1, Math.ceil((network - header) / (1500 - header)));
      return { packets: sum.packets + segments, bytes: sum.bytes + network + (segments - 1) * header };
    },
    { packets: 0, bytes: 0 },
  );
}

async function read(capture: Capture): Promise<Seen[]> {
  const { packets } = await capture.stop();
  return packets.flatMap(({ data, length }) => {
    const { ip, tcp } = decode(data);
    if (ip === undefined || tcp === undefined) return [];
    const network = length - 14;
    return [{ src: ip.src, tcp, network, header: network - tcp.payload.length }];
  });
}

describe.each([
  ['every packet of at most 1500 bytes', false],
  ['packets merged by GSO and GRO', true],
] as const)('%s: packets and bytes are exactly those of the wire', (_name, offload) => {
  let lab: Lab;
  let gateway: Gateway;
  let server: FtpServer;

  beforeAll(async () => {
    lab = await Lab.create({ ...(offload ? {} : { offload }) });
    gateway = await startGateway(lab);
    server = await startVsftpd(lab.server, { port: 2121, users: [{ name: 'alice', password: 'sesame' }] });
    await writeFile(join(server.root, 'down.bin'), content);
  });
  afterAll(async () => {
    await gateway.close();
    await lab.close();
  });

  it.each([
    { family: 'ipv4', mode: 'passive', op: 'get', command: 'RETR', file: 'down.bin' },
    { family: 'ipv6', mode: 'passive', op: 'put', command: 'STOR', file: 'up.bin' },
    { family: 'ipv4', mode: 'active', op: 'put', command: 'STOR', file: 'up4.bin' },
    { family: 'ipv6', mode: 'active', op: 'get', command: 'RETR', file: 'down.bin' },
  ] as const)('$family, $mode, $op', async ({ family, mode, op, command, file }) => {
    const client = lab.client[family];
    // Where each packet is sent: on the gateway a capture sees held packets twice.
    const captures = await Promise.all([
      lab.client.capture('eth0', `tcp and src host ${client}`),
      lab.server.capture('eth0', `tcp and src host ${lab.server[family]}`),
    ]);
    const since = Date.now();
    const { code, output, bytesOk } = await transfer(lab.client, 'curl', {
      ...{ server: lab.server[family], port: 2121, user: 'alice', password: 'sesame', root: server.root },
      ...{ mode, op, file, content },
    });
    expect({ code, bytesOk }, output).toEqual({ code: 0, bytesOk: true });
    const ended = await gateway.event('control.end', ({ flow }) => Date.parse(flow.created) >= since - 100);
    const related = await gateway.event('related.end', ({ flow }) => flow.master === ended.flow.id);
    const seen = (await Promise.all(captures.map(read))).flat();

    // By the command, as a user's script reads it.
    const { code: exit, stdout } = await gateway.relatd('flows', '--json');
    expect(exit).toBe(0);
    const flows = JSON.parse(stdout) as Flow[];
    const control = flows.find((flow): flow is ControlFlow => flow.id === ended.flow.id);
    const data = flows.find((flow): flow is RelatedFlow => flow.id === related.flow.id);
    if (control?.kind !== 'control' || data?.kind !== 'related') throw new Error(`flows are missing: ${stdout}`);

    expect(data).toMatchObject({
      ...{ kind: 'related', assignment: 'ftp-2121', helper: 'ftp', protocol: 'tcp', state: 'closed' },
      ...{ mark: '0x52000000', master: control.id, interface: mode === 'passive' ? 'eth0' : 'eth1' },
      source: { address: mode === 'passive' ? client : lab.server[family] },
      destination: { address: mode === 'passive' ? lab.server[family] : client },
      detail: { user: 'alice', command, argument: file },
    });
    expect(data).not.toHaveProperty('trust');
    expect(control).toMatchObject({
      ...{ kind: 'control', assignment: 'ftp-2121', protocol: 'tcp', state: 'closed', master: null, trust: 'ok' },
      ...{ interface: 'eth0', source: { address: client } },
      destination: { address: lab.server[family], port: 2121 },
    });
    for (const flow of [data, control]) {
      expect(Math.abs(Date.parse(flow.created) - since)).toBeLessThan(30_000);
      expect(flow.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(flow.idleSeconds).toBeGreaterThanOrEqual(0);
      // Nothing is kept for a control connection before its handshake is complete, so its SYN and SYN-ACK are not counted.
      const counts = ({ tcp }: Seen): boolean => flow.kind === 'related' || !tcp.flags.includes('S');
      const { original, reply } = packetsOf(seen.filter(counts), flow);
      const counted = { packets: flow.packets, bytes: flow.bytes };
      const [there, back] = [expected(original), expected(reply)];
      const both = (key: 'packets' | 'bytes'): Directions => ({ original: there[key], reply: back[key] });
      expect(counted, flow.kind).toEqual({ packets: both('packets'), bytes: both('bytes') });
    }
    const merged = packetsOf(seen, data);
    const largest = Math.max(...[...merged.original, ...merged.reply].map(({ network }) => network));
    if (offload) expect(largest).toBeGreaterThan(1500);
    else expect(largest).toBe(1500);
  });
});

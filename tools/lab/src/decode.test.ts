// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decode } from './decode.js';
import { fragments } from './fragment.js';
import { tcp, tcpOption, udp, type TcpOptions } from './packet.js';
import { linkType, readPcap, writePcap } from './pcap.js';

const v4 = { src: '10.77.1.2', dst: '10.77.2.2', sport: 40000, dport: 21 };
const v6 = { ...v4, src: 'fd77:1::2', dst: 'fd77:2::2' };
const payload = 'EPSV\r\n';

describe('decode', () => {
  const cases: [string, TcpOptions][] = [
    ['IPv4', v4],
    ['IPv4 with options', { ...v4, ipOptions: Uint8Array.of(148, 4, 0, 0) }],
    ['IPv6', v6],
    ['tags', { ...v4, vlan: [5, 6] }],
    [
      'extension headers',
      { ...v6, extensions: [{ kind: 'hop-by-hop' }, { kind: 'routing' }, { kind: 'destination' }] },
    ],
    ['an authentication header', { ...v6, extensions: [{ kind: 'authentication', body: new Uint8Array(14) }] }],
    ['no Ethernet header', { ...v6, ethernet: false }],
  ];
  it.each(cases)('reads what was built: %s', (_name, options) => {
    const over = { seq: 4294967295, ack: 7, flags: 'FPAU', options: tcpOption.mss(9), payload, ttl: 3 };
    const { ethernet = true } = options;
    const decoded = decode(tcp({ ...options, ...over }), { ethernet });
    expect(decoded.ip).toEqual({
      version: options.src === v4.src ? 4 : 6,
      src: options.src,
      dst: options.dst,
      ttl: 3,
      protocol: 6,
    });
    expect(decoded.vlan).toEqual(options.vlan ?? []);
    expect(decoded.tcp).toMatchObject({ sport: 40000, dport: 21, seq: 4294967295, ack: 7, flags: 'FPAU' });
    expect(decoded.tcp?.options).toEqual(tcpOption.mss(9));
    expect(Buffer.from(decoded.tcp?.payload ?? []).toString()).toBe(payload);
  });

  it('knows Ethernet padding from payload', () => {
    const frame = new Uint8Array(64);
    frame.set(udp({ ...v4, payload: 'a' }));
    expect(decode(frame).udp?.payload).toEqual(Uint8Array.of(97));
  });

  it.each([
    ['IPv4', v4],
    ['IPv6', v6],
  ])('%s fragments: ports in the first alone', (_name, ends) => {
    const [first, second] = fragments(tcp({ ...ends, payload }), 24, { id: 3 }).map((piece) => decode(piece));
    expect(first?.ip?.fragment).toEqual({ offset: 0, more: true, id: 3 });
    expect(first?.tcp?.dport).toBe(21);
    expect(second?.ip).toMatchObject({ protocol: 6, fragment: { offset: 24, more: false, id: 3 } });
    expect(second?.tcp).toBeUndefined();
  });

  it('never throws on a cut frame', () => {
    const frame = tcp({ ...v6, vlan: 1, extensions: [{ kind: 'hop-by-hop' }], payload });
    for (let length = 0; length < frame.length; length++) decode(frame.subarray(0, length));
  });
});

describe('pcap files', () => {
  it('read back as written', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pcap-'));
    try {
      const path = join(directory, 'two.pcap');
      const packets = [v4, v6].map((ends) => tcp({ ...ends, ethernet: false }));
      await writePcap(path, packets, linkType.raw);
      const file = await readPcap(path);
      expect(file.link).toBe(101);
      expect(file.packets.map(({ data, time }) => [data, time])).toEqual([
        [packets[0], 0],
        [packets[1], 0.001],
      ]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

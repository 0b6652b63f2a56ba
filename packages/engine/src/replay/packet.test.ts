// SPDX-License-Identifier: Apache-2.0
import { concat, ip, tcp, tcpOption, udp, type TcpOptions } from '@relatd/lab';
import { formatAddress } from '@relatd/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CapturedPacket } from './capture.js';
import { readPacket, type Packet } from './packet.js';
import { captured, cooked } from './testing.js';

const v4 = { src: '10.0.1.2', dst: '10.0.2.2' };
const v6 = { src: 'fd00::1', dst: 'fd00::2' };
const segment: TcpOptions = { ...v4, sport: 1000, dport: 21, seq: 7, ack: 9, payload: 'hello' };

const read = (packet: CapturedPacket): ReturnType<typeof readPacket> => readPacket(packet, () => true);

/** What was read, on a line. */
function text(packet: ReturnType<typeof readPacket>): string | null {
  if (packet === null || typeof packet === 'string') return packet;
  const { tuple, seq, ack, payload, payloadLength } = packet;
  const from = `${formatAddress(tuple.source)} ${String(tuple.sourcePort)}`;
  const to = `${formatAddress(tuple.destination)} ${String(tuple.destinationPort)}`;
  const cut = payload.length < payloadLength ? ` of ${String(payloadLength)}` : '';
  return `${from} > ${to} ${String(seq)} ${String(ack)} ${Buffer.from(payload).toString()}${cut}`;
}

const raw = tcp({ ...segment, ethernet: false });
const sll = concat(Uint8Array.of(0, 4, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0), raw);

describe('a packet is read', () => {
  it.each<[string, CapturedPacket]>([
    ['Ethernet', captured(tcp(segment))],
    ['Ethernet with a tag', captured(tcp({ ...segment, vlan: 5 }))],
    ['Ethernet with two tags', captured(tcp({ ...segment, vlan: [5, 6] }))],
    ['Ethernet with padding', captured(concat(tcp(segment), new Uint8Array(20)))],
    ['Linux cooked', captured(sll, { link: 113 })],
    ['Linux cooked, version 2', captured(new Uint8Array(), cooked(tcp(segment), 3, 'in'))],
    ['raw IP', captured(raw, { link: 101 })],
    ['raw IP by the number of a system', captured(raw, { link: 12 })],
    ['raw IPv4', captured(raw, { link: 228 })],
    ['null, little-endian', captured(concat(Uint8Array.of(2, 0, 0, 0), raw), { link: 0 })],
    ['null, big-endian', captured(concat(Uint8Array.of(0, 0, 0, 2), raw), { link: 0 })],
    ['loop', captured(concat(Uint8Array.of(0, 0, 0, 2), raw), { link: 108 })],
    ['IP options', captured(tcp({ ...segment, ipOptions: new Uint8Array(8) }))],
    ['without a length in its header', captured(tcp({ ...segment, ipLength: 0 }))],
  ])('%s', (_, packet) => {
    const length = packet.length > 0 ? packet.length : packet.data.length;
    expect(text(read({ ...packet, length }))).toBe('10.0.1.2 1000 > 10.0.2.2 21 7 9 hello');
  });

  it('IPv6, with extension headers', () => {
    const extensions = [
      { kind: 'hop-by-hop' },
      { kind: 'fragment', offset: 0, more: false },
      { kind: 'authentication', body: new Uint8Array(10) },
    ] as const;
    expect(text(read(captured(tcp({ ...segment, ...v6, extensions }))))).toBe('fd00::1 1000 > fd00::2 21 7 9 hello');
    const loop = concat(Uint8Array.of(30, 0, 0, 0), udp({ ...v6, sport: 1, dport: 69, payload: 'x', ethernet: false }));
    expect(text(read(captured(loop, { link: 0 })))).toBe('fd00::1 1 > fd00::2 69 0 0 x');
  });

  it('with the size of segments, and the rest that following needs', () => {
    const options = [tcpOption.nop(), tcpOption.mss(1460), tcpOption.sackPermitted()];
    const syn = read(captured(tcp({ ...segment, flags: 'SF', options, ttl: 61 }))) as Packet;
    expect(syn).toMatchObject({ segmentSize: 1460, ttl: 61, flags: 3, headers: 48, length: 53, end: 13, urgent: 0 });
    expect(read(captured(tcp({ ...segment, options })))).toMatchObject({ segmentSize: null });
    expect(read(captured(tcp({ ...segment, flags: 'UA', urgent: 2 })))).toMatchObject({ urgent: 2 });
  });

  it('as far as the capture has it', () => {
    const frame = tcp(segment);
    const cut = (bytes: number): CapturedPacket => captured(frame.subarray(0, bytes), { length: frame.length });
    expect(text(read(cut(frame.length - 2)))).toBe('10.0.1.2 1000 > 10.0.2.2 21 7 9 hel of 5');
    expect(text(read(cut(frame.length - 5)))).toBe('10.0.1.2 1000 > 10.0.2.2 21 7 9  of 5');
    for (let bytes = 0; bytes < frame.length - 5; bytes++) expect(read(cut(bytes)), String(bytes)).toBe('truncated');
  });
});

describe('a packet is not read', () => {
  it.each<[string, Uint8Array]>([
    ['not-ip', ip({ ...v4, etherType: 0x0806 }, new Uint8Array(20))],
    ['not-ip', tcp({ ...segment, vlan: [1, 2, 3] })],
    ['not-tracked-protocol', ip({ ...v4, protocol: 1 }, new Uint8Array(20))],
    ['not-tracked-protocol', ip({ ...v6, protocol: 58 }, new Uint8Array(20))],
    ['fragment', tcp({ ...segment, moreFragments: true })],
    ['fragment', tcp({ ...segment, ...v6, extensions: [{ kind: 'fragment', offset: 8 }] })],
    ['malformed', tcp({ ...segment, version: 5 })],
    ['malformed', tcp({ ...segment, ihl: 4 })],
    ['malformed', tcp({ ...segment, ipLength: 10 })],
    ['malformed', tcp({ ...segment, dataOffset: 4 })],
    ['malformed', tcp({ ...segment, dataOffset: 15 })],
    ['truncated', tcp({ ...segment, ipLength: 100 })],
    [
      'extension-headers',
      tcp({ ...segment, ...v6, extensions: Array<{ kind: 'destination' }>(7).fill({ kind: 'destination' }) }),
    ],
  ])('%s', (reason, frame) => {
    expect(read(captured(frame))).toBe(reason);
  });

  it('when nobody asks for its ports', () => {
    const asked: number[][] = [];
    const filter = (...ports: number[]): boolean => asked.push(ports) === 0;
    expect(readPacket(captured(tcp(segment)), filter)).toBeNull();
    expect(asked).toEqual([[6, 1000, 21]]);
  });
});

it('any bytes are a packet or a reason', () => {
  const frames = [tcp(segment), sll, raw, tcp({ ...segment, ...v6, extensions: [{ kind: 'routing' }] })];
  fc.assert(
    fc.property(
      fc.constantFrom(...frames),
      fc.constantFrom(0, 1, 12, 101, 108, 113, 228, 276),
      fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 6 }),
      fc.nat(120),
      fc.nat(2000),
      (frame, link, changes, cut, more) => {
        const data = Uint8Array.from(frame);
        for (const [at, value] of changes) if (at < data.length) data[at] = value;
        const kept = data.subarray(0, cut);
        const packet = read(captured(kept, { link, length: kept.length + more }));
        if (packet === null || typeof packet === 'string') return;
        expect(packet.payload.length).toBeLessThanOrEqual(packet.payloadLength);
        expect(packet.length).toBeGreaterThanOrEqual(packet.headers);
      },
    ),
  );
});

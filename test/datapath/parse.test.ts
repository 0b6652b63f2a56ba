// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { fragments, ip, tcp, udp, type TcpOptions } from '@relatd/lab';
import { foreign, mask, type Place, type Reason } from './rig.js';
import { Session, client4, client6, server4, server6 } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();

/** A SYN to the assigned port: where it is understood, the program asks for the interface. */
const syn = { sport: 40000, dport: 21, seq: 1, flags: 'S' } as const;
const v4 = { src: '10.0.1.2', dst: '10.0.2.2' } as const;
const v6 = { src: '2001:db8:1::2', dst: '2001:db8:2::2' } as const;
const options = (count: number) => Array.from({ length: count }, () => ({ kind: 'destination' as const }));
const big = { kind: 'destination', body: new Uint8Array(1022) } as const;

type Count = Partial<Record<keyof typeof Reason, number>>;

describe('what cannot be a tracked packet passes, counted by reason', () => {
  const cases: [string, Uint8Array, Count][] = [
    ['ARP', ip({ ...v4, etherType: 0x0806 }, new Uint8Array(20)), { notIp: 1 }],
    ['PPPoE', tcp({ ...v4, ...syn, etherType: 0x8864 }), { notIp: 1 }],
    ['three VLAN tags', tcp({ ...v4, ...syn, vlan: [5, 6, 7] }), { notIp: 1 }],
    ['ICMP', ip({ ...v4, protocol: 1 }, new Uint8Array(8)), { notTrackedProtocol: 1 }],
    ['ICMPv6', ip({ ...v6, protocol: 58 }, new Uint8Array(8)), { notTrackedProtocol: 1 }],
    ['ESP behind IPv6', ip({ ...v6, protocol: 50 }, new Uint8Array(20)), { notTrackedProtocol: 1 }],
    ['IPv6 without next header', ip({ ...v6 }, new Uint8Array(0)), { notTrackedProtocol: 1 }],
    ['version 5', tcp({ ...v4, ...syn, version: 5 }), { malformed: 1 }],
    ['version 4 behind the IPv6 type', tcp({ ...v6, ...syn, version: 4 }), { malformed: 1 }],
    ['IP header of 16 bytes', tcp({ ...v4, ...syn, ihl: 4 }), { malformed: 1 }],
    ['IP header beyond the packet', tcp({ ...v4, ...syn, ihl: 15 }), { malformed: 1 }],
    ['total length below the header', tcp({ ...v4, ...syn, ipLength: 19 }), { malformed: 1 }],
    ['total length inside the TCP header', tcp({ ...v4, ...syn, ipLength: 39 }), { malformed: 1 }],
    ['total length beyond the packet', tcp({ ...v4, ...syn, ipLength: 41 }), { truncated: 1 }],
    ['IPv4 total length 0 without GSO', tcp({ ...v4, ...syn, ipLength: 0 }), { malformed: 1 }],
    ['IPv6 length 0 without a jumbo header', tcp({ ...v6, ...syn, ipLength: 0 }), { malformed: 1 }],
    ['payload length inside the TCP header', tcp({ ...v6, ...syn, ipLength: 19 }), { malformed: 1 }],
    ['payload length beyond the packet', tcp({ ...v6, ...syn, ipLength: 21 }), { truncated: 1 }],
    ['TCP header of 16 bytes', tcp({ ...v4, ...syn, dataOffset: 4 }), { malformed: 1 }],
    ['TCP header beyond the packet', tcp({ ...v4, ...syn, dataOffset: 15 }), { malformed: 1 }],
    ['TCP header beyond the packet, IPv6', tcp({ ...v6, ...syn, dataOffset: 15 }), { malformed: 1 }],
    ['seven extension headers', tcp({ ...v6, ...syn, extensions: options(7) }), { extensionHeaders: 1 }],
    ['first fragment', tcp({ ...v4, ...syn, moreFragments: true }), { fragment: 1 }],
    ['middle fragment', tcp({ ...v4, ...syn, moreFragments: true, fragmentOffset: 64 }), { fragment: 1 }],
    ['last fragment', tcp({ ...v4, ...syn, fragmentOffset: 64 }), { fragment: 1 }],
    ['UDP fragment', udp({ ...v4, sport: 1, dport: 21, moreFragments: true }), { fragment: 1 }],
    ['first fragment, IPv6', tcp({ ...v6, ...syn, extensions: [{ kind: 'fragment', more: true }] }), { fragment: 1 }],
    ['last fragment, IPv6', tcp({ ...v6, ...syn, extensions: [{ kind: 'fragment', offset: 64 }] }), { fragment: 1 }],
    [
      'fragment behind options',
      tcp({ ...v6, ...syn, extensions: [...options(2), { kind: 'fragment', more: true }] }),
      { fragment: 1 },
    ],
  ];
  it.each(cases)('%s', (_, bytes, counters) => {
    rig().assign({});
    expect(rig().packet(bytes, { on: 'lan' }).verdict).toBe('pass');
    expect(rig().counters()).toEqual(counters);
  });

  it('every piece of a fragmented SYN', () => {
    rig().assign({});
    const pieces = fragments(tcp({ ...v4, ...syn, dontFragment: false }), 8);
    for (const piece of pieces) expect(rig().packet(piece, { on: 'lan' }).verdict).toBe('pass');
    expect(rig().counters()).toEqual({ fragment: pieces.length });
  });

  it('loses our bits of the mark at ingress, whatever the packet is', () => {
    for (const bytes of [ip({ ...v4, etherType: 0x0806 }, new Uint8Array(20)), tcp({ ...v4, ...syn, ihl: 4 })]) {
      expect(rig().packet(bytes, { on: 'lan', mark: (mask | foreign) >>> 0 }).mark).toBe(foreign);
    }
  });
});

describe('a tuple is found in', () => {
  // An interface that is not watched: a packet that was understood is counted there, and nothing else happens.
  const strange: Place = { on: 'strange' };
  const cases: [string, TcpOptions][] = [
    ['IPv4', { ...v4, ...syn }],
    ['IPv4 with options', { ...v4, ...syn, ipOptions: new Uint8Array(40).fill(1) }],
    ['IPv4 with trailing padding', { ...v4, ...syn, payload: 'xxxx', ipLength: 40 }],
    ['IPv6', { ...v6, ...syn }],
    ['one extension header', { ...v6, ...syn, extensions: options(1) }],
    ['six extension headers', { ...v6, ...syn, extensions: options(6) }],
    [
      'one of each kind',
      { ...v6, ...syn, extensions: [{ kind: 'hop-by-hop' }, { kind: 'routing' }, { kind: 'authentication' }] },
    ],
    ['an atomic fragment', { ...v6, ...syn, extensions: [{ kind: 'fragment' }] }],
    ['long options', { ...v6, ...syn, extensions: [big, big] }],
    ['a VLAN', { ...v4, ...syn, vlan: 5 }],
    ['a priority tag', { ...v4, ...syn, vlan: 0xe000 }],
    ['QinQ', { ...v6, ...syn, vlan: [5, 6] }],
    ['TCP options', { ...v4, ...syn, options: new Uint8Array(40).fill(1) }],
    ['odd flags', { ...v4, ...syn, flags: 'SFRPUEC' }],
  ];
  it.each(cases)('%s', (_, options) => {
    rig().assign({});
    expect(rig().packet(tcp(options), strange)).toMatchObject({ verdict: 'pass' });
    expect(rig().counters()).toEqual({ notWatched: 1 });
  });

  // Test runs take the protocol from bytes 12 and 13, where an Ethernet header would have it: here in the source.
  it.each<[string, TcpOptions]>([
    ['IPv4', { src: '8.0.1.2', dst: '10.0.2.2', ...syn }],
    ['IPv6', { src: '2001:db8:86dd::1', dst: '2001:db8:2::2', ...syn }],
  ])('%s without Ethernet header', (_, options) => {
    rig().assign({});
    rig().packet(tcp({ ...options, ethernet: false }), { on: 'strange', ethernet: false });
    expect(rig().counters()).toEqual({ notWatched: 1 });
  });
});

describe('whatever is cut off', () => {
  // Test runs themselves refuse a frame of an IP type that is shorter than the header: those have a tag.
  const whole: [string, number, Uint8Array][] = [
    ['IPv4', 34, tcp({ ...v4, ...syn, ipOptions: new Uint8Array(8).fill(1), options: new Uint8Array(12).fill(1) })],
    ['IPv6', 54, tcp({ ...v6, ...syn, extensions: [...options(2), { kind: 'fragment' }, { kind: 'authentication' }] })],
    ['IPv6 in a VLAN', 15, tcp({ ...v6, ...syn, vlan: 5 })],
    ['QinQ', 15, tcp({ ...v4, ...syn, vlan: [5, 6] })],
    ['UDP', 34, udp({ ...v4, sport: 40000, dport: 21, payload: 'hello' })],
  ];
  it.each(whole)('%s at any byte passes and begins nothing', (_, shortest, bytes) => {
    rig().assign({});
    for (let length = shortest; length < bytes.length; length++) {
      expect(rig().packet(bytes.subarray(0, length), { on: 'lan' }).verdict, `${String(length)} bytes`).toBe('pass');
    }
    expect(rig().counters()).toEqual({ truncated: bytes.length - shortest });
  });

  it('and whatever bytes are wrong', () => {
    rig().assign({});
    rig().guard({ to: '10.0.0.0/8', ports: [1, 65535] });
    let seed = 1;
    const random = (): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >>> 8;
    for (const [, , bytes] of whole) {
      for (let round = 0; round < 500; round++) {
        const wrong = bytes.slice();
        for (let i = 0; i < 1 + (random() & 7); i++) wrong[12 + (random() % (wrong.length - 12))] = random() & 0xff;
        expect(['pass', 'drop']).toContain(rig().packet(wrong, { on: 'lan' }).verdict);
      }
    }
    expect(rig().flows()).toEqual([]);
  });
});

describe('the filter', () => {
  it('lets other ports leave without a look at any table', () => {
    rig().assign({});
    const other = tcp({ ...v4, ...syn, dport: 22 });
    expect(rig().packet(other, { on: 'strange', mark: (mask | foreign) >>> 0 })).toMatchObject({
      verdict: 'pass',
      mark: foreign,
    });
    expect(rig().counters()).toEqual({});
  });

  it('counts users of a port: the last one takes it out', () => {
    rig().assign({});
    const session = Session.open(rig());
    expect(rig().ports()).toEqual({ 'tcp/21': 2 });
    rig().unassign();
    expect(rig().ports()).toEqual({ 'tcp/21': 1 });
    session.probe('client');
    expect(rig().flow().side[0]?.packets).toBe(2n);
  });

  it('keeps TCP and UDP apart', () => {
    rig().assign({ port: 69, protocol: 17 });
    rig().packet(tcp({ ...v4, ...syn, dport: 69 }), { on: 'strange' });
    expect(rig().counters()).toEqual({});
    rig().packet(udp({ ...v4, sport: 5, dport: 69 }), { on: 'strange' });
    expect(rig().counters()).toEqual({ notWatched: 1 });
  });
});

describe('counted as on the wire', () => {
  it.each([
    ['IPv4', client4, server4, 40],
    ['IPv6', client6, server6, 60],
  ])('%s: bytes at IP level, GSO by segments', (_, client, server, headers) => {
    rig().assign({});
    const session = Session.open(rig(), { client, server });
    session.send('server', { payload: 'x'.repeat(3000) }, { segments: 3 });
    expect(rig().flow().side[0]).toMatchObject({ packets: 1n, bytes: BigInt(headers) });
    expect(rig().flow().side[1]).toMatchObject({ packets: 3n, bytes: BigInt(3 * headers + 3000) });
  });

  it('leaves out what pads the frame', () => {
    rig().assign({});
    const session = Session.open(rig());
    const bytes = session.bytes('client');
    rig().packet(new Uint8Array([...bytes, 0, 0, 0, 0, 0, 0]), { on: 'lan' });
    expect(rig().flow().side[0]).toMatchObject({ packets: 2n, bytes: 80n });
  });
});

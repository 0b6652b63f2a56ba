// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { addressBytes, addressText } from './address.js';
import { fragments } from './fragment.js';
import { concat, internetChecksum, tcp, tcpOption, udp, type TcpOptions } from './packet.js';
import { linkType, pcapBytes } from './pcap.js';

const v4 = { src: '10.77.1.2', dst: '10.77.2.2', sport: 40000, dport: 21 };
const v6 = { src: 'fd77:1::2', dst: 'fd77:2::2', sport: 40000, dport: 21 };

describe('addresses', () => {
  it.each([
    ['::', '::'],
    ['::1', '::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['1::', '1::'],
    ['FD77:1::2', 'fd77:1::2'],
    ['192.0.2.255', '192.0.2.255'],
  ])('%s reads back as %s', (text, canonical) => {
    expect(addressText(addressBytes(text))).toBe(canonical);
  });

  it('refuses what is no address', () => {
    expect(() => addressBytes('10.0.0.256')).toThrow('not an IP address: 10.0.0.256');
  });
});

describe('frames', () => {
  it('builds an IPv4 SYN byte by byte', () => {
    const frame = tcp({ ...v4, seq: 0x01020304, flags: 'S', options: [tcpOption.mss(1460)] });
    expect(Buffer.from(frame).toString('hex')).toBe(
      [
        '020000000002' + '020000000001' + '0800',
        '4500002c' + '00014000' + '4006' + '232e' + '0a4d0102' + '0a4d0202',
        '9c400015' + '01020304' + '00000000' + '6002ffff' + 'e02d' + '0000' + '020405b4',
      ].join(''),
    );
  });

  it('carries VLAN tags, the outer of two as 802.1ad', () => {
    const frame = Buffer.from(tcp({ ...v4, vlan: [100, 7] }));
    expect(frame.subarray(12, 22).toString('hex')).toBe('88a8006481000007' + '0800');
  });

  it('takes sequence numbers modulo 2^32', () => {
    const packet = tcp({ ...v4, ethernet: false, seq: 2 ** 32 + 5, ack: -1 });
    expect(Buffer.from(packet).readUInt32BE(24)).toBe(5);
    expect(Buffer.from(packet).readUInt32BE(28)).toBe(0xffffffff);
  });

  it('refuses mixed families and unknown flags', () => {
    expect(() => tcp({ ...v4, dst: '::1' })).toThrow('different families');
    expect(() => tcp({ ...v4, flags: 'SX' })).toThrow('unknown TCP flag X');
  });

  it('sums what RFC 1071 sums, odd lengths included', () => {
    expect(internetChecksum(Uint8Array.of(0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7))).toBe(~0xddf2 & 0xffff);
    expect(internetChecksum(Uint8Array.of(1))).toBe(0xfeff);
  });
});

describe('fragments', () => {
  it.each([
    ['IPv4', v4, 20],
    ['IPv6', v6, 48],
  ])('%s: the pieces together are the payload', (_family, ends, header) => {
    const whole = tcp({ ...ends, ethernet: false, payload: 'x'.repeat(50) });
    const pieces = fragments(whole, 24, { ethernet: false });
    expect(pieces.map((piece) => piece.length - header)).toEqual([24, 24, 22]);
    const plain = header === 20 ? 20 : 40;
    expect(concat(...pieces.map((piece) => piece.subarray(header)))).toEqual(whole.subarray(plain));
  });
});

const tcpdump = spawnSync('tcpdump', ['--version']).status === 0;
if (!tcpdump) console.warn('skipped: the comparison with tcpdump, which is not installed');

describe.skipIf(!tcpdump)('tcpdump agrees', () => {
  function dump(packets: readonly Uint8Array[], link: number): string {
    const { stdout, stderr } = spawnSync('tcpdump', ['-nvvtr', '-'], { input: pcapBytes(packets, link) });
    expect(stderr.toString()).not.toContain('truncated');
    return stdout.toString();
  }

  const cases: [string, TcpOptions][] = [
    ['IPv4', v4],
    ['IPv6', v6],
    ['IP options', { ...v4, ipOptions: Uint8Array.of(7, 7, 4, 0, 0, 0, 0) }],
    ['one tag', { ...v4, vlan: 5 }],
    ['two tags', { ...v6, vlan: [5, 6] }],
    ['hop-by-hop and destination options', { ...v6, extensions: [{ kind: 'hop-by-hop' }, { kind: 'destination' }] }],
    ['routing header', { ...v6, extensions: [{ kind: 'routing' }] }],
    ['timestamps and SACK', { ...v4, options: [tcpOption.timestamps(1, 2), tcpOption.sack([10, 20])] }],
    ['fast open', { ...v4, flags: 'S', options: [tcpOption.fastOpen(new Uint8Array(8).fill(7))], payload: 'USER a' }],
  ];
  it.each(cases)('TCP: %s', (_name, options) => {
    const text = dump([tcp({ payload: 'PORT 10,77,1,2,4,1\r\n', ...options })], linkType.ethernet);
    expect(text).toMatch(/40000 > .*21: Flags/);
    expect(text).toMatch(/cksum 0x[0-9a-f]+ \(correct\)/);
    expect(text).not.toMatch(/incorrect|bad/);
  });

  it('UDP, both families, without Ethernet header', () => {
    const packets = [v4, v6].map((ends) => udp({ ...ends, ethernet: false, payload: 'odd' }));
    const text = dump(packets, linkType.raw);
    expect(text.match(/\[udp sum ok\]/g)).toHaveLength(2);
  });

  it('an atomic fragment, whose checksum it does not look at', () => {
    const text = dump([tcp({ ...v6, extensions: [{ kind: 'fragment', id: 9 }] })], linkType.ethernet);
    expect(text).toMatch(/frag \(0x00000009:0\|20\) 40000 > 21: Flags/);
  });

  it('fragments', () => {
    const text = dump(
      [v4, v6].flatMap((ends) => fragments(tcp({ ...ends, payload: 'x'.repeat(20) }), 24)),
      linkType.ethernet,
    );
    expect(text).toContain('offset 24, flags [none]');
    expect(text).toMatch(/frag \(0x00001234:0\|24\)/);
    expect(text).toMatch(/frag \(0x00001234:24\|16\)/);
    expect(text).not.toContain('bad cksum');
  });
});

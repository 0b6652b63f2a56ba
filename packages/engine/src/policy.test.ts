// SPDX-License-Identifier: Apache-2.0
import { formatAddress } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import { judge, type Announced } from './policy.js';
import { assignmentOf, bytesOf, path } from './testing.js';

const V4 = path('10.0.1.2', 45678, '10.0.2.2', 21);
const V6 = path('fd77:1::2', 45678, 'fd77:2::2', 21);
const CLIENT: Announced = { direction: 'original', family: null, address: null, port: 5000, from: 'peer' };
const SERVER: Announced = { ...CLIENT, direction: 'reply' };

function verdict(announced: Announced, tuple = V4, translated = false, ...lines: string[]): string {
  const { expect: to, refused } = judge(announced, { tuple, translated }, assignmentOf(...lines));
  return (
    refused ??
    `${formatAddress(to.source)} > ${formatAddress(to.destination)} ${String(to.destinationPort)} v${String(to.family)}`
  );
}

/** A client that sends from a privileged port. */
const LOW = path('10.0.1.2', 69, '10.0.2.2', 69);

const PORTS = 'data: { ports: 4000-6000 }';
const THIRD = 'data: { third-party: true }';

describe('policy', () => {
  it.each<[string, string, ...Parameters<typeof verdict>]>([
    ['the client announces itself', '10.0.2.2 > 10.0.1.2 5000 v4', CLIENT],
    ['the server announces itself', '10.0.1.2 > 10.0.2.2 5000 v4', SERVER],
    ['its own address in words', '10.0.1.2 > 10.0.2.2 5000 v4', { ...SERVER, address: bytesOf('10.0.2.2'), family: 4 }],
    ['IPv6', 'fd77:2::2 > fd77:1::2 5000 v6', { ...CLIENT, address: bytesOf('fd77:1::2'), family: 6 }, V6],
    ['IPv6 without address', 'fd77:1::2 > fd77:2::2 5000 v6', SERVER, V6],
    ['port 0', 'port-zero', { ...CLIENT, port: 0 }],
    ['a port that is none', 'bad-port', { ...CLIENT, port: 65536 }],
    ['a privileged port', 'port-range', { ...CLIENT, port: 1023 }],
    ['the first port', '10.0.2.2 > 10.0.1.2 1024 v4', { ...CLIENT, port: 1024 }],
    ['the last port', '10.0.2.2 > 10.0.1.2 65535 v4', { ...CLIENT, port: 65535 }],
    ['below data.ports', 'port-range', { ...CLIENT, port: 3999 }, V4, false, PORTS],
    ['the ends of data.ports', '10.0.2.2 > 10.0.1.2 6000 v4', { ...CLIENT, port: 6000 }, V4, false, PORTS],
    ['above data.ports', 'port-range', { ...CLIENT, port: 6001 }, V4, false, PORTS],
    ['an IPv6 address over IPv4', 'wrong-family', { ...CLIENT, address: bytesOf('fd77:1::2'), family: 6 }],
    ['family 6 over IPv4, no address', 'wrong-family', { ...SERVER, family: 6 }],
    ['an IPv4 address over IPv6', 'wrong-family', { ...CLIENT, address: bytesOf('10.0.1.2'), family: 4 }, V6],
    [
      'a mapped address said to be IPv6, over IPv4',
      'wrong-family',
      { ...CLIENT, address: bytesOf('10.0.1.2'), family: 6 },
    ],
    ["somebody else's address", 'address', { ...CLIENT, address: bytesOf('10.0.1.3') }],
    ["the peer's own address", 'address', { ...SERVER, address: bytesOf('10.0.1.2') }],
    ['an address of no host', 'address', { ...SERVER, address: bytesOf('0.0.0.0') }],
    [
      "somebody else's address, admitted",
      '10.0.2.2 > 10.0.1.3 5000 v4',
      { ...CLIENT, address: bytesOf('10.0.1.3') },
      V4,
      false,
      THIRD,
    ],
    [
      'third parties have ports to keep, too',
      'port-range',
      { ...CLIENT, address: bytesOf('10.0.1.3'), port: 80 },
      V4,
      false,
      THIRD,
    ],
    ['anybody will connect', ':: > 10.0.1.2 5000 v4', { ...CLIENT, from: 'anyone' }],
    ['anybody will connect to the server', ':: > 10.0.2.2 5000 v4', { ...SERVER, from: 'anyone' }],
    ['anybody will connect, IPv6', ':: > fd77:1::2 5000 v6', { ...CLIENT, from: 'anyone' }, V6],
    [
      "anybody, to somebody else's address",
      'address',
      { ...CLIENT, from: 'anyone', address: bytesOf('10.0.1.3') },
      V4,
      false,
    ],
    ['anybody, to an address of no host', 'address', { ...CLIENT, from: 'anyone', address: bytesOf('0.0.0.0') }],
    ['anybody, to a privileged port', 'port-range', { ...CLIENT, from: 'anyone', port: 22 }],
    ['anybody, behind NAT', 'nat', { ...CLIENT, from: 'anyone' }, V4, true],
    ["the client's own port", '10.0.2.2 > 10.0.1.2 45678 v4', { ...CLIENT, port: null }],
    ["the client's own port, IPv6", 'fd77:2::2 > fd77:1::2 45678 v6', { ...CLIENT, port: null }, V6],
    ["the server's own port", 'port-range', { ...SERVER, port: null }],
    ['a privileged port of its own', 'port-range', { ...CLIENT, port: null }, LOW],
    [
      'a privileged port of its own, admitted',
      '10.0.2.2 > 10.0.1.2 69 v4',
      { ...CLIENT, port: null },
      LOW,
      false,
      'data: { ports: 69-6000 }',
    ],
    ['its own port, above data.ports', 'port-range', { ...CLIENT, port: null }, V4, false, PORTS],
    ['its own port behind NAT', 'nat', { ...CLIENT, port: null }, V4, true],
    ['the client behind NAT', 'nat', CLIENT, V4, true],
    ['the server behind masquerade', '10.0.1.2 > 10.0.2.2 5000 v4', SERVER, V4, true],
    ['another address of the server behind NAT', 'nat', { ...SERVER, address: bytesOf('192.168.0.2') }, V4, true],
    [
      'another address of the server behind NAT, even admitted',
      'nat',
      { ...SERVER, address: bytesOf('192.168.0.2') },
      V4,
      true,
      THIRD,
    ],
  ])('%s: %s', (_, expected, ...given) => {
    expect(verdict(...given)).toBe(expected);
  });

  it('says what was announced also where it refuses', () => {
    const { expect: to } = judge(
      { ...CLIENT, address: bytesOf('10.9.9.9') },
      { tuple: V4, translated: false },
      assignmentOf(),
    );
    expect(formatAddress(to.destination)).toBe('10.9.9.9');
  });
});

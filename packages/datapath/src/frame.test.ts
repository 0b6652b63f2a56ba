// SPDX-License-Identifier: Apache-2.0
import { addressBytes, concat, tcp, udp, type TcpOptions } from '@relatd/lab';
import { formatAddress } from '@relatd/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TCP_FLAG, readHeldFrame } from './frame.js';

const V4 = { src: '10.0.1.2', dst: '10.0.2.2', sport: 45678, dport: 21 };
const V6 = { src: 'fd77:1::2', dst: 'fd77:2::2', sport: 45678, dport: 21 };

/** A frame as the hold device gives it: the datapath's tag with the zone stands outermost. */
function held(frame: Uint8Array, zone = 0): Uint8Array {
  return concat(frame.subarray(0, 12), Uint8Array.of(0x88, 0xa8, zone >> 8, zone & 0xff), frame.subarray(12));
}

function read(options: TcpOptions, zone = 0) {
  const segment = readHeldFrame(held(tcp(options), zone));
  if (segment === null) return null;
  const { tuple, payload, ...rest } = segment;
  return {
    ...rest,
    path: `${formatAddress(tuple.source)} ${String(tuple.sourcePort)} ${formatAddress(tuple.destination)} ${String(tuple.destinationPort)}`,
    kind: `${String(tuple.protocol)} ${String(tuple.family)} ${String(tuple.zone)}`,
    text: Buffer.from(payload).toString('latin1'),
  };
}

describe('a held frame', () => {
  it('of IPv4 with its zone', () => {
    expect(read({ ...V4, seq: 0xfffffff0, ack: 7, payload: 'USER a\r\n' }, 0x123)).toEqual({
      seq: 0xfffffff0,
      ack: 7,
      flags: TCP_FLAG.psh | TCP_FLAG.ack,
      urgent: 0,
      intact: true,
      path: '10.0.1.2 45678 10.0.2.2 21',
      kind: '6 4 291',
      text: 'USER a\r\n',
    });
  });

  it.each<[string, Partial<TcpOptions>]>([
    ['IP options', { ...V4, ipOptions: Uint8Array.of(0x94, 4, 0, 0) }],
    ['TCP options', { ...V4, options: Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2) }],
    ['a VLAN tag of its own', { ...V4, vlan: 100 }],
    ['two VLAN tags of its own', { ...V4, vlan: [100, 200] }],
    ['an odd number of bytes', { ...V4, payload: 'PASV\r\n?' }],
    ['IPv6', V6],
    ['hop-by-hop options', { ...V6, extensions: [{ kind: 'hop-by-hop' }] }],
    [
      'destination options and authentication',
      { ...V6, extensions: [{ kind: 'destination' }, { kind: 'authentication', body: new Uint8Array(14) }] },
    ],
    ['an atomic fragment', { ...V6, extensions: [{ kind: 'fragment' }] }],
    [
      'six extension headers',
      {
        ...V6,
        extensions: Array.from({ length: 6 }, () => ({ kind: 'destination' as const, body: new Uint8Array(14) })),
      },
    ],
  ])('with %s', (_, options) => {
    const all = { ...V4, payload: 'PASV\r\n', ...options };
    expect(read(all)).toMatchObject({ text: all.payload, intact: true });
  });

  it('with Ethernet padding: that is no payload', () => {
    const frame = concat(held(tcp({ ...V4, flags: 'A' })), new Uint8Array(6));
    expect(readHeldFrame(frame)?.payload).toHaveLength(0);
  });

  it.each<[string, Partial<TcpOptions>]>([
    ['a wrong checksum', { ...V4, checksum: 0x1234 }],
    ['a wrong checksum over IPv6', { ...V6, checksum: 0x1234 }],
  ])('with %s is not intact', (_, options) => {
    expect(read({ ...V4, payload: 'PASV\r\n', ...options })).toMatchObject({ intact: false });
  });

  it('with any bit changed between the ports and its end is not intact', () => {
    const frame = held(tcp({ ...V4, payload: 'PORT 10,0,1,2,200,10\r\n' }));
    fc.assert(
      fc.property(fc.integer({ min: 38, max: frame.length - 1 }), fc.integer({ min: 0, max: 7 }), (at, bit) => {
        const changed = frame.slice();
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        const segment = readHeldFrame(changed);
        expect(segment === null || !segment.intact).toBe(true);
      }),
    );
  });

  it('has an urgent pointer only with URG', () => {
    expect(read({ ...V4, flags: 'PAU', urgent: 3, payload: 'abc' })).toMatchObject({ urgent: 3 });
    expect(read({ ...V4, flags: 'PA', urgent: 3, payload: 'abc' })).toMatchObject({ urgent: 0 });
  });

  it('gives a view into the frame, not a copy', () => {
    const frame = held(tcp({ ...V4, payload: 'abc' }));
    expect(readHeldFrame(frame)?.payload.buffer).toBe(frame.buffer);
  });
});

describe('no held TCP segment', () => {
  it.each<[string, Uint8Array]>([
    ['without the tag', tcp({ ...V4, payload: 'x' })],
    ['an empty frame', new Uint8Array()],
    ['UDP', held(udp({ ...V4, payload: 'x' }))],
    ['another protocol', held(tcp({ ...V4, etherType: 0x0806 }))],
    ['three tags of its own', held(tcp({ ...V4, vlan: [1, 2, 3] }))],
    ['IP longer than the frame', held(tcp({ ...V4, ipLength: 1500 }))],
    ['IP shorter than its header', held(tcp({ ...V4, ipLength: 19 }))],
    ['a short IP header', held(tcp({ ...V4, ihl: 4 }))],
    ['another IP version', held(tcp({ ...V4, version: 5 }))],
    ['a TCP header longer than the packet', held(tcp({ ...V4, dataOffset: 15 }))],
    ['a short TCP header', held(tcp({ ...V4, dataOffset: 4 }))],
    ['IPv6 longer than the frame', held(tcp({ ...V6, ipLength: 1500 }))],
    ['an unknown extension header', held(tcp({ ...V6, extensions: [{ kind: 253 }] }))],
    [
      'seven extension headers',
      held(tcp({ ...V6, extensions: Array.from({ length: 7 }, () => ({ kind: 'destination' as const })) })),
    ],
  ])('%s', (_, frame) => {
    expect(readHeldFrame(frame)).toBeNull();
  });

  it('random bytes and cut frames never throw', () => {
    const frames = [V4, V6].map((path) => held(tcp({ ...path, payload: 'PASV\r\n', vlan: 7 })));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.tuple(fc.constantFrom(...frames), fc.nat(120)).map(([frame, length]) => frame.subarray(0, length)),
          fc
            .tuple(fc.constantFrom(...frames), fc.nat(80), fc.nat(255))
            .map(([frame, at, byte]) => frame.map((old, index) => (index === at ? byte : old))),
        ),
        (frame) => {
          const segment = readHeldFrame(frame);
          expect(segment?.payload.length ?? 0).toBeLessThanOrEqual(frame.length);
        },
      ),
    );
  });
});

it('IPv4 stands in its mapped form', () => {
  const source = readHeldFrame(held(tcp(V4)))?.tuple.source;
  expect(source).toEqual(concat(new Uint8Array(10), Uint8Array.of(0xff, 0xff), addressBytes(V4.src)));
});

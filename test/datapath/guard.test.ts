// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { fragments, ip, tcp, udp } from '@relatd/lab';
import { EventType, Reason, related, second } from './rig.js';
import { Session, client6, server6 } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();
const v4 = { src: '10.0.1.2', dst: '10.0.2.2' } as const;
const v6 = { src: '2001:db8:1::2', dst: '2001:db8:2::2' } as const;
const syn = { sport: 41000, dport: 50000, flags: 'S' } as const;
const options = (count: number) => Array.from({ length: count }, () => ({ kind: 'destination' as const }));
const lan = { on: 'lan' } as const;

beforeEach(() => {
  rig().assign({});
  rig().guard({ to: '10.0.2.2', ports: [49152, 65535] }, { to: '2001:db8:2::/48', ports: [49152, 65535] });
});

describe('guard drops', () => {
  it.each([
    ['a SYN', tcp({ ...v4, ...syn })],
    ['the first guarded port', tcp({ ...v4, ...syn, dport: 49152 })],
    ['the last', tcp({ ...v4, ...syn, dport: 65535 })],
    ['a SYN with FIN', tcp({ ...v4, ...syn, flags: 'SF' })],
    ['a SYN with URG and ECN', tcp({ ...v4, ...syn, flags: 'SUEC' })],
    ['a SYN with data', tcp({ ...v4, ...syn, payload: 'x' })],
    ['a SYN over IPv6', tcp({ ...v6, ...syn })],
    ['behind extension headers', tcp({ ...v6, ...syn, extensions: options(3) })],
    ['in a VLAN', tcp({ ...v4, ...syn, vlan: 5 })],
  ])('%s, with an event', (_, bytes) => {
    expect(rig().packet(bytes, lan).verdict).toBe('drop');
    expect(rig().counters()).toEqual({ guard: 1 });
    expect(rig().events()).toMatchObject([
      { type: EventType.guardDrop, reason: Reason.guard, ifindex: rig().wires.ifindex.lan, count: 1 },
    ]);
  });

  it.each([
    ['a first fragment', tcp({ ...v4, ...syn, moreFragments: true })],
    ['a later fragment', tcp({ ...v4, ...syn, fragmentOffset: 8 })],
    ['a fragment over IPv6', tcp({ ...v6, ...syn, extensions: [{ kind: 'fragment', more: true }] })],
    [
      'a fragment whose TCP header is behind options',
      tcp({ ...v6, ...syn, extensions: [{ kind: 'fragment', more: true }, ...options(1)] }),
    ],
    ['options, then a fragment', tcp({ ...v6, ...syn, extensions: [...options(1), { kind: 'fragment', offset: 64 }] })],
    ['more extension headers than are read', tcp({ ...v6, ...syn, extensions: options(9) })],
    ['a header that is cut off', tcp({ ...v4, ...syn }).subarray(0, 40)],
    ['a TCP header of nonsense', tcp({ ...v4, ...syn, dataOffset: 2 })],
  ])('%s, to any port of a guarded destination', (_, bytes) => {
    expect(rig().packet(bytes, lan).verdict).toBe('drop');
    expect(rig().counters()).toMatchObject({ guardFragment: 1 });
  });

  it('every piece of a SYN cut in two', () => {
    for (const piece of fragments(tcp({ ...v4, ...syn, dontFragment: false }), 8)) {
      expect(rig().packet(piece, lan).verdict).toBe('drop');
    }
  });

  it('at egress only what did not come in by a watched interface', () => {
    const bytes = tcp({ ...v4, ...syn });
    expect(rig().packet(bytes, { on: 'wan', side: 'egress', from: 'lan' }).verdict).toBe('pass');
    expect(rig().packet(bytes, { on: 'wan', side: 'egress', from: 'strange' }).verdict).toBe('drop');
    expect(rig().packet(bytes, { on: 'wan', side: 'egress' }).verdict).toBe('drop');
    const piece = tcp({ ...v4, ...syn, fragmentOffset: 8 });
    expect(rig().packet(piece, { on: 'wan', side: 'egress', from: 'lan' }).verdict).toBe('pass');
  });

  it('a SYN once its expectation is used up or expired', () => {
    const session = Session.open(rig());
    session.expect();
    rig().advance(301n * second);
    expect(session.data().send('client', { flags: 'S', ack: 0 }).verdict).toBe('drop');
  });
});

describe('guard passes', () => {
  it.each([
    ['another port', tcp({ ...v4, ...syn, dport: 49151 })],
    ['another destination', tcp({ ...v4, ...syn, dst: '10.0.2.3' })],
    ['another destination over IPv6', tcp({ ...v6, ...syn, dst: '2001:db8:3::2' })],
    ['a SYN-ACK', tcp({ ...v4, ...syn, flags: 'SA' })],
    ['what is open already', tcp({ ...v4, ...syn, flags: 'PA', payload: 'x' })],
    ['UDP', udp({ ...v4, sport: 53, dport: 50000 })],
    ['a UDP fragment', udp({ ...v4, sport: 53, dport: 50000, moreFragments: true })],
    [
      'a UDP fragment over IPv6',
      udp({ ...v6, sport: 53, dport: 50000, extensions: [{ kind: 'fragment', offset: 64 }] }),
    ],
    ['UDP that is cut off', udp({ ...v4, sport: 53, dport: 50000, payload: 'xx' }).subarray(0, 43)],
    ['ICMP', ip({ ...v4, protocol: 1 }, new Uint8Array(8))],
    [
      'a fragment of ICMPv6',
      ip({ ...v6, protocol: 58, extensions: [{ kind: 'fragment', more: true }] }, new Uint8Array(8)),
    ],
    ['ARP', ip({ ...v4, etherType: 0x0806 }, new Uint8Array(20))],
    ['a fragment to somebody else', tcp({ ...v4, ...syn, dst: '10.0.2.3', moreFragments: true })],
  ])('%s', (_, bytes) => {
    expect(rig().packet(bytes, lan).verdict).toBe('pass');
    expect(rig().events()).toEqual([]);
  });

  it.each([
    ['IPv4', {}],
    ['IPv6', { client: client6, server: server6 }],
  ])('what is RELATED, from the SYN to the end and its retransmissions: %s', (_, ends) => {
    const session = Session.open(rig(), ends);
    session.expect();
    const data = session.data();
    expect(data.probe('client', { flags: 'S', ack: 0 })).toMatchObject({ verdict: 'pass', mark: related });
    expect(data.send('client', { flags: 'S', ack: 0 }).verdict).toBe('pass');
    expect(data.send('server', { flags: 'SA' }).verdict).toBe('pass');
    expect(data.send('client', { flags: 'FA' }).verdict).toBe('pass');
    const thief = session.data({ client: { address: session.client.address, port: 41001 } });
    expect(thief.send('client', { flags: 'S', ack: 0 }).verdict).toBe('drop');
  });

  it('everything when there is none', () => {
    rig().configure({ guards: 0 });
    expect(rig().packet(tcp({ ...v4, ...syn }), lan).verdict).toBe('pass');
    expect(rig().packet(tcp({ ...v4, ...syn, moreFragments: true }), lan).verdict).toBe('pass');
  });
});

describe('guard in front of an assigned port', () => {
  it('drops the SYN there too', () => {
    rig().guard({ to: '10.0.2.2', ports: [1, 65535] });
    expect(new Session(rig()).send('client', { flags: 'S', ack: 0 }).verdict).toBe('drop');
  });
});

describe('a flood of what is dropped', () => {
  it('is told once a second per source, with the number of the others', () => {
    const bytes = tcp({ ...v4, ...syn });
    for (let i = 0; i < 50; i++) rig().packet(bytes, lan);
    expect(rig().events()).toMatchObject([{ count: 1 }]);
    rig().advance(second);
    for (let i = 0; i < 7; i++) rig().packet(bytes, lan);
    expect(rig().events()).toMatchObject([{ count: 50 }]);
    // Another source has its own.
    rig().packet(tcp({ ...v4, ...syn, src: '10.0.1.3' }), lan);
    expect(rig().events()).toMatchObject([{ count: 1, tuple: { destinationPort: 50000 } }]);
    expect(rig().counters()).toEqual({ guard: 58 });
  });
});

describe('events that find no place in the ring', () => {
  it('are counted', () => {
    for (let i = 0; i < 2000; i++) {
      const client = { address: `10.1.${String(i >> 8)}.${String(i & 255)}`, port: 1 };
      new Session(rig(), { client, server: { address: '10.0.2.2', port: 50000 } }).send('client', {
        flags: 'S',
        ack: 0,
      });
    }
    const { eventLost = 0, guard } = rig().counters();
    expect(guard).toBe(2000);
    expect(eventLost).toBeGreaterThan(0);
    expect(rig().totals().eventsLost).toBe(BigInt(eventLost));
    // Collisions of buckets are told together: each drop is in an event, in a later one's count, or lost.
    const told = rig()
      .events()
      .reduce((sum, { count }) => sum + count, 0);
    expect(told + eventLost).toBeLessThanOrEqual(2000);
    expect(told + eventLost).toBeGreaterThan(1700);
  });
});

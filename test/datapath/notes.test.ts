// SPDX-License-Identifier: Apache-2.0
import { tcp, udp } from '@relatd/lab';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  Limit,
  SYN_SIZE,
  SynFlag,
  UNTRACKED_SIZE,
  UntrackedWhy,
  readSyn,
  readTotals,
  readUntracked,
  writeTotals,
  type SynRecord,
  type UntrackedRecord,
} from '../../packages/datapath/src/generated/layout.js';
import { Reason, second, tuple } from './rig.js';
import { Session, client4, client6, server4, server6 } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();
const v4 = { src: '10.0.1.2', dst: '10.0.2.2', sport: 40000, dport: 50000, seq: 7 } as const;
const lan = { on: 'lan' } as const;
const out = { on: 'wan', side: 'egress', from: 'lan' } as const;

/** Notes that were made. */
function notes<T extends { time: bigint }>(map: string, size: number, read: (view: DataView, at: number) => T): T[] {
  const { count, values } = rig().map(map).entriesSync();
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  return Array.from({ length: count }, (_, index) => read(view, index * size)).filter(({ time }) => time !== 0n);
}
const allSyns = (): SynRecord[] => notes('syns', SYN_SIZE, readSyn);
const untracked = (): UntrackedRecord[] => notes('untracked', UNTRACKED_SIZE, readUntracked);

/** Moves the sweep's clock to where it clears what says whose SYNs are noted, so many times. */
function ageHosts(times: number): void {
  const key = new Uint8Array(4);
  for (let time = 0; time < times; time++) {
    const totals = rig().map('totals').lookup(key);
    if (totals === null) throw new Error('no totals');
    const view = new DataView(totals.buffer, totals.byteOffset);
    const period = BigInt(Limit.notedTicks);
    writeTotals(view, 0, { ...readTotals(view, 0), ticks: (readTotals(view, 0).ticks / period + 1n) * period - 1n });
    rig().map('totals').update(key, totals);
    rig().sweep();
  }
}

describe('whose SYNs are noted', () => {
  let sport = 1024;
  /** Whether a SYN is noted that goes from a host to one that nothing is known of, and one that comes back. */
  const isNoted = (host: string, other = host.includes(':') ? '2001:db8:9::9' : '10.9.9.9'): boolean => {
    sport++;
    for (const [src, dst] of [
      [host, other],
      [other, host],
    ] as const)
      rig().packet(tcp({ src, dst, sport, dport: 50000, flags: 'S' }), lan);
    const noted = allSyns().filter(({ tuple: { sourcePort } }) => sourcePort === sport).length;
    expect([0, 2]).toContain(noted);
    return noted === 2;
  };

  it('not those of others, except to an assigned port', () => {
    rig().assign({});
    expect(isNoted('10.0.1.2')).toBe(false);
    rig().packet(tcp({ ...v4, dport: 21, flags: 'S' }), lan);
    expect(allSyns()).toMatchObject([{ tuple: tuple({ address: v4.src, port: 40000 }, server4) }]);
    expect(isNoted('10.0.1.2')).toBe(false);
  });

  it('those of both ends of a control connection, as long as it lives and some time after', () => {
    rig().assign({});
    const session = Session.open(rig());
    Session.open(rig(), { client: client6, server: server6 });
    const ends = ['10.0.1.2', '10.0.2.2', '2001:db8:1::2', '2001:db8:2::2'];
    const noted = (): boolean[] => ends.map((end) => isNoted(end));
    expect(noted()).toEqual([true, true, true, true]);
    ageHosts(3);
    expect(noted()).toEqual([true, true, true, true]);
    session.send('client', { flags: 'R' });
    rig().advance(11n * second);
    rig().sweep();
    ageHosts(1);
    expect(noted()).toEqual([true, true, true, true]);
    ageHosts(1);
    expect(noted()).toEqual([false, false, true, true]);
  });

  it('those of ends of control connections from before an upgrade, once the sweep has been round', () => {
    rig().assign({});
    Session.open(rig());
    const { keys } = rig().map('noted_hosts').entriesSync();
    for (let at = 0; at < keys.length; at += 4)
      rig()
        .map('noted_hosts')
        .update(keys.subarray(at, at + 4), new Uint8Array(8));
    expect(isNoted('10.0.1.2')).toBe(false);
    rig().sweep();
    expect(isNoted('10.0.1.2')).toBe(true);
  });

  it('those of an address that is expected', () => {
    rig().assign({});
    const session = Session.open(rig());
    expect(isNoted('10.0.3.3')).toBe(false);
    session.expect({ tuple: tuple({ address: '10.0.1.2', port: 0 }, { address: '10.0.3.3', port: 50000 }) });
    expect(isNoted('10.0.3.3')).toBe(true);
  });

  it('those of ends of a connection to an assigned port that is not tracked, as long as its packets come', () => {
    rig().assign({});
    const session = new Session(rig());
    for (let time = 0; time < 3; time++) {
      session.send('client', { payload: 'NOOP\r\n' });
      expect([isNoted('10.0.1.2'), isNoted('10.0.2.2')]).toEqual([true, true]);
      rig().advance(2n * second);
      ageHosts(1);
    }
    ageHosts(1);
    expect([isNoted('10.0.1.2'), isNoted('10.0.2.2')]).toEqual([false, false]);
  });
});

describe('a SYN is noted', () => {
  // Its hosts have to do with a control connection.
  beforeEach(() => {
    rig().assign({});
    Session.open(rig());
  });
  const syns = (): SynRecord[] => allSyns().filter(({ tuple: { destinationPort } }) => destinationPort !== 21);

  it('with its time and interface, whatever its port, in no zone', () => {
    rig().watch('lan', { zone: 5 });
    for (const dport of [50000, 50001]) rig().packet(tcp({ ...v4, dport, flags: 'S' }), lan);
    expect(syns().sort((a, b) => a.tuple.destinationPort - b.tuple.destinationPort)).toMatchObject(
      [50000, 50001].map((port) => ({
        tuple: tuple({ address: v4.src, port: 40000 }, { address: v4.dst, port }),
        ...{ time: rig().now, last: 0, seq: 7, ifindex: rig().wires.ifindex.lan, vlan: 0, count: 1, flags: 0 },
      })),
    );
  });

  it('once, with the number of its retransmissions; a new one takes its place', () => {
    const bytes = tcp({ ...v4, flags: 'S' });
    rig().packet(bytes, lan);
    const first = rig().now;
    for (let count = 0; count < 300; count++) rig().packet(bytes, lan);
    rig().advance(3n * second);
    rig().packet(bytes, lan);
    expect(syns()).toMatchObject([{ time: first, last: 3000, count: 255 }]);
    rig().packet(tcp({ ...v4, seq: 8, flags: 'S' }), lan);
    expect(syns()).toMatchObject([{ time: rig().now, last: 0, seq: 8, count: 1 }]);
  });

  it('with whether it left this host, or was first seen on its way out', () => {
    const bytes = tcp({ ...v4, flags: 'S' });
    rig().packet(bytes, lan);
    rig().packet(bytes, { on: 'third' });
    expect(syns()).toMatchObject([{ count: 1, flags: 0, ifindex: rig().wires.ifindex.lan }]);
    rig().packet(bytes, out);
    expect(syns()).toMatchObject([{ count: 1, flags: SynFlag.left, ifindex: rig().wires.ifindex.lan }]);
    rig().packet(tcp({ ...v4, seq: 9, flags: 'S' }), { on: 'wan', side: 'egress' });
    expect(syns()).toMatchObject([{ count: 1, flags: SynFlag.fromHere, ifindex: rig().wires.ifindex.wan }]);
  });

  it('and nothing else is', () => {
    for (const flags of ['SA', 'A', 'R', 'F', 'SR', 'SF']) rig().packet(tcp({ ...v4, flags }), lan);
    rig().packet(udp({ ...v4, payload: 'x' }), lan);
    expect(syns()).toEqual([]);
  });
});

describe('a connection to an assigned port is noted', () => {
  const path = tuple(client4, server4);

  it.each([
    ['source', { from: '192.0.2.0/24' }],
    ['destination', { to: '192.0.2.0/24' }],
  ])('that no assignment covers: %s', (_, spec) => {
    rig().assign(spec);
    const session = Session.open(rig());
    const began = rig().now;
    rig().advance(3n * second);
    session.send('client', { payload: 'USER a\r\n' });
    expect(untracked()).toMatchObject([
      { tuple: path, time: began, last: 3000, why: UntrackedWhy.notCovered, reason: 0, ifindex: 0 },
    ]);
    expect(rig().flows()).toEqual([]);
  });

  it('that no assignment covers: interface', () => {
    rig().assign({ interface: 'third' });
    Session.open(rig()).send('client', { payload: 'USER a\r\n' });
    expect(untracked()).toMatchObject([
      { tuple: path, why: UntrackedWhy.notCovered, ifindex: rig().wires.ifindex.lan },
    ]);
  });

  it('whose handshake was not seen', () => {
    rig().assign({});
    const session = new Session(rig());
    session.send('client', { payload: 'USER a\r\n' });
    session.send('server', { payload: '331 \r\n' });
    expect(untracked()).toMatchObject([
      { tuple: path, why: UntrackedWhy.unseen, ifindex: rig().wires.ifindex.lan, last: 0 },
    ]);
  });

  it('that found no room', () => {
    rig().configure({ perSource: 0 });
    rig().assign({});
    Session.open(rig());
    expect(untracked()).toMatchObject([{ tuple: path, why: UntrackedWhy.limit, reason: Reason.perSource }]);
  });

  it('but not one that is tracked, nor one to another port', () => {
    rig().assign({});
    Session.open(rig()).send('client', { payload: 'USER a\r\n' });
    Session.open(rig(), { server: { address: '10.0.2.2', port: 2121 } });
    expect(untracked()).toEqual([]);
  });
});

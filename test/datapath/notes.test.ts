// SPDX-License-Identifier: Apache-2.0
import { tcp, udp } from '@relatd/lab';
import { describe, expect, it } from 'vitest';
import {
  SYN_SIZE,
  SynFlag,
  UNTRACKED_SIZE,
  UntrackedWhy,
  readSyn,
  readUntracked,
  type SynRecord,
  type UntrackedRecord,
} from '../../packages/datapath/src/generated/layout.js';
import { Reason, second, tuple } from './rig.js';
import { Session, client4, server4 } from './session.js';
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
const syns = (): SynRecord[] => notes('syns', SYN_SIZE, readSyn);
const untracked = (): UntrackedRecord[] => notes('untracked', UNTRACKED_SIZE, readUntracked);

describe('a SYN is noted', () => {
  it('with its time and interface, whatever its port, in no zone', () => {
    rig().watch('lan', { zone: 5 });
    rig().assign({ port: 50000 });
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

// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { FlowFlag, FlowKind, FlowState, type FlowRecord } from '../../packages/datapath/src/generated/layout.js';
import { foreign, mask, nothing, related, second, type Place } from './rig.js';
import { Session, client6, server6, type SessionOptions } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();
let control: Session;
beforeEach(() => {
  rig().assign({});
});

/** A control connection with one expectation, and the data connection that it announces. */
function announce(options: SessionOptions = {}): Session {
  control = Session.open(rig(), options);
  control.expect();
  rig().events();
  return control.data();
}
function dataFlow(): FlowRecord {
  const found = rig()
    .flows()
    .filter(({ flow }) => flow.kind === FlowKind.related);
  if (found[0] === undefined || found.length !== 1) throw new Error(`${String(found.length)} related flows`);
  return found[0].flow;
}
const egress = (on: Place['on'], from: Place['on']): Place => ({ on, side: 'egress', from });

describe('the data connection', () => {
  it.each<[string, SessionOptions]>([
    ['IPv4', {}],
    ['IPv6', { client: client6, server: server6 }],
    ['addresses that sort the other way', { client: { address: '10.9.9.9', port: 40000 } }],
  ])('is RELATED from its SYN on, in both directions: %s', (_, options) => {
    const data = announce(options);
    const mark = { mark: (mask | foreign) >>> 0 };
    const marked = (related | foreign) >>> 0;
    expect(data.send('client', { flags: 'S', ack: 0 }, mark)).toMatchObject({ verdict: 'pass', mark: marked });
    expect(dataFlow()).toMatchObject({ state: FlowState.new, assignment: 1, mark: related });
    expect(data.send('server', { flags: 'SA' }, mark).mark).toBe(marked);
    expect(dataFlow().state).toBe(FlowState.established);
    expect(data.send('client', {}, mark).mark).toBe(marked);
    expect(data.send('client', { payload: 'x'.repeat(1000) }, mark).mark).toBe(marked);
    expect(data.send('server', { flags: 'FA' }, mark).mark).toBe(marked);
    expect(dataFlow().state).toBe(FlowState.closing);
    expect(data.send('client', { flags: 'FA' }, mark).mark).toBe(marked);
    expect(dataFlow().state).toBe(FlowState.closed);
    expect(data.send('server', {}, mark).mark).toBe(marked);
    expect(rig().eventNames()).toEqual(['relatedNew matched', 'relatedEnd fin']);
  });

  it('belongs to its master and its expectation', () => {
    control = Session.open(rig());
    const { id } = control.expect();
    const master = rig().flow().id;
    control.data().send('client', { flags: 'S', ack: 0 });
    expect(dataFlow()).toMatchObject({ master, expectation: id });
  });

  it('has a mark of its own wherever it is seen, and is counted once', () => {
    const data = announce();
    data.probe('client', { flags: 'S', ack: 0 });
    expect(data.send('client', { flags: 'S', ack: 0 }, egress('wan', 'lan')).mark).toBe(related);
    data.probe('server', { flags: 'SA' });
    expect(data.send('server', { flags: 'SA' }, egress('lan', 'wan')).mark).toBe(related);
    data.probe('client');
    data.send('client', {}, egress('wan', 'lan'));
    expect(dataFlow().side).toMatchObject([{ packets: 2n }, { packets: 1n }]);
    expect(rig().counters().takenOver).toBeUndefined();
  });

  it('uses its expectation up: a SYN from another port is a plain connection', () => {
    const data = announce();
    data.send('client', { flags: 'S', ack: 0 });
    expect(rig().totals().expectations).toBe(0);
    const second_ = control.data({ client: { address: '10.0.1.2', port: 41001 } });
    expect(second_.send('client', { flags: 'S', ack: 0 }).mark).toBe(0);
    expect(rig().totals().flows).toBe(2);
  });

  it('keeps one flow while its SYN is sent again', () => {
    const data = announce();
    for (let i = 0; i < 3; i++) expect(data.probe('client', { flags: 'S', ack: 0 }).mark).toBe(related);
    expect(dataFlow().side[0]?.packets).toBe(3n);
    expect(rig().eventNames()).toEqual(['relatedNew matched']);
  });

  it.each(['A', 'SA', 'SF', 'SR', 'FA', 'R', 'RA'])('is not begun by %s', (flags) => {
    const data = announce();
    expect(data.send('client', { flags }).mark).toBe(0);
    expect(rig().totals()).toMatchObject({ flows: 1, expectations: 1 });
  });

  it('is established by a server that took the data of its SYN', () => {
    const data = announce();
    data.send('client', { flags: 'S', ack: 0, payload: 'hello' });
    data.send('server', { flags: 'SA' });
    expect(dataFlow()).toMatchObject({ state: FlowState.established });
  });

  it('is not begun at egress behind a watched ingress', () => {
    const data = announce();
    expect(data.send('client', { flags: 'S', ack: 0 }, egress('wan', 'lan')).mark).toBe(0);
    expect(rig().totals().expectations).toBe(1);
  });

  it('is begun at egress behind an unwatched one: late', () => {
    const data = announce();
    expect(data.send('client', { flags: 'S', ack: 0 }, egress('wan', 'strange')).mark).toBe(related);
    expect(rig().counters()).toEqual({ matched: 1, late: 1 });
  });

  it('is begun by this host itself', () => {
    const data = announce();
    expect(data.send('client', { flags: 'S', ack: 0 }, { on: 'wan', side: 'egress' }).mark).toBe(related);
    expect(rig().counters()).toEqual({ matched: 1 });
  });

  it('is not counted by segments that a stranger guesses', () => {
    const data = announce();
    data.handshake();
    data.probe('client', { seq: 0x50000000, flags: 'FA' });
    data.probe('server', { seq: 0x50000000, flags: 'FA' });
    data.probe('client', { seq: 1, flags: 'R' });
    data.probe('server', { seq: 90002, flags: 'RA' });
    expect(dataFlow()).toMatchObject({ state: FlowState.established });
    expect(rig().counters()).toMatchObject({ rstIgnored: 2 });
  });
});

describe('a data connection that ends', () => {
  it('by an exact RST stays closed, whatever comes after', () => {
    const data = announce();
    data.handshake();
    data.send('client', { flags: 'R', ack: 0 });
    data.send('server', { flags: 'FA' });
    expect(dataFlow().state).toBe(FlowState.closed);
    expect(rig().eventNames()).toEqual(['relatedNew matched', 'relatedEnd rst']);
    rig().advance(9n * second);
    rig().sweep();
    expect(dataFlow().state).toBe(FlowState.closed);
    rig().advance(2n * second);
    rig().sweep();
    expect(rig().totals().flows).toBe(1);
  });

  it('leaves its tuple free: a SYN of the next one begins a new flow if it is expected', () => {
    const data = announce();
    data.handshake();
    data.send('client', { flags: 'FA' });
    data.send('server', { flags: 'FA' });
    control.expect();
    const again = control.data({ clientSeq: 123456 });
    expect(again.send('client', { flags: 'S', ack: 0 }).mark).toBe(related);
    expect(dataFlow()).toMatchObject({ state: FlowState.new, isn: 123456 });
    expect(rig().eventNames()).toEqual([
      'relatedNew matched',
      'relatedEnd fin',
      'expectationNew',
      'relatedNew matched',
    ]);
  });

  it('and a plain one if it is not', () => {
    const data = announce();
    data.handshake();
    data.send('client', { flags: 'R', ack: 0 });
    const again = control.data({ clientSeq: 123456 });
    expect(again.send('client', { flags: 'S', ack: 0 }).mark).toBe(0);
    expect(rig().totals().flows).toBe(1);
  });
});

describe('an expectation is given back', () => {
  const reset = (data: Session) => data.send('server', { flags: 'RA', seq: 0 });

  it('once, when the SYN was reset', () => {
    const data = announce();
    data.send('client', { flags: 'S', ack: 0 });
    reset(data);
    expect(rig().eventNames()).toEqual(['relatedNew matched', 'relatedEnd rst', 'expectationNew givenBack']);
    expect(rig().totals().expectations).toBe(1);
    // The next SYN, from another port, meets it, but its reset does not bring the expectation back again.
    const next = control.data({ client: { address: '10.0.1.2', port: 41001 } });
    expect(next.send('client', { flags: 'S', ack: 0 }).mark).toBe(related);
    reset(next);
    expect(rig().totals().expectations).toBe(0);
  });

  it('with the deadline that it had', () => {
    const data = announce();
    const deadline = rig().expectations()[0]?.deadline;
    rig().advance(100n * second);
    data.send('client', { flags: 'S', ack: 0 });
    reset(data);
    expect(rig().expectations()).toMatchObject([{ deadline }]);
  });

  it('with none if it had none', () => {
    control = Session.open(rig());
    control.expect({ timeout: 0n });
    const data = control.data();
    data.send('client', { flags: 'S', ack: 0 });
    reset(data);
    expect(rig().expectations()).toMatchObject([{ deadline: 0n }]);
  });

  it('to the source as wide as it was', () => {
    control = Session.open(rig());
    control.expect({}, { address: null, port: 0 });
    const [before] = rig().expectations();
    const data = control.data({ client: { address: '10.7.7.7', port: 7 } });
    data.send('client', { flags: 'S', ack: 0 });
    reset(data);
    expect(rig().expectations()[0]?.tuple).toEqual(before?.tuple);
  });

  it.each([
    ['an RST without ACK', { flags: 'R', seq: 0 }],
    ['an RST that acknowledges something else', { flags: 'RA', seq: 0, ack: 5 }],
    ['an RST that acknowledges the SYN itself only', { flags: 'RA', seq: 0, ack: 70000 }],
  ])('not for %s', (_, segment) => {
    const data = announce();
    data.send('client', { flags: 'S', ack: 0 });
    data.send('server', segment);
    expect(dataFlow().state).toBe(FlowState.new);
    expect(rig().totals().expectations).toBe(0);
  });

  it('not for an RST of the client, and not for one after the handshake', () => {
    const data = announce();
    data.send('client', { flags: 'S', ack: 0 });
    data.probe('client', { flags: 'RA' });
    expect(rig().totals().expectations).toBe(0);
    data.send('server', { flags: 'SA' });
    data.send('server', { flags: 'R', ack: 0 });
    expect(dataFlow().state).toBe(FlowState.closed);
    expect(rig().totals().expectations).toBe(0);
  });

  it('once, when the SYN was accepted and its source disowns it: a stranger sent it', () => {
    announce();
    for (const [port, left] of [
      [41001, 1],
      [41002, 0],
    ] as const) {
      const data = control.data({ client: { address: '10.0.1.2', port } });
      expect(data.send('client', { flags: 'S', ack: 0 }).mark).toBe(related);
      data.send('server', { flags: 'SA' });
      // Who has not seen the answer cannot complete the handshake in its opener's name.
      data.probe('client', { ack: data.next.server + 1 });
      for (let i = 0; i < 2; i++) data.probe('client', { flags: 'R', ack: 0 });
      expect(rig().totals().expectations).toBe(left);
    }
  });

  it('not when its opener completed the handshake and then reset', () => {
    const data = announce();
    data.handshake();
    data.send('client', { flags: 'R', ack: 0 });
    expect(dataFlow().state).toBe(FlowState.closed);
    expect(rig().totals().expectations).toBe(0);
  });

  it('by the sweep, when nobody answered for ten seconds', () => {
    const data = announce();
    data.send('client', { flags: 'S', ack: 0 });
    rig().advance(10n * second);
    rig().sweep();
    expect(rig().totals().expectations).toBe(0);
    rig().advance(second);
    rig().sweep();
    expect(rig().totals()).toMatchObject({ expectations: 1, flows: 1 });
    expect(rig().eventNames()).toEqual(['relatedNew matched', 'relatedEnd idle', 'expectationNew givenBack']);
    expect(data.probe('client', { flags: 'S', ack: 0 }).mark).toBe(related);
  });

  it('not when its time is over, nor when its master has ended, nor when another took its place', () => {
    const late = announce();
    late.send('client', { flags: 'S', ack: 0 });
    rig().advance(301n * second);
    reset(late);
    expect(rig().totals().expectations).toBe(0);

    control.expect();
    const newer = control.data({ client: { address: '10.0.1.2', port: 41005 } });
    newer.send('client', { flags: 'S', ack: 0 });
    control.expect({}, undefined, { address: '10.0.2.2', port: 50009 });
    reset(newer);
    expect(rig().totals().expectations).toBe(1);

    const orphan = control.data({
      client: { address: '10.0.1.2', port: 41006 },
      server: { address: '10.0.2.2', port: 50009 },
    });
    orphan.send('client', { flags: 'S', ack: 0 });
    control.send('client', { flags: 'R', ack: 0 });
    reset(orphan);
    expect(rig().totals().expectations).toBe(0);
  });
});

describe('a control connection that ends', () => {
  it.each([
    ['by FINs', () => (control.send('client', { flags: 'FA' }), control.send('server', { flags: 'FA' }))],
    ['by an RST', () => control.send('server', { flags: 'R', ack: 0 })],
    [
      'by a SYN of the next one after a FIN',
      () => {
        control.send('client', { flags: 'FA' });
        control.send('client', { flags: 'S', ack: 0, seq: 99 });
      },
    ],
    [
      'idle',
      () => {
        rig().advance(432_001n * second);
        rig().sweep();
      },
    ],
  ])('%s takes its expectations with it, and leaves its data connections', (_, end) => {
    rig().configure({ idleRelated: 1_000_000n * second });
    const data = announce();
    data.handshake();
    control.expect({ limit: 9, timeout: 0n }, undefined, { address: '10.0.2.2', port: 50001 });
    control.expect({ limit: 9, timeout: 0n }, undefined, { address: '10.0.2.2', port: 50002 });
    end();
    expect(rig().totals()).toMatchObject({ expectations: 0, shapes: [0, 0, 0, 0] });
    expect(data.send('client').mark).toBe(related);
    expect(dataFlow().state).toBe(FlowState.established);
  });

  it('stays for ten seconds, then its tuple is free', () => {
    announce();
    control.send('client', { flags: 'R', ack: 0 });
    rig().advance(9n * second);
    rig().sweep();
    expect(rig().flows()).toHaveLength(1);
    rig().advance(2n * second);
    rig().sweep();
    expect(rig().flows()).toEqual([]);
    Session.open(rig(), { clientSeq: 7 });
    expect(rig().flows()).toHaveLength(1);
  });

  it('is tracked again from the next SYN of the same tuple', () => {
    announce();
    control.send('client', { flags: 'FA' });
    control.send('server', { flags: 'FA' });
    const first = rig().flow().id;
    Session.open(rig(), { clientSeq: 123456, serverSeq: 654321 });
    expect(rig().flow().id).not.toBe(first);
    expect(rig().flow().side[0]?.next).toBe(123457);
  });

  it('keeps its flow while it is half closed: data connections are still expected', () => {
    const data = announce();
    control.send('client', { flags: 'FA' });
    expect(data.send('client', { flags: 'S', ack: 0 }).mark).toBe(related);
  });
});

describe('nothing is left when everything has ended', () => {
  it.each<[string, () => void]>([
    [
      'one session',
      () => {
        const data = announce();
        data.handshake();
        data.send('client', { flags: 'FA' });
        data.send('server', { flags: 'FA' });
        control.send('client', { flags: 'FA' });
        control.send('server', { flags: 'FA' });
      },
    ],
    [
      'resets, refusals, clashes, evictions, unanswered SYNs',
      () => {
        for (let round = 0; round < 40; round++) {
          const session = Session.open(rig(), {
            client: { address: `10.0.${String(round % 3)}.2`, port: 1000 + round },
          });
          session.expect({ limit: 2 }, undefined, { address: '10.0.2.2', port: 50000 + (round % 5) });
          session.expect({ limit: 2 }, undefined, { address: '10.0.2.2', port: 51000 + round });
          session.expect({ limit: 2 }, undefined, { address: '10.0.2.2', port: 52000 + round });
          const data = session.data({ server: { address: '10.0.2.2', port: 52000 + round } });
          data.send('client', { flags: 'S', ack: 0 });
          if (round % 3 === 0) data.send('server', { flags: 'RA', seq: 0 });
          if (round % 3 === 1) data.send('server', { flags: 'SA' });
          if (round % 2 === 0) session.send('client', { flags: 'R', ack: 0 });
          if (round % 7 === 0) {
            rig().advance(11n * second);
            rig().sweep();
          }
        }
      },
    ],
    [
      'full tables',
      () => {
        for (let round = 0; round < 60; round++) {
          const session = Session.open(rig(), { client: { address: '10.0.1.2', port: 1000 + round } });
          session.expect({ limit: 9 }, undefined, { address: '10.0.2.2', port: 50000 + round });
          session.data({ server: { address: '10.0.2.2', port: 50000 + round } }).send('client', { flags: 'S', ack: 0 });
        }
      },
    ],
  ])('%s', (_, live) => {
    live();
    // Data that was never answered gives back and dies again: some rounds.
    for (let round = 0; round < 3; round++) {
      rig().advance(432_001n * second);
      rig().sweep();
    }
    expect(rig().leaks()).toEqual(nothing);
  });
});

describe('full tables', () => {
  it('refuse a control connection, and push out none', () => {
    for (let port = 1; port <= 16; port++) Session.open(rig(), { client: { address: '10.0.1.2', port } });
    rig().events();
    rig().advance(second);
    Session.open(rig(), { client: { address: '10.0.1.2', port: 17 } });
    expect(rig().totals()).toMatchObject({ flows: 16, controls: 16 });
    expect(rig().counters()).toMatchObject({ controlsFull: 1 });
    expect(rig().eventNames()).toEqual(['tableFull controlsFull']);
    Session.open(rig(), { client: { address: '10.0.1.2', port: 18 } });
    expect(rig().events()).toEqual([]);
  });

  it('refuse the eleventh connection of one source', () => {
    rig().configure({ perSource: 10 });
    for (let port = 1; port <= 12; port++) Session.open(rig(), { client: { address: '10.0.1.2', port } });
    Session.open(rig(), { client: { address: '10.0.1.3', port: 1 } });
    expect(rig().totals().controls).toBe(11);
    expect(rig().counters()).toMatchObject({ perSource: 2 });
  });

  it('leave the expectation of a data connection that finds no place', () => {
    rig().configure({ maxFlows: 1 });
    const data = announce();
    expect(data.send('client', { flags: 'S', ack: 0 }).mark).toBe(0);
    expect(rig().totals()).toMatchObject({ flows: 1, expectations: 1 });
    expect(rig().eventNames()).toEqual(['tableFull flowsFull']);
    rig().configure({ maxFlows: 2 });
    expect(data.probe('client', { flags: 'S', ack: 0 }).mark).toBe(related);
  });
});

describe('ownership of a direction', () => {
  it('goes to a hook that sees what the owner has not: a route changed', () => {
    const data = announce();
    data.handshake();
    data.send('client', { payload: 'x' }, { on: 'third' });
    expect(rig().counters()).toMatchObject({ takenOver: 1 });
    expect(dataFlow().side[0]).toMatchObject({ packets: 3n });
    // What the old owner sees again was seen.
    data.next.client -= 1;
    data.send('client', { payload: 'x' });
    expect(dataFlow().side[0]).toMatchObject({ packets: 3n });
  });

  it('does not go for what lies too far ahead', () => {
    const data = announce();
    data.handshake();
    data.probe('client', { payload: 'x', seq: data.next.client + (1 << 25) }, { on: 'third' });
    expect(rig().counters().takenOver).toBeUndefined();
  });

  it('of a control stream goes with unseen payload only', () => {
    rig().configure({ holdIfindex: rig().wires.ifindex.hold });
    const session = Session.open(rig());
    expect(session.probe('client', {}, { on: 'third' }).verdict).toBe('pass');
    expect(rig().flow().side[0]?.packets).toBe(1n);
    expect(session.probe('client', { payload: 'USER a\r\n' }, { on: 'third' }).verdict).toBe('redirect');
    expect(rig().counters()).toEqual({ takenOver: 1, held: 1 });
  });

  it('is of one side of an interface: hairpin packets are seen once', () => {
    rig().configure({ holdIfindex: rig().wires.ifindex.hold });
    const session = Session.open(rig(), { serverAt: { on: 'lan' } });
    session.send('client', {}, {});
    session.send('client', {}, egress('lan', 'lan'));
    expect(rig().flow().side[0]?.packets).toBe(2n);
    session.probe('client', { payload: 'x' });
    session.release('client', { payload: 'x' });
    session.next.client += 1;
    session.next.client -= 1;
    expect(session.probe('client', { payload: 'x' }, egress('lan', 'lan')).verdict).toBe('pass');
    expect(rig().counters()).toEqual({ held: 1, released: 1 });
  });
});

describe('zones', () => {
  beforeEach(() => {
    rig().watch('third', { zone: 7 });
    rig().watch('tun', { zone: 7 });
  });

  it('the same tuple is two connections', () => {
    Session.open(rig());
    Session.open(rig(), { clientAt: { on: 'third' }, serverAt: { on: 'tun' }, clientSeq: 9, serverSeq: 99 });
    expect(
      rig()
        .flows()
        .map(({ key }) => key.zone)
        .sort(),
    ).toEqual([0, 7]);
  });

  it('what is expected in one is not in the other', () => {
    const data = announce();
    expect(data.send('client', { flags: 'S', ack: 0 }, { on: 'third' }).mark).toBe(0);
    expect(data.probe('client', { flags: 'S', ack: 0 }).mark).toBe(related);
  });

  it('of a VLAN on an interface', () => {
    rig().watch('lan', { zone: 9, vlan: 5 });
    rig().watch('wan', { zone: 9, vlan: 5 });
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0, vlan: 5 });
    session.send('server', { flags: 'SA', vlan: 5 });
    session.send('client', { vlan: 6 });
    expect(rig().flows()).toEqual([]);
    session.send('client', { vlan: 5 });
    expect(
      rig()
        .flows()
        .map(({ key }) => key.zone),
    ).toEqual([9]);
  });

  it('a VLAN that is left to its own interface is not tracked here', () => {
    rig().watch('lan', { vlan: 5, flags: 4 });
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0, vlan: 5 });
    session.send('server', { flags: 'SA' });
    session.send('client', { vlan: 5 });
    expect(rig().flows()).toEqual([]);
    expect(rig().counters()).toEqual({ notWatched: 2 });
  });
});

describe('an opener on the second side of the key', () => {
  it('has its packets counted as the original direction', () => {
    const data = announce({ client: { address: '10.9.9.9', port: 40000 } });
    data.send('client', { flags: 'S', ack: 0 });
    expect(dataFlow()).toMatchObject({ flags: FlowFlag.openerIsSecond, side: [{ packets: 1n }, { packets: 0n }] });
  });
});

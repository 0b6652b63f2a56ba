// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FlowFlag, FlowKind, FlowState } from '../../packages/datapath/src/generated/layout.js';
import { Reason, millisecond, second } from './rig.js';
import { Session, client6, server4, server6 } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();

describe('a handshake on an assigned port', () => {
  it.each([
    ['IPv4', {}],
    ['IPv6', { client: client6, server: server6 }],
    ['sequence numbers that wrap', { clientSeq: 0xffffffff, serverSeq: 0xffffffff }],
    ['addresses that sort the other way', { client: { address: '10.9.9.9', port: 50000 } }],
  ])('makes a control connection with its last ACK: %s', (_, options) => {
    rig().assign({ id: 7, mark: 0x53000000 });
    const session = new Session(rig(), options);
    session.send('client', { flags: 'S', ack: 0 });
    session.send('server', { flags: 'SA' });
    expect(rig().flows()).toEqual([]);
    expect(session.send('client')).toMatchObject({ verdict: 'pass', mark: 0 });
    expect(rig().flow()).toMatchObject({
      kind: FlowKind.control,
      state: FlowState.established,
      assignment: 7,
      mark: 0x53000000,
      trust: 0,
      created: rig().now,
    });
    expect(
      rig()
        .flow()
        .side.map(({ next }) => next),
    ).toEqual([session.next.client >>> 0, session.next.server >>> 0]);
    expect(rig().eventNames()).toEqual(['controlNew']);
  });

  it('reports the connection as its opener sees it', () => {
    rig().assign({});
    const session = Session.open(rig(), { client: { address: '10.9.9.9', port: 50000 } });
    const [event] = rig().events();
    expect(event?.tuple).toEqual(session.tuple);
    expect(event?.flow.flags).toBe(FlowFlag.openerIsSecond);
  });

  it('may have data in its last ACK, which is followed from the first byte', () => {
    rig().assign({});
    rig().configure({ holdIfindex: rig().wires.ifindex.hold });
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0 });
    session.send('server', { flags: 'SA' });
    expect(session.send('client', { payload: 'USER a\r\n' }).verdict).toBe('redirect');
    expect(rig().flow().side[0]?.next).toBe(1001);
  });

  it('is not needed to be seen on the way out: two hooks count it once', () => {
    rig().assign({});
    const session = new Session(rig());
    session.probe('client', { flags: 'S', ack: 0 });
    session.send('client', { flags: 'S', ack: 0 }, { on: 'wan', side: 'egress', from: 'lan' });
    session.probe('server', { flags: 'SA' });
    session.send('server', { flags: 'SA' }, { on: 'lan', side: 'egress', from: 'wan' });
    session.probe('client');
    session.probe('client', {}, { on: 'wan', side: 'egress', from: 'lan' });
    expect(rig().flow()).toMatchObject({ flags: 0 });
    expect(rig().flow().side[0]?.packets).toBe(1n);
    expect(rig().eventNames()).toEqual(['controlNew']);
  });

  it('is translated when its SYN-ACK leaves with a tuple that did not come in', () => {
    rig().assign({});
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0 });
    session.send('server', { flags: 'SA' }, { on: 'lan', side: 'egress', from: 'wan' });
    session.send('client');
    expect(rig().flow().flags & FlowFlag.translated).toBe(FlowFlag.translated);
  });

  it('is tracked for a server and for a client on this host', () => {
    rig().assign({});
    Session.open(rig(), { serverAt: { on: 'lan', side: 'egress' } });
    Session.open(rig(), {
      client: { address: '10.0.1.9', port: 40000 },
      clientAt: { on: 'wan', side: 'egress' },
      serverAt: { on: 'wan' },
    });
    expect(
      rig()
        .flows()
        .map(({ flow }) => flow.flags & FlowFlag.translated),
    ).toEqual([0, 0]);
  });
});

describe('nothing is tracked', () => {
  const wrong: [string, (session: Session) => void][] = [
    ['without a SYN-ACK', (s) => (s.send('client', { flags: 'S', ack: 0 }), s.send('client'))],
    ['without its last ACK', (s) => (s.send('client', { flags: 'S', ack: 0 }), s.send('server', { flags: 'SA' }))],
    ['when the ACK acknowledges something else', (s) => (shake(s), s.send('client', { ack: s.next.server + 1 }))],
    ['when the ACK is of an older SYN', (s) => (shake(s), s.send('client', { seq: s.next.client - 1 }))],
    ['for a reset instead of the ACK', (s) => (shake(s), s.send('client', { flags: 'RA' }))],
    ['when it was open before', (s) => (s.send('server', { payload: '220\r\n' }), s.send('client'))],
    [
      'for a simultaneous open',
      (s) => {
        s.send('client', { flags: 'S', ack: 0 });
        s.send('server', { flags: 'S', ack: 0 });
        s.probe('client', { flags: 'SA', seq: s.next.client - 1 });
        s.probe('server', { flags: 'SA', seq: s.next.server - 1 });
        s.send('client');
      },
    ],
    [
      'when the last ACK comes later than the half-open limit',
      (s) => {
        shake(s);
        s.rig.advance(61n * second);
        s.send('client');
      },
    ],
    [
      'at an egress hook behind a watched ingress',
      (s) => {
        shake(s);
        s.send('client', {}, { on: 'wan', side: 'egress', from: 'lan' });
      },
    ],
  ];
  function shake(session: Session): void {
    session.send('client', { flags: 'S', ack: 0 });
    session.send('server', { flags: 'SA' });
  }
  it.each(wrong)('%s', (_, talk) => {
    rig().assign({});
    talk(new Session(rig()));
    expect(rig().flows()).toEqual([]);
    expect(rig().eventNames()).toEqual([]);
  });

  it.each([
    ['no assignment at all', []],
    ['another port', [{ port: 2121 }]],
    ['another source', [{ from: '10.0.9.0/24' }]],
    ['another destination', [{ to: '10.0.9.0/24' }]],
    ['the other family', [{ to: '2001:db8::/32' }]],
    ['another interface', [{ interface: 'third' as const }]],
    ['another protocol', [{ protocol: 17 }]],
  ])('with an assignment for %s', (_, specs) => {
    if (specs.length > 0) rig().assign(...specs);
    Session.open(rig());
    expect(rig().flows()).toEqual([]);
  });

  it('for a connection to a client port that is assigned: only the listening side counts', () => {
    rig().assign({});
    Session.open(rig(), { client: { address: '10.0.1.2', port: 21 }, server: { address: '10.0.2.2', port: 4000 } });
    expect(rig().flows()).toEqual([]);
  });

  it('on the hook of an interface that is not watched', () => {
    rig().assign({});
    Session.open(rig(), { clientAt: { on: 'strange' } });
    expect(rig().flows()).toEqual([]);
    expect(rig().counters()).toEqual({ notWatched: 2 });
  });
});

describe('a simultaneous open', () => {
  it('does not block its tuple for good', () => {
    rig().assign({});
    const forged = new Session(rig());
    forged.probe('client', { flags: 'SA' });
    rig().advance(120n * second);
    Session.open(rig());
    expect(rig().flows()).toHaveLength(1);
  });
});

describe('TCP Fast Open', () => {
  it('data that the server accepted was not seen: tracked, not trusted', () => {
    rig().assign({});
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0, payload: 'USER a\r\n' });
    session.send('server', { flags: 'SA' });
    session.send('client');
    expect(rig().flow().trust).toBe(Reason.fastOpen);
  });

  it('of which a part was accepted: not trusted either', () => {
    rig().assign({});
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0, payload: 'USER a\r\n' });
    session.next.client -= 3;
    session.send('server', { flags: 'SA' });
    session.send('client');
    expect(rig().flow().trust).toBe(Reason.fastOpen);
  });

  it('data that it did not accept comes again and is followed', () => {
    rig().assign({});
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0, payload: 'USER a\r\n' });
    session.next.client -= 8;
    session.send('server', { flags: 'SA' });
    session.send('client');
    expect(rig().flow()).toMatchObject({ trust: 0 });
    expect(rig().flow().side[0]?.next).toBe(1001);
  });

  it('a SYN-ACK at two hooks does not forget it', () => {
    rig().assign({});
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0, payload: 'USER a\r\n' });
    session.probe('server', { flags: 'SA' });
    session.send('server', { flags: 'SA' }, { on: 'lan', side: 'egress', from: 'wan' });
    session.send('client');
    expect(rig().flow()).toMatchObject({ trust: Reason.fastOpen, flags: 0 });
  });
});

describe('embryonic connections', () => {
  it('a retransmitted SYN-ACK changes nothing, one of a new connection replaces', () => {
    rig().assign({});
    const old = new Session(rig());
    old.send('client', { flags: 'S', ack: 0 });
    old.send('server', { flags: 'SA' });
    const session = new Session(rig(), { clientSeq: 222222, serverSeq: 333333 });
    session.send('client', { flags: 'S', ack: 0 });
    session.send('server', { flags: 'SA' });
    session.probe('server', { flags: 'SA', seq: 333333 });
    old.send('client');
    expect(rig().flows()).toEqual([]);
    expect(rig().counters()).toEqual({ handshake: 1 });
    session.send('client');
    expect(rig().flows()).toHaveLength(1);
  });

  it('in one set are pushed out by eight newer ones, and by nothing older', () => {
    // One set only: every connection falls into it.
    rig().configure({ embryoMask: 0 });
    rig().assign({});
    const honest = new Session(rig(), { client: { address: '10.0.1.2', port: 40000 } });
    honest.send('client', { flags: 'S', ack: 0 });
    honest.send('server', { flags: 'SA' });
    const flood = (from: number, count: number): void => {
      for (let port = from; port < from + count; port++) {
        rig().advance(300n * millisecond);
        const session = new Session(rig(), { client: { address: '10.0.1.3', port } });
        session.send('client', { flags: 'S', ack: 0 });
        session.send('server', { flags: 'SA' });
      }
    };
    flood(1, 7);
    honest.probe('client', { seq: 1 });
    expect(rig().counters()).toEqual({ handshake: 1 });
    flood(8, 1);
    honest.send('client');
    expect(rig().flows()).toEqual([]);
  });

  it('cost SYNs nothing: a flood of them leaves no trace', () => {
    rig().assign({});
    const honest = new Session(rig());
    honest.send('client', { flags: 'S', ack: 0 });
    honest.send('server', { flags: 'SA' });
    for (let port = 1; port < 500; port++) {
      new Session(rig(), { client: { address: '10.0.1.3', port } }).send('client', { flags: 'S', ack: 0 });
    }
    honest.send('client');
    expect(rig().flows()).toHaveLength(1);
  });
});

describe('the most specific assignment wins', () => {
  // The order in the table is the daemon's: most specific first.
  const specs = [
    { id: 1, from: '10.0.1.2/32', to: '10.0.2.2/32', interface: 'lan' as const },
    { id: 2, to: '10.0.2.2/32' },
    { id: 3, from: '10.0.1.0/24' },
    { id: 4, to: '0.0.0.0/0' },
    { id: 5 },
  ];
  it.each([
    ['all of it', {}, 1],
    ['by another interface', { clientAt: { on: 'third' } }, 2],
    ['another server', { server: { address: '10.0.2.3', port: 21 } }, 3],
    [
      'another client and server',
      { client: { address: '10.0.9.2', port: 40000 }, server: { address: '10.0.2.3', port: 21 } },
      4,
    ],
    ['IPv6', { client: client6, server: server6 }, 5],
  ] as const)('%s', (_, options, id) => {
    rig().assign(...specs);
    Session.open(rig(), options);
    expect(rig().flow().assignment).toBe(id);
  });

  it('by the interface as routing names it', () => {
    rig().watch('lan', { routing: 'third' });
    rig().assign({ id: 1, interface: 'lan' }, { id: 2, interface: 'third' });
    Session.open(rig());
    expect(rig().flow().assignment).toBe(2);
  });

  it('of a local client by the interface it leaves by', () => {
    rig().assign({ id: 1, interface: 'lan' }, { id: 2, interface: 'wan' });
    Session.open(rig(), { clientAt: { on: 'wan', side: 'egress' }, server: server4 });
    expect(rig().flow().assignment).toBe(2);
  });
});

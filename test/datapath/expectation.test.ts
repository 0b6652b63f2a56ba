// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { udp } from '@relatd/lab';
import { ExpectFlag, FlowKind, Limit } from '../../packages/datapath/src/generated/layout.js';
import { EventType, Reason, RequestOp, foreign, mask, related, second, tuple, type End } from './rig.js';
import { Session, client4, client6, server4, server6 } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();
beforeEach(() => {
  rig().assign({ id: 3 });
});

const at = (address: string | null, port: number): End => ({ address, port });
/** A control connection from another client. */
const other = (last = 3, options = {}) =>
  Session.open(rig(), { client: at(`10.0.1.${String(last)}`, 40000), ...options });
const openData = (session: Session, port = 50000, from = 41000) => {
  const data = session.data({ server: at(session.server.address, port), client: at(session.client.address, from) });
  return data.send('client', { flags: 'S', ack: 0 }).mark === related;
};

describe('an expectation', () => {
  it('is made for a living master, and says of whom', () => {
    const session = Session.open(rig());
    const answer = session.expect({ class: 2, direction: 1 });
    expect(answer).toMatchObject({ result: Reason.none, created: 1, evicted: 0n });
    const [entry] = rig().expectations();
    expect(entry).toMatchObject({
      live: answer.id,
      master: rig().flow().id,
      assignment: 3,
      mark: related,
      class: 2,
      direction: 1,
      deadline: rig().now + 300n * second,
      tuple: tuple(at('10.0.1.2', 0), at('10.0.2.2', 50000)),
    });
    expect(rig().totals()).toMatchObject({ expectations: 1, shapes: [0, 0, 1, 0] });
    expect(rig().ports()).toMatchObject({ 'tcp/50000': 1 });
    expect(rig().eventNames()).toEqual(['controlNew', 'expectationNew']);
  });

  it('may be asked for with the master either way round, and with its own mark', () => {
    const session = Session.open(rig());
    const { client, server } = session;
    expect(session.expect({ master: tuple(server, client), mark: 0x53000000 }).result).toBe(Reason.none);
    expect(rig().expectations()[0]?.mark).toBe(0x53000000);
  });

  it('is refused without a master', () => {
    const session = new Session(rig());
    expect(session.expect().result).toBe(Reason.noMaster);
    session.handshake();
    session.send('client', { flags: 'R', ack: 0 });
    expect(session.expect().result).toBe(Reason.noMaster);
    expect(rig().expectations()).toEqual([]);
  });

  it('is refused for a related flow as master', () => {
    const session = Session.open(rig());
    session.expect();
    const data = session.data();
    data.handshake();
    expect(session.expect({ master: data.tuple }).result).toBe(Reason.noMaster);
  });

  it('asked for again is refreshed and keeps its id', () => {
    const session = Session.open(rig());
    const first = session.expect();
    rig().advance(100n * second);
    expect(session.expect()).toMatchObject({ result: Reason.none, id: first.id, created: 0 });
    expect(rig().expectations()).toMatchObject([{ deadline: rig().now + 300n * second }]);
    expect(rig().totals().expectations).toBe(1);
    expect(rig().eventNames()).toEqual(['controlNew', 'expectationNew']);
  });

  it.each([1, 2, 5, 32])('at the limit of %i per master and class the oldest goes', (limit) => {
    rig().configure({ maxExpectations: 16 });
    const session = Session.open(rig());
    const count = Math.min(limit, 15);
    const ids = Array.from({ length: count }, (_, i) => {
      rig().advance(second);
      return session.expect({ limit: count }, undefined, at('10.0.2.2', 50000 + i)).id;
    });
    expect(new Set(ids).size).toBe(count);
    expect(rig().totals().expectations).toBe(count);
    for (const id of ids.slice(0, 3)) {
      rig().advance(second);
      const next = session.expect({ limit: count }, undefined, at('10.0.2.2', 60000 + Number(id)));
      expect(next).toMatchObject({ result: Reason.none, evicted: id });
    }
    expect(rig().totals().expectations).toBe(count);
    expect(
      rig()
        .eventNames()
        .filter((name) => name === 'expectationExpired evicted'),
    ).toHaveLength(Math.min(3, count));
  });

  it('limits of one class and of another master do not add up', () => {
    const session = Session.open(rig());
    session.expect({ class: 0 });
    session.expect({ class: 1 }, undefined, at('10.0.2.2', 50001));
    other().expect({ class: 0 }, at('10.0.1.3', 0), at('10.0.2.2', 50000));
    expect(rig().totals().expectations).toBe(3);
  });

  it('keeps count when its records are used again by the same master', () => {
    const session = Session.open(rig());
    for (let round = 0; round < 200; round++) {
      const port = 50000 + (round % 7);
      session.expect({ limit: 3 }, undefined, at('10.0.2.2', port));
      if (round % 3 === 0) openData(session, port, 1000 + round);
      expect(rig().totals().expectations).toBeLessThanOrEqual(3);
      expect(rig().totals().expectations).toBe(rig().expectations().length);
      // Unanswered connections give back what they took.
      if (round % 20 === 0) {
        rig().advance(11n * second);
        rig().sweep();
      }
    }
  });

  it('of the same connections by another master is refused, and the first stays', () => {
    const session = Session.open(rig());
    session.expect();
    const thief = other();
    const answer = thief.expect({}, at('10.0.1.2', 0), at('10.0.2.2', 50000));
    expect(answer.result).toBe(Reason.clash);
    expect(rig().expectations()).toHaveLength(1);
    const refusal = rig()
      .events()
      .find(({ type }) => type === EventType.expectationRefused);
    expect(refusal).toMatchObject({
      reason: Reason.clash,
      expect: { tuple: tuple(at('10.0.1.2', 0), at('10.0.2.2', 50000)) },
    });
    expect(openData(session)).toBe(true);
  });

  it('covered by a wider one of another master is refused, beside another source it is not', () => {
    Session.open(rig()).expect({}, at(null, 0));
    expect(other(3).expect().result).toBe(Reason.clash);
    expect(other(4).expect({}, at(null, 0)).result).toBe(Reason.clash);
    expect(other(5).expect({}, at('10.0.1.5', 0), at('10.0.2.2', 50001)).result).toBe(Reason.none);
  });

  it('takes the place of an expired one of anybody', () => {
    Session.open(rig()).expect();
    rig().advance(301n * second);
    const answer = other().expect({}, at('10.0.1.2', 0));
    expect(answer).toMatchObject({ result: Reason.none, created: 1 });
    expect(rig().totals().expectations).toBe(1);
    expect(rig().eventNames()).toContain('expectationExpired expired');
  });

  it('never matches once its time is over, swept or not', () => {
    const session = Session.open(rig());
    session.expect();
    rig().advance(300n * second - 1n);
    const just = rig().expectations().length;
    expect(just).toBe(1);
    rig().advance(1n);
    expect(openData(session)).toBe(false);
    expect(rig().expectations()).toHaveLength(1);
    rig().sweep();
    expect(rig().expectations()).toEqual([]);
    expect(rig().eventNames()).toEqual(['controlNew', 'expectationNew', 'expectationExpired expired']);
  });

  it('without a timeout stays', () => {
    const session = Session.open(rig());
    session.expect({ timeout: 0n });
    rig().advance(100_000n * second);
    rig().sweep();
    expect(openData(session)).toBe(true);
  });

  it('is taken back by id, once, and nobody else by it', () => {
    const session = Session.open(rig());
    const { id, slot } = session.expect();
    const unexpect = (parts: object) =>
      rig().request({ op: RequestOp.unexpect, id, slot, reason: Reason.refusedByServer, ...parts }).result;
    expect(unexpect({ id: id + 1n })).toBe(Reason.noMaster);
    expect(unexpect({ slot: slot + 1 })).toBe(Reason.noMaster);
    expect(unexpect({ id: 0n })).toBe(Reason.noMaster);
    expect(unexpect({})).toBe(Reason.none);
    expect(unexpect({})).toBe(Reason.noMaster);
    expect(rig().eventNames()).toEqual(['controlNew', 'expectationNew', 'expectationExpired refusedByServer']);
    expect(openData(session)).toBe(false);
  });

  it('counts against its source', () => {
    rig().configure({ perSource: 2 });
    const session = Session.open(rig());
    const ask = (port: number) => session.expect({ limit: 9 }, undefined, at('10.0.2.2', port)).result;
    expect([ask(50001), ask(50002), ask(50003)]).toEqual([Reason.none, Reason.none, Reason.perSource]);
    expect(other().expect({}, at('10.0.1.3', 0)).result).toBe(Reason.none);
    expect(rig().totals().expectations).toBe(3);
    expect(rig().eventNames()).toContain('expectationRefused perSource');
  });

  it('finds no place in a full table: nothing is pushed out', () => {
    const session = Session.open(rig());
    const ask = (port: number) => session.expect({ limit: 32 }, undefined, at('10.0.2.2', port)).result;
    for (let port = 1; port <= 16; port++) expect(ask(50000 + port)).toBe(Reason.none);
    for (let tries = 0; tries < 3; tries++) expect(ask(50017)).toBe(Reason.expectationsFull);
    expect(rig().totals().expectations).toBe(16);
    expect(rig().counters()).toMatchObject({ expectationsFull: 3 });
    expect(openData(session, 50001)).toBe(true);
    expect(ask(50017)).toBe(Reason.none);
  });
});

describe('a batch of requests', () => {
  it('is served in order, each with its own answer', () => {
    const session = Session.open(rig());
    const ask = (port: number) => ({
      op: RequestOp.expect,
      master: session.tuple,
      tuple: tuple(at('10.0.1.2', 0), at('10.0.2.2', port)),
      timeout: second,
      limit: 9,
    });
    const answers = rig().requests([ask(1), ask(2), ask(1), { op: RequestOp.expect }, ask(3)]);
    expect(answers.map(({ result }) => result)).toEqual([0, 0, 0, Reason.noMaster, 0]);
    expect(answers[2]?.id).toBe(answers[0]?.id);
  });

  it('of more than fits is refused as a whole', () => {
    expect(() => rig().requests(Array.from({ length: Limit.requestBatch + 1 }, () => ({})))).toThrow();
  });
});

describe('the shapes, most specific first', () => {
  const server = at('10.0.2.2', 50000);
  const shapes: [string, End, number][] = [
    ['exact', at('10.0.1.2', 41000), 1],
    ['any address', at(null, 41000), 2],
    ['any port', at('10.0.1.2', 0), 3],
    ['any source', at(null, 0), 4],
  ];
  it.each(shapes)('%s wins over all that are wider', (_, __, from) => {
    const session = Session.open(rig());
    // The widest first, or it would be refreshed instead.
    for (const [, source, id] of shapes.slice(from - 1).reverse())
      session.expect({ limit: 9, mark: (0x52000000 + (id << 24)) >>> 0 }, source, server);
    const syn = session.data().send('client', { flags: 'S', ack: 0 });
    expect(syn.mark).toBe(0x52000000 + (from << 24));
    expect(rig().totals().expectations).toBe(4 - from);
  });

  it.each([
    ['another client', at('10.0.1.2', 0), at('10.0.1.9', 41000), server],
    ['another server', at(null, 0), at('10.0.1.2', 41000), at('10.0.2.3', 50000)],
    ['another port', at(null, 0), at('10.0.1.2', 41000), at('10.0.2.2', 50001)],
    ['another source port', at('10.0.1.2', 41001), at('10.0.1.2', 41000), server],
    ['the same turned round', at('10.0.1.2', 0), at('10.0.2.2', 50000), at('10.0.1.2', 41000)],
  ])('%s does not match', (_, source, from, to) => {
    Session.open(rig()).expect({}, source, server);
    const data = new Session(rig(), { client: from, server: to });
    expect(data.send('client', { flags: 'S', ack: 0 }).mark).toBe(0);
    expect(rig().totals().expectations).toBe(1);
  });
});

describe('a permanent expectation', () => {
  it('matches again and again, and is not given back', () => {
    const session = Session.open(rig());
    session.expect({ flags: ExpectFlag.permanent });
    expect(openData(session, 50000, 41000)).toBe(true);
    expect(openData(session, 50000, 41001)).toBe(true);
    rig().advance(11n * second);
    session.send('client');
    rig().sweep();
    expect(rig().totals()).toMatchObject({ expectations: 1, flows: 1 });
  });
});

describe('IPv6 and UDP', () => {
  it('IPv6', () => {
    const session = Session.open(rig(), { client: client6, server: server6 });
    session.expect();
    expect(openData(session)).toBe(true);
  });

  it('an any-source expectation of one family does not match the other', () => {
    const session = Session.open(rig());
    session.expect({}, at(null, 0));
    const data = new Session(rig(), { client: client6, server: at(server6.address, 50000) });
    expect(data.send('client', { flags: 'S', ack: 0 }).mark).toBe(0);
  });

  it('UDP: both directions are marked, the reply makes it established, silence ends it', () => {
    const session = Session.open(rig());
    session.expect({ tuple: tuple(at('10.0.1.2', 0), at('10.0.2.2', 50000), 17) });
    rig().events();
    const there = udp({ src: '10.0.1.2', dst: '10.0.2.2', sport: 41000, dport: 50000, payload: 'x' });
    const back = udp({ src: '10.0.2.2', dst: '10.0.1.2', sport: 50000, dport: 41000, payload: 'xy' });
    const tcpSyn = session.data().send('client', { flags: 'S', ack: 0 });
    expect(tcpSyn.mark).toBe(0);
    expect(rig().packet(there, { on: 'lan', mark: (mask | foreign) >>> 0 }).mark).toBe((related | foreign) >>> 0);
    expect(rig().packet(back, { on: 'wan' }).mark).toBe(related);
    expect(rig().packet(there, { on: 'lan' }).mark).toBe(related);
    const flow = rig()
      .flows()
      .find(({ flow: { kind } }) => kind === FlowKind.related)?.flow;
    expect(flow).toMatchObject({
      state: 2,
      side: [
        { packets: 2n, bytes: 58n },
        { packets: 1n, bytes: 30n },
      ],
    });
    rig().advance(432_001n * second);
    rig().sweep();
    expect(rig().eventNames()).toEqual(['relatedNew matched', 'controlEnd idle', 'relatedEnd idle']);
  });

  it('UDP that nobody answers goes after ten seconds and is not given back', () => {
    const session = Session.open(rig());
    session.expect({ tuple: tuple(at('10.0.1.2', 0), at('10.0.2.2', 50000), 17) });
    rig().packet(udp({ src: '10.0.1.2', dst: '10.0.2.2', sport: 41000, dport: 50000 }), { on: 'lan' });
    rig().advance(11n * second);
    rig().sweep();
    expect(rig().totals()).toMatchObject({ flows: 1, expectations: 0 });
  });
});

describe('without any assignment left', () => {
  it('what is expected still matches', () => {
    const session = Session.open(rig(), { client: client4, server: server4 });
    session.expect();
    rig().unassign();
    expect(openData(session)).toBe(true);
  });
});

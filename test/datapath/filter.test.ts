// SPDX-License-Identifier: Apache-2.0
import { udp } from '@relatd/lab';
import { beforeEach, describe, expect, it } from 'vitest';
import { Reason, RequestOp, related, tuple } from './rig.js';
import { Session, client6, server6 } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig({ flows: 256, flow_slots: 256, flow_free: 256 });
beforeEach(() => {
  rig().assign({});
  rig().crowdPorts();
});

/** Whether a packet gets past the filters: on an interface that is not watched, it is counted there and goes no further. */
function passes(bytes: Uint8Array): boolean {
  const before = rig().counters().notWatched ?? 0;
  rig().packet(bytes, { on: 'strange' });
  return (rig().counters().notWatched ?? 0) > before;
}

/** Connections that nobody expects, between hosts of which some are known. */
const strangers = (): Session[] =>
  Array.from(
    { length: 100 },
    (_, at) =>
      new Session(rig(), {
        client: { address: at % 2 === 0 ? '10.0.1.2' : `10.9.${String(at % 7)}.1`, port: 1024 + at },
        server: { address: at % 3 === 0 ? '10.0.2.2' : '10.8.0.1', port: 40_000 + at },
      }),
  );

describe('with more ports in use than the filter of ports is for', () => {
  it('other traffic leaves early once the sweep has been round, and what is ours never', () => {
    const session = Session.open(rig());
    const strange = strangers().map(
      (one) => [one.bytes('client', { flags: 'S', ack: 0 }), one.bytes('server')] as const,
    );
    expect(strange.every(([syn, segment]) => passes(syn) && passes(segment))).toBe(true);
    rig().sweep();
    const six = Session.open(rig(), { client: client6, server: server6 });
    session.expect();
    const data = session.data();
    for (let generation = 0; generation < 3; generation++) {
      const seen = strange.flatMap(([syn, segment]) => [passes(syn), passes(segment)]);
      expect(seen.filter(Boolean).length).toBeLessThan(seen.length / 20);
      for (const one of [session, six])
        expect([passes(one.bytes('client')), passes(one.bytes('server'))]).toEqual([true, true]);
      // A handshake with an assigned port, of which nothing is known.
      const fresh = new Session(rig(), { client: { address: '10.0.1.9', port: 5000 + generation } });
      expect(passes(fresh.bytes('server', { flags: 'SA' }))).toBe(true);
      expect(passes(data.bytes('client', { flags: 'S', ack: 0 }))).toBe(true);
      // Only what can open a connection meets an expectation.
      expect(passes(data.bytes('client'))).toBe(false);
      rig().sweep();
    }
    expect(data.send('client', { flags: 'S', ack: 0 }).mark).toBe(related);
    expect(data.send('server', { flags: 'SA' }).mark).toBe(related);
    rig().sweep();
    expect(data.send('client').mark).toBe(related);
  });

  it('expectations of every shape are met, TCP and UDP, in whatever zone', () => {
    rig().watch('lan', { zone: 7 });
    rig().watch('wan', { zone: 7 });
    const session = Session.open(rig());
    rig().sweep();
    const source = { address: '10.0.1.2', port: 41_000 };
    const shapes = [source, { ...source, port: 0 }, { ...source, address: null }, { address: null, port: 0 }];
    for (const [at, from] of shapes.entries()) {
      for (const protocol of [6, 17]) {
        const to = { address: '10.0.2.2', port: 50_000 + at };
        const parts = { master: { ...session.tuple, zone: 7 }, tuple: tuple(from, to, protocol), limit: 8 };
        expect(session.expect(parts).result).toBe(Reason.none);
        const data = session.data({ client: source, server: to });
        const ends = { src: source.address, dst: to.address, sport: source.port, dport: to.port };
        const bytes = protocol === 6 ? data.bytes('client', { flags: 'S', ack: 0 }) : udp({ ...ends, payload: 'x' });
        expect(rig().packet(bytes, { on: 'lan' }).mark, `${String(at)} ${String(protocol)}`).toBe(related);
      }
    }
  });

  it('what is gone is forgotten with the next generation but one', () => {
    const session = Session.open(rig());
    rig().sweep();
    const { id, slot } = session.expect();
    const syn = session.data().bytes('client', { flags: 'S', ack: 0 });
    expect(passes(syn)).toBe(true);
    rig().request({ op: RequestOp.unexpect, id, slot, reason: Reason.refusedByServer });
    // Of the same shape and to the same host.
    session.expect({}, undefined, { address: '10.0.2.2', port: 50_001 });
    expect(passes(syn)).toBe(true);
    for (let round = 0; round < 2; round++) rig().sweep();
    expect(passes(syn)).toBe(false);
  });

  it('entries of a version without filters are found at all times', () => {
    const session = Session.open(rig());
    session.expect();
    const data = session.data();
    for (const name of ['flow_filter', 'expect_filter', 'filters']) {
      const map = rig().map(name);
      const { keys, count } = map.entriesSync();
      for (let at = 0; at < count; at++) map.update(keys.subarray(4 * at, 4 * at + 4), new Uint8Array(map.valueSize));
    }
    const syn = data.bytes('client', { flags: 'S', ack: 0 });
    for (let tick = 0; tick < 100; tick++) {
      expect([passes(session.bytes('client')), passes(syn)]).toEqual([true, true]);
      rig().sweep(false);
    }
    expect(strangers().filter((one) => passes(one.bytes('client'))).length).toBeLessThan(5);
    expect(data.send('client', { flags: 'S', ack: 0 }).mark).toBe(related);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { FlowState, HoldPolicy, RequestOp, StreamFlag } from '../../packages/datapath/src/generated/layout.js';
import { Reason, foreign, mask, millisecond } from './rig.js';
import { Session, client6, server6, type Direction, type SessionOptions } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();
const line = 'USER anonymous\r\n';

beforeEach(() => {
  rig().assign({});
});
/** A control connection while the daemon lives. */
function open(options: SessionOptions = {}): Session {
  rig().configure({ holdIfindex: rig().wires.ifindex.hold });
  const session = Session.open(rig(), options);
  rig().events();
  return session;
}
const side = (from: Direction) => {
  const flow = rig().flow();
  const at = from === 'client' ? 0 : 1;
  return { ...flow.side[at], ...rig().stream(flow).side[at] };
};

describe('while the daemon lives, control payload', () => {
  it.each<[string, SessionOptions]>([
    ['IPv4', {}],
    ['IPv6', { client: client6, server: server6 }],
    ['just before the wrap', { clientSeq: 0xffffffff - 10, serverSeq: 0xffffffff - 10 }],
    ['just before the signed wrap', { clientSeq: 0x7fffffff - 10, serverSeq: 0x7fffffff - 10 }],
    ['at egress of a local server', { serverAt: { on: 'lan', side: 'egress' } }],
    [
      'on an interface without Ethernet header',
      {
        // Test runs take the protocol from bytes 12 and 13, which are the source's first here.
        client: { address: '8.0.1.2', port: 40000 },
        server: { address: '8.0.2.2', port: 21 },
        clientAt: { on: 'tun', ethernet: false },
        serverAt: { on: 'wan', ethernet: false },
      },
    ],
  ])('in order waits, and goes on when it is released: %s', (_, options) => {
    const session = open(options);
    for (const from of ['server', 'client', 'server'] as const) {
      const start = session.next[from];
      expect(session.probe(from, { payload: line }, { mark: foreign, priority: 6 }).verdict).toBe('redirect');
      expect(side(from).next).toBe(start >>> 0);
      expect(side(from).heldSince).toBe(rig().now);
      expect(session.release(from, { payload: line })).toEqual({
        verdict: 'pass',
        mark: foreign,
        priority: 6,
        data: session.bytes(from, { payload: line }),
      });
      session.next[from] += line.length;
      expect(side(from)).toMatchObject({ next: session.next[from] >>> 0, heldSince: 0n });
    }
    expect(rig().counters()).toMatchObject({ held: 3, released: 3 });
  });

  it('has the zone as its outer tag, whatever tags it had', () => {
    rig().watch('lan', { zone: 0x1234 });
    rig().watch('wan', { zone: 0x1234 });
    rig().configure({ holdIfindex: rig().wires.ifindex.hold });
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0, vlan: 9 });
    session.send('server', { flags: 'SA', vlan: 9 });
    session.send('client', { vlan: 9 });
    // Test runs give back the bytes without the tag that now stands in the metadata.
    expect(session.send('client', { payload: line, vlan: 9 }).verdict).toBe('redirect');
    expect(rig().counters()).toMatchObject({ held: 1 });
  });

  it('of no bytes passes at once', () => {
    const session = open();
    expect(session.send('client').verdict).toBe('pass');
    session.send('client', { payload: line });
    expect(session.send('client').verdict).toBe('pass');
  });

  it('seen before passes', () => {
    const session = open();
    session.probe('client', { payload: line });
    session.release('client', { payload: line });
    session.next.client += line.length;
    expect(session.probe('client', { seq: session.next.client - line.length, payload: line }).verdict).toBe('pass');
    // A keep-alive: one byte before what comes next.
    expect(session.probe('client', { seq: session.next.client - 1, payload: 'x' }).verdict).toBe('pass');
  });

  it('of which a part is new waits', () => {
    const session = open();
    session.probe('client', { payload: line });
    session.release('client', { payload: line });
    expect(session.probe('client', { payload: `${line}PASS x\r\n` }).verdict).toBe('redirect');
  });

  it('behind a gap waits as well, further than a window ahead it is dropped', () => {
    const session = open();
    const at = (ahead: number) => session.probe('client', { seq: session.next.client + ahead, payload: line }).verdict;
    expect(at(100)).toBe('redirect');
    expect(at(65535)).toBe('redirect');
    expect(at(65536)).toBe('drop');
    expect(at(0x7fffff00)).toBe('drop');
    // Half the space ahead is behind.
    expect(at(-0x7fffff00)).toBe('pass');
    expect(rig().counters()).toMatchObject({ held: 2, beyondWindow: 2 });
  });

  it('loses our bits of the mark', () => {
    const session = open();
    expect(session.probe('client', {}, { mark: (mask | foreign) >>> 0 }).mark).toBe(foreign);
    session.probe('client', { payload: line }, { mark: (mask | foreign) >>> 0 });
    expect(session.release('client', { payload: line }).mark).toBe(foreign);
  });

  it('that was announced is judged again when it comes again', () => {
    const session = open();
    const start = session.next.client;
    session.probe('client', { payload: line });
    session.release('client', { payload: line });
    session.next.client += line.length;
    const end = session.next.client;
    rig().request({ op: RequestOp.watch, master: session.tuple, direction: 0, start, end });
    const at = (seq: number, payload: string) => session.probe('client', { seq, payload }).verdict;
    expect(at(start, line)).toBe('redirect');
    expect(at(end - 1, 'x')).toBe('redirect');
    expect(at(start - 1, 'x')).toBe('pass');
    expect(session.release('client', { seq: start, payload: line }).verdict).toBe('pass');
    expect(side('client')).toMatchObject({ next: end, heldSince: 0n });
    expect(session.probe('server', { seq: start, payload: line }).verdict).not.toBe('redirect');
  });
});

describe('what is not of this connection changes nothing', () => {
  const line_ = { payload: line };
  it.each([
    ['acknowledges what was never sent', { ...line_, ack: 6000 }],
    ['acknowledges what is long past', { ...line_, ack: 5001 - (1 << 24) }],
    ['acknowledges the other half of the space', { ...line_, ack: 5001 + 0x80000000 }],
    ['acknowledges nothing', { ...line_, flags: 'P' }],
    ['a FIN that acknowledges what was never sent', { flags: 'FA', ack: 6000 }],
  ])('%s', (_, segment) => {
    const session = open();
    expect(session.probe('client', segment).verdict).toBe('pass');
    expect(rig().counters()).toEqual({ badAck: 1 });
    expect(rig().flow()).toMatchObject({ state: FlowState.established });
    expect(rig().flow().side[0]?.next).toBe(1001);
  });

  it('a bare ACK in order of what was never seen: bytes went by another way, the dialogue is not followed any more', () => {
    const session = open();
    expect(session.probe('client', { ack: 6000 }).verdict).toBe('pass');
    expect(rig().flow()).toMatchObject({ trust: Reason.gap, state: FlowState.established });
    expect(rig().eventNames()).toEqual(['trust gap']);
    // It is neither held nor black-holed, and its end is still seen.
    expect(session.probe('client', { payload: line, ack: 6000 }).verdict).toBe('pass');
    expect(session.probe('client', { flags: 'R', seq: 1001 + line.length }).verdict).toBe('pass');
    expect(rig().flow().state).toBe(FlowState.closed);
  });

  it('a bare ACK out of order of what was never seen', () => {
    const session = open();
    expect(session.probe('client', { seq: 1000, ack: 6000 }).verdict).toBe('pass');
    expect(rig().flow().trust).toBe(Reason.none);
  });

  it('a SYN or SYN-ACK on an established connection', () => {
    const session = open();
    expect(session.probe('client', { flags: 'S', seq: 77 }).verdict).toBe('pass');
    expect(session.probe('server', { flags: 'SA', seq: 5000 }).verdict).toBe('pass');
    expect(rig().counters()).toEqual({ synIgnored: 2 });
    expect(rig().flow().state).toBe(FlowState.established);
  });

  it('ends trust when it has far fewer hops left than the handshake had', () => {
    const session = open();
    expect(session.probe('client', { payload: line, ttl: 57 }).verdict).toBe('redirect');
    expect(session.probe('client', { ttl: 1 }).verdict).toBe('pass');
    expect(rig().flow().trust).toBe(0);
    expect(session.probe('client', { payload: line, ttl: 55 }).verdict).toBe('pass');
    expect(rig().flow().trust).toBe(Reason.ttl);
    expect(rig().eventNames()).toEqual(['trust ttl']);
  });
});

describe('a connection that is no longer trusted', () => {
  it('passes, and its end is still seen', () => {
    const session = open();
    rig().request({ op: RequestOp.trust, master: session.tuple, reason: Reason.encrypted });
    rig().request({ op: RequestOp.trust, master: session.tuple, reason: Reason.notProtocol });
    expect(rig().flow().trust).toBe(Reason.encrypted);
    expect(rig().eventNames()).toEqual(['trust encrypted']);
    expect(session.send('client', { payload: line }).verdict).toBe('pass');
    session.send('client', { flags: 'FA' });
    session.send('server', { flags: 'FA' });
    expect(rig().flow().state).toBe(FlowState.closed);
    expect(rig().eventNames()).toEqual(['controlEnd fin']);
  });

  it('is not led astray by a guess far ahead', () => {
    const session = open();
    rig().request({ op: RequestOp.trust, master: session.tuple, reason: Reason.encrypted });
    session.probe('client', { seq: session.next.client + (1 << 25), payload: line });
    expect(rig().flow().side[0]?.next).toBe(1001);
  });
});

describe('the end', () => {
  it('is both FINs in order', () => {
    const session = open();
    session.send('client', { flags: 'FA' });
    expect(rig().flow().state).toBe(FlowState.closing);
    // The other side goes on.
    session.probe('server', { payload: line });
    session.release('server', { payload: line });
    session.next.server += line.length;
    session.send('server', { flags: 'FA' });
    expect(rig().flow().state).toBe(FlowState.closed);
    expect(rig().eventNames()).toEqual(['controlEnd fin']);
    expect(session.send('client').verdict).toBe('pass');
  });

  it('is an RST with exactly the next sequence number', () => {
    for (const from of ['client', 'server'] as const) {
      const session = open({ client: { address: '10.0.1.2', port: from === 'client' ? 1 : 2 } });
      expect(session.send(from, { flags: 'R', ack: 0 }).verdict).toBe('pass');
      expect(rig().eventNames()).toEqual(['controlEnd rst']);
    }
  });

  const forgeries: [string, Parameters<Session['probe']>[1]][] = [
    ['RST before', { flags: 'R', seq: 1000 }],
    ['RST behind', { flags: 'R', seq: 1002 }],
    ['RST|ACK in the window', { flags: 'RA', seq: 1500 }],
    ['RST|ACK of a guess', { flags: 'RA', seq: 0xdeadbeef }],
    ['old FIN', { flags: 'FA', seq: 900 }],
    ['FIN of a guess', { flags: 'FA', seq: 0x40000000 }],
    ['FIN behind a gap', { flags: 'FA', seq: 1100 }],
  ];
  it.each(forgeries)('is not a forged %s, not even from both sides', (_, segment = {}) => {
    const session = open();
    session.probe('client', segment);
    session.probe('server', { ...segment, seq: (segment.seq ?? 0) + 4000 });
    expect(rig().flow().state).toBe(FlowState.established);
    expect(
      rig()
        .flow()
        .side.map(({ next }) => next),
    ).toEqual([1001, 5001]);
    expect(rig().eventNames()).toEqual([]);
  });

  it('stays the end: what comes after an RST does not open the flow again', () => {
    const session = open();
    session.send('client', { flags: 'R', ack: 0 });
    session.send('server', { flags: 'FA' });
    expect(rig().flow().state).toBe(FlowState.closed);
    session.send('client', { payload: line });
    expect(rig().flow().state).toBe(FlowState.closed);
    rig().advance(11n * 1000n * millisecond);
    rig().sweep();
    expect(rig().flows()).toEqual([]);
  });

  it('a FIN with the last line waits with it', () => {
    const session = open();
    expect(session.probe('client', { flags: 'FPA', payload: line }).verdict).toBe('redirect');
    expect(rig().flow().state).toBe(FlowState.established);
    session.release('client', { flags: 'FPA', payload: line });
    expect(rig().flow().state).toBe(FlowState.closing);
  });

  it.each([
    ['FIN', 'FA', FlowState.closing],
    ['RST', 'RA', FlowState.closed],
  ])('%s does not overtake a held line', (_, flags, state) => {
    const session = open();
    session.send('client', { payload: line });
    expect(session.probe('client', { flags }).verdict).toBe('redirect');
    expect(rig().flow().state).toBe(FlowState.established);
    session.next.client -= line.length;
    session.release('client', { payload: line });
    session.next.client += line.length;
    expect(session.release('client', { flags }).verdict).toBe('pass');
    expect(rig().flow().state).toBe(state);
  });

  it('a forged RST does not wait behind a held line', () => {
    const session = open();
    session.send('client', { payload: line });
    expect(session.probe('client', { flags: 'R', seq: 1005 }).verdict).toBe('pass');
    expect(rig().counters()).toMatchObject({ held: 1, rstIgnored: 1 });
  });
});

describe('when the daemon is away', () => {
  const gone: [string, () => void][] = [
    ['it never was', () => undefined],
    [
      'its device is gone',
      () => {
        rig().configure({ holdIfindex: 99999 });
      },
    ],
  ];
  describe.each(gone)('(%s)', (_, leave) => {
    it('payload passes by policy, as a sample, and the stream goes on', () => {
      leave();
      const session = Session.open(rig());
      expect(session.send('client', { payload: line }).verdict).toBe('pass');
      expect(rig().samples()).toMatchObject([
        { length: line.length, seq: 1001, reason: Reason.holdUnavailable, direction: 0 },
      ]);
      expect(side('client')).toMatchObject({ next: session.next.client, flags: StreamFlag.skipped });
      expect(session.send('server', { payload: line }).verdict).toBe('pass');
      expect(rig().counters()).toEqual({ holdUnavailable: 2 });
    });

    it('or is dropped, and nothing moves', () => {
      leave();
      rig().configure({ holdPolicy: HoldPolicy.drop });
      const session = Session.open(rig());
      expect(session.probe('client', { payload: line }).verdict).toBe('drop');
      expect(side('client')).toMatchObject({ next: session.next.client, flags: 0 });
      // What needs no judge passes.
      expect(session.probe('client').verdict).toBe('pass');
      expect(session.send('client', { flags: 'FA' }).verdict).toBe('pass');
      expect(rig().flow().state).toBe(FlowState.closing);
    });
  });

  it('a longer payload comes in samples of 1024 bytes', () => {
    const session = Session.open(rig());
    session.send('server', { payload: 'x'.repeat(1400) });
    session.send('server', { payload: 'y'.repeat(1024) });
    session.send('server', { payload: 'z' });
    const samples = rig().samples();
    const texts = samples.map(({ data }) => Buffer.from(data).toString());
    expect(texts).toEqual(['x'.repeat(1024), 'x'.repeat(376), 'y'.repeat(1024), 'z']);
    expect(samples.map(({ seq }) => seq - 5001)).toEqual([0, 1024, 1400, 2424]);
  });
});

describe('a daemon that lives and does not answer', () => {
  it('makes the flow unattended at the next retransmission: nothing is held any more', () => {
    const session = open();
    session.probe('client', { payload: line });
    rig().advance(150n * millisecond);
    expect(session.probe('client', { payload: line }).verdict).toBe('redirect');
    rig().advance(100n * millisecond);
    expect(session.probe('client', { payload: line }).verdict).toBe('pass');
    expect(rig().eventNames()).toEqual(['unattended holdUnattended']);
    session.next.client += line.length;
    expect(session.send('client', { payload: line }).verdict).toBe('pass');
    expect(side('client').flags).toBe(StreamFlag.unattended | StreamFlag.skipped);
    // The other direction has its own clock.
    expect(session.probe('server', { payload: line }).verdict).toBe('redirect');
  });

  it('does not stop a FIN, whatever the policy', () => {
    rig().configure({ holdPolicy: HoldPolicy.drop });
    const session = open();
    session.probe('client', { payload: line });
    rig().advance(300n * millisecond);
    expect(session.probe('client', { payload: line }).verdict).toBe('drop');
    expect(session.probe('client', { flags: 'FA' }).verdict).toBe('pass');
  });

  it('attends again when it says so', () => {
    const session = open();
    session.probe('client', { payload: line });
    rig().advance(300n * millisecond);
    session.send('client', { payload: line });
    rig().request({ op: RequestOp.attend, master: session.tuple, direction: 0 });
    expect(session.send('client', { payload: line }).verdict).toBe('redirect');
  });

  it('is not assumed while every line is answered, however long there is one on its way', () => {
    const session = open();
    for (let round = 0; round < 10; round++) {
      expect(session.send('client', { payload: line }).verdict).toBe('redirect');
      if (round > 0) session.release('client', { seq: session.next.client - 2 * line.length, payload: line });
      rig().advance(100n * millisecond);
    }
    expect(rig().eventNames()).toEqual([]);
  });

  it('is not assumed because a lost segment takes its time', () => {
    const session = open();
    const lost = session.next.client;
    session.next.client += line.length;
    expect(session.probe('client', { payload: line }).verdict).toBe('redirect');
    rig().advance(1000n * millisecond);
    expect(session.probe('client', { payload: line }).verdict).toBe('redirect');
    expect(session.probe('client', { seq: lost, payload: line }).verdict).toBe('redirect');
    session.release('client', { seq: lost, payload: line });
    session.release('client', { payload: line });
    expect(side('client')).toMatchObject({ next: lost + 2 * line.length, heldSince: 0n, flags: 0 });
  });

  it('is not assumed because more than one segment came behind the lost one', () => {
    const session = open();
    session.next.client += line.length;
    for (let round = 0; round < 3; round++) {
      const first = session.next.client;
      expect(session.probe('client', { seq: first, payload: line }).verdict).toBe('redirect');
      expect(session.probe('client', { seq: first + line.length, payload: line }).verdict).toBe('redirect');
      rig().advance(300n * millisecond);
    }
    expect(rig().eventNames()).toEqual([]);
  });

  it('is not assumed because a segment was lost behind one that the daemon has answered', () => {
    const session = open();
    session.send('client', { payload: line });
    session.next.client += line.length;
    session.send('client', { payload: line });
    session.release('client', { seq: session.next.client - 3 * line.length, payload: line });
    expect(session.send('client', { payload: line }).verdict).toBe('redirect');
    rig().advance(1000n * millisecond);
    expect(session.send('client', { payload: line }).verdict).toBe('redirect');
    expect(rig().eventNames()).toEqual([]);
  });

  it('is not assumed because a stranger sent something far ahead, long ago', () => {
    const session = open();
    session.probe('client', { flags: 'FA', seq: session.next.client + 10 });
    rig().advance(5000n * millisecond);
    expect(session.send('client', { payload: line }).verdict).toBe('redirect');
    rig().advance(100n * millisecond);
    session.release('client', { seq: session.next.client - line.length, payload: line });
    expect(rig().eventNames()).toEqual([]);
  });

  it('is, after ten times as long, when the missing bytes never come: they went another way', () => {
    const session = open();
    session.next.client += line.length;
    session.probe('client', { payload: line });
    rig().advance(2100n * millisecond);
    expect(session.probe('client', { payload: line }).verdict).toBe('pass');
    expect(rig().eventNames()).toEqual(['unattended holdUnattended']);
  });
});

describe('a release', () => {
  it('is not the right mark on what was never held', () => {
    const session = open();
    expect(session.probe('client', { payload: line }, { mark: rig().releaseMark })).toMatchObject({
      verdict: 'redirect',
      mark: 0,
    });
    expect(rig().flow().side[0]?.next).toBe(1001);
    expect(rig().counters()).toEqual({ held: 1 });
  });

  it('is not another mark on what was held', () => {
    const session = open();
    session.probe('client', { payload: line });
    expect(session.probe('client', { payload: line }, { mark: rig().releaseMark ^ 1 }).verdict).toBe('redirect');
    expect(rig().flow().side[0]?.next).toBe(1001);
  });

  it('is not at another hook', () => {
    const session = open();
    session.probe('client', { payload: line });
    expect(session.probe('client', { payload: line }, { on: 'third', mark: rig().releaseMark })).toMatchObject({
      mark: 0,
    });
    expect(rig().flow().side[0]?.next).toBe(1001);
  });

  it('of a retransmission that was held as well changes nothing more', () => {
    const session = open();
    session.probe('client', { payload: line }, { mark: foreign });
    session.probe('client', { payload: line }, { mark: foreign });
    session.release('client', { payload: line });
    expect(session.release('client', { payload: line })).toMatchObject({ verdict: 'pass', mark: foreign });
    expect(side('client')).toMatchObject({ next: 1001 + line.length, heldSince: 0n });
  });

  it('is not counted again', () => {
    const session = open();
    session.probe('client', { payload: line });
    session.release('client', { payload: line });
    expect(side('client').packets).toBe(2n);
  });
});

describe('a frame written back into the hold device', () => {
  it('without the tag of the datapath is dropped', () => {
    const session = open();
    session.probe('client', { payload: line });
    expect(rig().holdReturn(session.bytes('client', { payload: line })).verdict).toBe('drop');
  });
});

describe('the budget of a source', () => {
  it('bounds what waits: more is dropped, and TCP sends it again', () => {
    const session = open();
    for (let i = 0; i < 1024; i++) expect(session.probe('client', { payload: line }).verdict).toBe('redirect');
    expect(session.probe('client', { payload: line }).verdict).toBe('drop');
    expect(session.probe('server', { payload: line }).verdict).toBe('redirect');
    rig().advance(100n * millisecond);
    expect(session.probe('client', { payload: line }).verdict).toBe('redirect');
    expect(rig().counters()).toMatchObject({ holdBudget: 1 });
  });
});

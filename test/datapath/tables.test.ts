// SPDX-License-Identifier: Apache-2.0
// The table mode: a helper's machine reads a control connection, and nobody else has to.
import { beforeEach, describe, expect, it } from 'vitest';
import { udp } from '@relatd/lab';
import { DialogueFlag, FlowFlag, FlowState, StreamFlag } from '../../packages/datapath/src/generated/layout.js';
import { Reason, mapped, nothing, related, second, tuple, type End, type Outcome, type Rig } from './rig.js';
import { Session, client4, client6, server6, type Direction, type SessionOptions } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();
const six: SessionOptions = { client: client6, server: server6 };
const login: readonly [Direction, string][] = [
  ['server', '220 ready\r\n'],
  ['client', 'USER alice\r\n'],
  ['server', '331 password\r\n'],
  ['client', 'PASS secret\r\n'],
  ['server', '230 in\r\n'],
];

/** An FTP connection that has logged in. The device of a daemon is there, so what is judged is held. */
function open(options: SessionOptions = {}, begin = (all: Rig) => Session.open(all, options)): Session {
  rig().configure({ holdIfindex: rig().wires.ifindex.hold });
  const session = begin(rig());
  for (const [from, payload] of login) pass(session, from, payload);
  rig().events();
  return session;
}
function pass(session: Session, from: Direction, payload: string): void {
  expect(session.send(from, { payload }).verdict).toBe('pass');
}
/** `source -> destination` of all live expectations; a star for any. */
const expected = (): string[] =>
  rig()
    .expectations()
    .map(
      (entry) =>
        showEnd(entry.tuple.source, entry.tuple.sourcePort) +
        ' -> ' +
        showEnd(entry.tuple.destination, entry.tuple.destinationPort),
    );
const known = new Map(
  ['10.0.1.2', '10.0.2.2', '10.9.9.9', '2001:db8:1::2', '2001:db8:2::2', '2001:db8:9::9'].map((text) => [
    mapped(text).join(),
    text,
  ]),
);
const showEnd = (address: Uint8Array, port: number): string =>
  `${address.every((byte) => byte === 0) ? '*' : (known.get(address.join()) ?? address.join())}:${port === 0 ? '*' : String(port)}`;
const dialogue = () => rig().stream(rig().flow()).dialogue;
const judged = (): boolean => (dialogue().flags & DialogueFlag.judged) !== 0;
const side = (from: Direction) => {
  const flow = rig().flow();
  const at = from === 'client' ? 0 : 1;
  return { ...flow.side[at], ...rig().stream(flow).side[at] };
};

/** What announces: before it passes there must be nothing, and from then on the expectation. */
interface Announcement {
  readonly name: string;
  readonly options?: SessionOptions;
  readonly asks?: string;
  readonly from: Direction;
  readonly line: string;
  readonly expects: string;
}
const toClient4 = '10.0.2.2:* -> 10.0.1.2:50000';
const toServer4 = '10.0.1.2:* -> 10.0.2.2:50000';
const toClient6 = '2001:db8:2::2:* -> 2001:db8:1::2:50000';
const toServer6 = '2001:db8:1::2:* -> 2001:db8:2::2:50000';
const announcements: readonly Announcement[] = [
  { name: 'PORT', from: 'client', line: 'PORT 10,0,1,2,195,80\r\n', expects: toClient4 },
  { name: 'EPRT, IPv4', from: 'client', line: 'EPRT |1|10.0.1.2|50000|\r\n', expects: toClient4 },
  {
    name: 'EPRT, IPv6',
    options: six,
    from: 'client',
    line: 'EPRT !2!2001:db8:1:0::2!50000!\r\n',
    expects: toClient6,
  },
  {
    name: '227 in answer to PASV',
    asks: 'PASV\r\n',
    from: 'server',
    line: '227 Entering Passive Mode (10,0,2,2,195,80).\r\n',
    expects: toServer4,
  },
  {
    name: '229 in answer to EPSV, IPv4',
    asks: 'EPSV\r\n',
    from: 'server',
    line: '229 Entering Extended Passive Mode (|||50000|)\r\n',
    expects: toServer4,
  },
  {
    name: '229, IPv6',
    options: six,
    asks: 'epsv\r\n',
    from: 'server',
    line: '229 (!!!50000!)\r\n',
    expects: toServer6,
  },
];

beforeEach(() => {
  rig().load('ftp');
  rig().allow();
  rig().assign({});
});

describe.each(announcements)('$name', ({ options = {}, asks, from, line, expects }) => {
  it('is expected before the packet goes on, which waits for nobody', () => {
    const session = open(options);
    if (asks !== undefined) pass(session, 'client', asks);
    expect(expected()).toEqual([]);
    pass(session, from, line);
    expect(expected()).toEqual([expects]);
    expect(rig().expectations()[0]).toMatchObject({
      master: rig().flow().id,
      assignment: 1,
      mark: related,
      deadline: rig().now + 300n * second,
      direction: from === 'client' ? 0 : 1,
    });
    expect(rig().flow().flags & FlowFlag.recognised).toBe(FlowFlag.recognised);
    expect(rig().eventNames()).toEqual(['expectationNew']);
    expect(rig().counters()).toEqual({ decided: asks === undefined ? 6 : 7 });
  });

  it('is the same wherever segments cut it', () => {
    for (let cut = 1; cut < line.length; cut++) {
      rig().events();
      const session = open({ ...options, clientSeq: 100 * cut, serverSeq: -100 * cut });
      if (asks !== undefined) pass(session, 'client', asks);
      pass(session, from, line.slice(0, cut));
      expect(expected()).toEqual([]);
      pass(session, from, line.slice(cut));
      expect(expected()).toEqual([expects]);
      expect(session.send('client', { flags: 'R', ack: 0 }).verdict).toBe('pass');
      expect(expected()).toEqual([]);
    }
    expect(rig().counters().judged).toBeUndefined();
  });

  it('is the same byte by byte', () => {
    const session = open(options);
    if (asks !== undefined) pass(session, 'client', asks);
    for (const byte of line) pass(session, from, byte);
    expect(expected()).toEqual([expects]);
    expect(judged()).toBe(false);
  });
});

describe('what one packet says', () => {
  it('may be many lines: all count, in their order', () => {
    const session = open();
    pass(session, 'client', 'TYPE I\r\nPORT 10,0,1,2,195,79\r\nPASV\r\nPORT 10,0,1,2,195,80\r\nRETR a\r\n');
    expect(expected()).toEqual([toClient4]);
    expect(rig().eventNames()).toEqual(['expectationNew', 'expectationExpired evicted', 'expectationNew']);
  });

  it('may answer pipelined requests at once', () => {
    const session = open();
    pass(session, 'client', 'CWD a\r\nTYPE I\r\nPASV\r\nRETR a\r\n');
    pass(session, 'server', '250 ok\r\n200 ok\r\n227 (10,0,2,2,195,80)\r\n150 go\r\n');
    expect(expected()).toEqual([toServer4]);
    pass(session, 'server', '226 done\r\n');
    expect(dialogue()).toMatchObject({ count: 0, pending: 0n });
  });

  it('may be the first of it with the last ACK of the handshake', () => {
    const session = new Session(rig());
    session.send('client', { flags: 'S', ack: 0 });
    session.send('server', { flags: 'SA' });
    session.send('client');
    pass(session, 'server', '220 x\r\n');
    pass(session, 'client', 'USER a\r\nPORT 10,0,1,2,195,80\r\n');
    expect(expected()).toEqual([toClient4]);
  });

  it('announces the same again: the deadline moves, and nothing is new', () => {
    const session = open();
    pass(session, 'client', 'PORT 10,0,1,2,195,80\r\n');
    pass(session, 'server', '200 ok\r\n');
    rig().advance(100n * second);
    pass(session, 'client', 'PORT 10,0,1,2,195,80\r\n');
    expect(expected()).toEqual([toClient4]);
    expect(rig().expectations()[0]?.deadline).toBe(rig().now + 300n * second);
    expect(rig().eventNames()).toEqual(['expectationNew']);
  });
});

describe('a reply', () => {
  it('of several lines announces by its last', () => {
    const session = open();
    pass(session, 'client', 'FEAT\r\nPASV\r\n');
    pass(session, 'server', '211-Features\r\n227 (10,0,2,2,4,1)\r\n 229 x\r\n211-x\r\n211 End\r\n');
    expect(expected()).toEqual([]);
    pass(session, 'server', '227-first\r\n229 (|||1025|)\r\n227 (10,0,2,2,195,80)\r\n');
    expect(expected()).toEqual([toServer4]);
    expect(judged()).toBe(false);
  });

  it('that refuses a PORT takes its expectation away', () => {
    const session = open();
    pass(session, 'client', 'PORT 10,0,1,2,195,80\r\n');
    rig().events();
    pass(session, 'server', '500 no\r\n');
    expect(expected()).toEqual([]);
    expect(rig().eventNames()).toEqual(['expectationExpired refusedByServer']);
  });

  it('that refuses a PORT which a newer announcement has replaced takes nothing away', () => {
    const session = open();
    pass(session, 'client', 'PORT 10,0,1,2,4,1\r\nPORT 10,0,1,2,195,80\r\n');
    pass(session, 'server', '500 no\r\n');
    expect(expected()).toEqual([toClient4]);
    pass(session, 'server', '500 no\r\n');
    expect(expected()).toEqual([]);
  });

  it('that refuses a PORT which policy has turned down takes nothing away', () => {
    const session = open();
    pass(session, 'client', 'PORT 10,0,1,2,195,80\r\n');
    pass(session, 'client', 'PORT 10,9,9,9,195,80\r\n');
    pass(session, 'server', '200 ok\r\n500 no\r\n');
    expect(expected()).toEqual([toClient4]);
  });

  it('227 that nobody asked for goes to user space', () => {
    const session = open();
    expect(session.probe('server', { payload: '227 (10,0,2,2,195,80)\r\n' }).verdict).toBe('redirect');
    expect(judged()).toBe(true);
    expect(expected()).toEqual([]);
    expect(rig().counters()).toMatchObject({ judged: 1, held: 1 });
  });

  it('500 five times before the log-in goes to user space, four times does not', () => {
    const begin = (): Session => {
      rig().configure({ holdIfindex: rig().wires.ifindex.hold });
      const session = Session.open(rig(), { client: { address: '10.0.1.2', port: 40000 + rig().flows().length } });
      pass(session, 'server', '220 x\r\n');
      return session;
    };
    const fine = begin();
    for (const code of ['500', '502', '500', '502', '200', '500', '502', '500', '550', '500', '500']) {
      pass(fine, 'client', 'FEAT\r\n');
      pass(fine, 'server', `${code} x\r\n`);
    }
    const struck = begin();
    for (let strike = 0; strike < 4; strike++) {
      pass(struck, 'client', 'FEAT\r\n');
      pass(struck, 'server', '500 x\r\n');
    }
    pass(struck, 'client', 'FEAT\r\n');
    expect(struck.send('server', { payload: '500 x\r\n' }).verdict).toBe('redirect');
    expect(rig().counters()).toMatchObject({ judged: 1 });
  });

  it('234 to an AUTH ends trust: what comes is not read, and what was announced stays', () => {
    const session = open();
    pass(session, 'client', 'PORT 10,0,1,2,195,80\r\nAUTH TLS\r\n');
    rig().events();
    pass(session, 'server', '200 ok\r\n234 go\r\n');
    expect(rig().eventNames()).toEqual(['trust encrypted']);
    expect(rig().flow().trust).toBe(Reason.encrypted);
    expect(expected()).toEqual([toClient4]);
    pass(session, 'client', '\x16\x03\x01PORT 10,0,1,2,4,1\r\n');
    expect(expected()).toEqual([toClient4]);
  });
});

describe('what the tables cannot decide', () => {
  const cases: [string, Direction, string, string][] = [
    ['a client that speaks first', 'client', '', 'USER a\r\n'],
    ['a header of HTTP', 'client', '220 x\r\n', 'Host: x\r\n'],
    ['a NUL byte', 'client', '220 x\r\n', 'USER a\x00\r\n'],
    ['a Telnet command', 'client', '220 x\r\n', '\xff\xf4USER a\r\n'],
    ['another greeting', 'server', '', '230 x\r\n'],
    ['no greeting', 'server', '', 'SSH-2.0-x\r\n'],
  ];
  it.each(cases)('goes to user space, and all that follows: %s', (_, from, before, line) => {
    rig().configure({ holdIfindex: rig().wires.ifindex.hold });
    const session = Session.open(rig());
    if (before !== '') pass(session, 'server', before);
    rig().events();
    expect(session.probe(from, { payload: line }).verdict).toBe('redirect');
    expect(side(from).next).toBe(session.next[from]);
    expect(judged()).toBe(true);
    expect(session.release(from, { payload: line }).verdict).toBe('pass');
    session.next[from] += line.length;
    const other = from === 'client' ? 'server' : 'client';
    expect(session.probe(other, { payload: 'NOOP\r\n' }).verdict).toBe('redirect');
    expect(rig().eventNames()).toEqual([]);
    expect(rig().counters()).toMatchObject({ judged: 1, held: 2, released: 1 });
  });

  it.each([
    'PORT 1,2,3\r\n',
    'PORT 256,0,0,1,4,1\r\n',
    'PORT 10,0,1,2,0,0\r\n',
    'EPRT |3|x|1|\r\n',
    'EPRT |2|1:2|5000|\r\n',
    // An IPv4 address all the same: whether it counts is not for the tables to know.
    'EPRT |2|::ffff:0a00:0102|50000|\r\n',
    'EPRT |1|010.0.1.2|5000|\r\n',
    'EPRT |1|10.0.1.2|65536|\r\n',
    'ABOR\r\n',
    'REIN\r\n',
    `PORT ${' '.repeat(500)}10,0,1,2,195,80\r\n`,
  ])('is %j, of which nothing counts', (line) => {
    const session = open();
    expect(session.send('client', { payload: `PORT 10,0,1,2,195,80\r\n${line}` }).verdict).toBe('redirect');
    expect(expected()).toEqual([]);
    expect(judged()).toBe(true);
  });

  it('is urgent data', () => {
    const session = open();
    expect(session.send('client', { flags: 'UPA', payload: 'PORT 10,0,1,2,195,80\r\n' }).verdict).toBe('redirect');
    expect(judged()).toBe(true);
    expect(expected()).toEqual([]);
  });

  it('is a seventeenth request without an answer', () => {
    const session = open();
    pass(session, 'client', 'NOOP\r\n'.repeat(16));
    expect(session.send('client', { payload: 'NOOP\r\n' }).verdict).toBe('redirect');
  });

  it('passes as a sample where no daemon lives', () => {
    const session = Session.open(rig());
    pass(session, 'client', 'USER a\r\n');
    expect(rig().samples()).toMatchObject([{ reason: Reason.holdUnavailable }]);
    expect(rig().counters()).toEqual({ judged: 1, holdUnavailable: 1 });
  });
});

describe('policy', () => {
  const refused: [string, string, string][] = [
    ['a port below the range', 'PORT 10,0,1,2,3,255\r\n', 'portRange'],
    ['a port above the range', 'EPRT |1|10.0.1.2|60001|\r\n', 'portRange'],
    ['a foreign address', 'PORT 10,9,9,9,195,80\r\n', 'address'],
    ['an address of the other family', 'EPRT |2|2001:db8:1::2|50000|\r\n', 'wrongFamily'],
  ];
  it.each(refused)('refuses %s, and the packet goes on', (_, line, reason) => {
    rig().allow({ toPort: 60000 });
    const session = open();
    pass(session, 'client', line);
    expect(expected()).toEqual([]);
    expect(rig().eventNames()).toEqual([`expectationRefused ${reason}`]);
    expect(rig().counters()).toMatchObject({ [reason]: 1 });
    expect(judged()).toBe(false);
  });

  it('names what was refused', () => {
    const session = open();
    pass(session, 'client', 'PORT 10,9,9,9,195,80\r\n');
    const [event] = rig().events();
    expect(event?.tuple).toEqual(tuple({ address: '10.0.2.2', port: 0 }, { address: '10.9.9.9', port: 50000 }));
    expect(event?.expect).toMatchObject({ master: rig().flow().id, assignment: 1 });
  });

  it('admits third parties where the assignment does', () => {
    rig().allow({ thirdParty: 1 });
    const session = open();
    pass(session, 'client', 'PORT 10,9,9,9,195,80\r\n');
    expect(expected()).toEqual(['10.0.2.2:* -> 10.9.9.9:50000']);
  });

  it('admits the ends of the range', () => {
    rig().allow({ fromPort: 50000, toPort: 50000 });
    const session = open();
    pass(session, 'client', 'PORT 10,0,1,2,195,80\r\n');
    expect(expected()).toEqual([toClient4]);
  });

  it('refuses behind NAT what the client announces, and admits what the server announces of itself', () => {
    const session = open({}, (all) => {
      const made = new Session(all);
      made.send('client', { flags: 'S', ack: 0 });
      made.send('server', { flags: 'SA' }, { on: 'lan', side: 'egress', from: 'wan' });
      made.send('client');
      return made;
    });
    pass(session, 'client', 'PORT 10,0,1,2,195,80\r\n');
    pass(session, 'client', 'PASV\r\nPASV\r\n');
    pass(session, 'server', '200 ok\r\n227 (10,9,9,9,195,80)\r\n227 (10,0,2,2,195,80)\r\n');
    expect(rig().eventNames()).toEqual(['expectationRefused nat', 'expectationRefused nat', 'expectationNew']);
    expect(expected()).toEqual([toServer4]);
  });

  it('refuses what another connection expects already', () => {
    const session = open();
    pass(session, 'client', 'PASV\r\n');
    pass(session, 'server', '227 (10,0,2,2,195,80)\r\n');
    const other = Session.open(rig(), { client: { address: '10.0.1.2', port: 40001 } });
    for (const [from, payload] of login) pass(other, from, payload);
    pass(other, 'client', 'PASV\r\n');
    rig().events();
    pass(other, 'server', '227 (10,0,2,2,195,80)\r\n');
    expect(rig().eventNames()).toEqual(['expectationRefused clash']);
    expect(expected()).toEqual([toServer4]);
  });
});

describe('a segment', () => {
  const line = 'PORT 10,0,1,2,195,80\r\n';
  const late = (session: Session, from: Direction, at: number, payload: string): Outcome =>
    session.probe(from, { seq: session.next[from] + at, payload });

  it('before its time goes on, and is read when the gap closes', () => {
    const session = open();
    expect(late(session, 'client', 4, line.slice(4)).verdict).toBe('pass');
    expect(side('client')).toMatchObject({ next: session.next.client, flags: StreamFlag.parked });
    expect(expected()).toEqual([]);
    expect(late(session, 'client', 0, line.slice(0, 4)).verdict).toBe('pass');
    expect(expected()).toEqual([toClient4]);
    expect(side('client').next).toBe(session.next.client + line.length);
    expect(side('client').flags).toBe(0);
    expect(rig().map('parked').entriesSync().count).toBe(0);
    expect(rig().counters()).toEqual({ decided: 6, parked: 1 });
  });

  it('may follow another one that came before its time', () => {
    const session = open();
    for (let at = 1; at < line.length; at++) expect(late(session, 'client', at, line.charAt(at)).verdict).toBe('pass');
    expect(late(session, 'client', 0, line.charAt(0)).verdict).toBe('pass');
    expect(expected()).toEqual([toClient4]);
    expect(rig().counters()).toMatchObject({ parked: line.length - 1 });
  });

  it('that is kept overlaps with the one that closes the gap: every byte counts once', () => {
    const session = open();
    late(session, 'client', 4, line.slice(4));
    expect(late(session, 'client', 0, line.slice(0, 10)).verdict).toBe('pass');
    expect(expected()).toEqual([toClient4]);
    expect(judged()).toBe(false);
  });

  it.each([
    ['the first of them', 4, 'PORT 10,0,1,9,195'],
    ['the last of them', 12, 'PORT 10,0,1,2,195,81\r\n'],
    ['one in the middle', 4, 'PORT 11,0,1,2,195,80\r\n'],
  ])('that has other bytes than were kept in their place ends trust: %s', (_, at, forged) => {
    const session = open();
    late(session, 'client', at, line.slice(at));
    expect(late(session, 'client', 0, forged).verdict).toBe('pass');
    expect(rig().flow().trust).toBe(Reason.rewritten);
    expect(expected()).toEqual([]);
    expect(side('client').next).toBe(session.next.client + line.length);
    expect(rig().map('parked').entriesSync().count).toBe(0);
  });

  it('that is kept may lie within the one that closes the gap', () => {
    const session = open();
    late(session, 'client', 4, line.slice(4, 6));
    expect(late(session, 'client', 0, line).verdict).toBe('pass');
    expect(expected()).toEqual([toClient4]);
    expect(side('client')).toMatchObject({ next: session.next.client + line.length });
    expect(rig().map('parked').entriesSync().count).toBe(0);
  });

  const dropped: [string, (session: Session) => Outcome][] = [
    ['behind a second gap', (session) => late(session, 'client', 12, line.slice(12))],
    ['in front of the kept one', (session) => late(session, 'client', 3, line.slice(3, 4))],
    ['of the same bytes', (session) => late(session, 'client', 4, line.slice(4, 8))],
    ['with a FIN', (session) => session.probe('client', { seq: session.next.client + 8, flags: 'FPA', payload: 'x' })],
    ['with too much', (session) => late(session, 'client', 8, 'x'.repeat(1021))],
  ];
  it.each(dropped)('that does not follow on the kept one is dropped: %s', (_, send) => {
    const session = open();
    expect(late(session, 'client', 4, line.slice(4, 8)).verdict).toBe('pass');
    expect(send(session).verdict).toBe('drop');
    expect(rig().counters()).toMatchObject({ parked: 1, outOfOrder: 1 });
    expect(late(session, 'client', 0, line.slice(0, 4)).verdict).toBe('pass');
    expect(late(session, 'client', 8, line.slice(8)).verdict).toBe('pass');
    expect(expected()).toEqual([toClient4]);
  });

  it('before its time may have 1024 bytes and no more', () => {
    const session = open();
    expect(late(session, 'client', 1, 'x'.repeat(1025)).verdict).toBe('drop');
    expect(late(session, 'client', 1, `OOP ${'x'.repeat(1018)}\r\n`).verdict).toBe('pass');
    expect(late(session, 'client', 0, 'N').verdict).toBe('pass');
    expect(side('client').next).toBe(session.next.client + 1025);
    session.next.client += 1025;
    pass(session, 'client', line);
    expect(expected()).toEqual([toClient4]);
  });

  it('before its time that the tables cannot decide goes to user space with the one that closes the gap', () => {
    const session = open();
    expect(late(session, 'client', 6, 'ABOR\r\n').verdict).toBe('pass');
    expect(late(session, 'client', 0, 'NOOP\r\n').verdict).toBe('redirect');
    expect(judged()).toBe(true);
    expect(session.release('client', { payload: 'NOOP\r\n' }).verdict).toBe('pass');
    expect(side('client').next).toBe(session.next.client + 12);
  });

  it('that repeats what is behind it counts from the first new byte on', () => {
    const session = open();
    pass(session, 'client', 'NOOP\r\nPORT 10,');
    expect(late(session, 'client', -14, `NOOP\r\n${line}`).verdict).toBe('pass');
    session.next.client += line.length - 8;
    expect(expected()).toEqual([toClient4]);
    pass(session, 'server', '200 ok\r\n200 ok\r\n');
    expect(dialogue().count).toBe(0);
  });

  it('with a FIN is read, and its FIN counts', () => {
    const session = open();
    expect(session.send('client', { flags: 'FPA', payload: line }).verdict).toBe('pass');
    expect(expected()).toEqual([toClient4]);
    expect(rig().flow().state).toBe(FlowState.closing);
    session.send('server', { flags: 'FA' });
    expect(rig().flow().state).toBe(FlowState.closed);
    expect(expected()).toEqual([]);
  });

  it('that a receiver will discard is not read, and the good one then is', () => {
    for (const checksum of [0, 0x1234, 0xffff]) {
      const session = open({ clientSeq: checksum + 1 });
      expect(session.probe('client', { payload: line, checksum }).verdict).toBe('pass');
      expect(expected()).toEqual([]);
      expect(side('client').next).toBe(session.next.client);
      pass(session, 'client', line);
      expect(expected()).toEqual([toClient4]);
      session.send('client', { flags: 'R', ack: 0 });
    }
    expect(rig().counters()).toMatchObject({ damaged: 3 });
  });

  it.each([1, 2, 3, 511, 512, 513, 1000, 1023, 1024, 1025, 1400])(
    'has the right checksum with %d bytes, IPv4 and IPv6',
    (length) => {
      for (const options of [{}, six]) {
        const session = open(options);
        pass(session, 'client', `NOOP ${'é'.repeat(length)}\n`);
        session.send('client', { flags: 'R', ack: 0 });
      }
      expect(rig().counters().damaged).toBeUndefined();
    },
  );

  it('whose checksum the device will fill in is read', () => {
    const session = open();
    // The pseudo header's sum, as the stack leaves it: 10.0.1.2 to 10.0.2.2, TCP, 20 bytes of header.
    const sum = 0x0a00 + 0x0102 + 0x0a00 + 0x0202 + 6 + 20 + line.length;
    expect(session.send('client', { payload: line, checksum: sum }).verdict).toBe('pass');
    expect(expected()).toEqual([toClient4]);
  });
});

describe('a retransmission of an announcement', () => {
  const line = 'PORT 10,0,1,2,195,80\r\n';
  const again = (session: Session, payload: string, at = -payload.length): Outcome =>
    session.probe('client', { seq: session.next.client + at, payload });

  it('with the same bytes goes on', () => {
    const session = open();
    pass(session, 'client', line);
    rig().events();
    for (let time = 0; time < 3; time++) expect(again(session, line).verdict).toBe('pass');
    expect(rig().eventNames()).toEqual([]);
    expect(expected()).toEqual([toClient4]);
    expect(judged()).toBe(false);
  });

  it('with other bytes ends trust, and the expectation goes', () => {
    const session = open();
    pass(session, 'client', line);
    rig().events();
    expect(again(session, 'PORT 10,0,1,2,195,81\r\n').verdict).toBe('pass');
    expect(rig().flow().trust).toBe(Reason.rewritten);
    expect(expected()).toEqual([]);
    expect(rig().eventNames()).toEqual(['trust rewritten', 'expectationExpired rewritten']);
  });

  it('is found in a longer segment', () => {
    const session = open();
    pass(session, 'client', `TYPE I\r\n${line}NOOP\r\n`);
    expect(again(session, `TYPE I\r\n${line}NOOP\r\n`).verdict).toBe('pass');
    expect(judged()).toBe(false);
    expect(again(session, `TYPE I\r\nPORT 10,0,1,2,4,1\r\nNOOP\r\n   `).verdict).toBe('pass');
    expect(rig().flow().trust).toBe(Reason.rewritten);
  });

  it('of a part of it goes to user space', () => {
    const session = open();
    pass(session, 'client', line);
    expect(again(session, line.slice(5)).verdict).toBe('redirect');
    expect(judged()).toBe(true);
  });

  it('of which the first segment had only a part goes to user space', () => {
    const session = open();
    pass(session, 'client', line.slice(0, 5));
    pass(session, 'client', line.slice(5));
    expect(again(session, line).verdict).toBe('redirect');
    expect(judged()).toBe(true);
  });

  it('is none of what is beside it', () => {
    const session = open();
    pass(session, 'client', 'TYPE I\r\n');
    pass(session, 'client', line);
    pass(session, 'client', 'NOOP\r\n');
    expect(again(session, 'other!\r\n', -36).verdict).toBe('pass');
    expect(again(session, 'other!', -6).verdict).toBe('pass');
    expect(judged()).toBe(false);
    expect(rig().flow().trust).toBe(0);
  });

  it('is no keep-alive', () => {
    const session = open();
    pass(session, 'client', line);
    expect(again(session, '\0').verdict).toBe('pass');
    expect(rig().flow().trust).toBe(0);
    expect(judged()).toBe(false);
    expect(expected()).toEqual([toClient4]);
  });

  it('that a receiver will discard proves nothing', () => {
    const session = open();
    pass(session, 'client', line);
    const forged = { seq: session.next.client - line.length, payload: 'PORT 10,0,1,2,195,81\r\n', checksum: 1 };
    expect(session.probe('client', forged).verdict).toBe('pass');
    expect(rig().flow().trust).toBe(0);
    expect(expected()).toEqual([toClient4]);
  });
});

describe('TFTP', () => {
  const at = (address: string, port: number): End => ({ address, port });
  const datagram = (from: End, to: End, payload: string, all: Rig = rig()): Outcome =>
    all.packet(udp({ src: from.address ?? '', dst: to.address ?? '', sport: from.port, dport: to.port, payload }), {
      on: from.address === '10.0.1.2' || from.address === '2001:db8:1::2' ? 'lan' : 'wan',
    });
  const server = at('10.0.2.2', 69);
  beforeEach(() => {
    rig().load('tftp');
    rig().allow({ timeout: 30n * second });
    rig().assign({ port: 69, protocol: 17 });
  });

  it.each([
    ['a read', '\0\x01file\0octet\0'],
    ['a write', '\0\x02file\0NetASCII\0'],
    ['options', '\0\x01file\0octet\0blksize\x001428\0tsize\x000\0'],
  ])('%s begins a control flow, and the answer is expected from any port', (_, payload) => {
    for (const [from, to] of [
      [client4, server],
      [client6, at('2001:db8:2::2', 69)],
    ] as const) {
      expect(datagram(from, to, payload).verdict).toBe('pass');
    }
    expect(expected().sort()).toEqual(['10.0.2.2:* -> 10.0.1.2:40000', '2001:db8:2::2:* -> 2001:db8:1::2:40000']);
    expect(rig().expectations()[0]).toMatchObject({ deadline: rig().now + 30n * second, tuple: { protocol: 17 } });
    expect(rig().eventNames()).toEqual(['controlNew', 'expectationNew', 'controlNew', 'expectationNew']);
    expect(datagram(at('10.0.2.2', 50123), client4, '\0\x03\0\x01data').mark).toBe(related);
  });

  it('the same again refreshes, once it is matched it is expected anew', () => {
    datagram(client4, server, '\0\x01file\0octet\0');
    rig().advance(10n * second);
    datagram(client4, server, '\0\x01file\0octet\0');
    expect(rig().expectations()).toHaveLength(1);
    expect(rig().expectations()[0]?.deadline).toBe(rig().now + 30n * second);
    datagram(at('10.0.2.2', 50123), client4, '\0\x03\0\x01data');
    expect(expected()).toEqual([]);
    datagram(client4, server, '\0\x02other\0octet\0');
    expect(expected()).toEqual(['10.0.2.2:* -> 10.0.1.2:40000']);
  });

  it.each([
    ['nothing', ''],
    ['an opcode alone', '\0\x01'],
    ['another opcode', '\0\x03file\0octet\0'],
    ['no mode', '\0\x01file\0'],
    ['another mode', '\0\x01file\0text\0'],
    ['half an option', '\0\x01file\0octet\0blksize\0'],
    ['an end too few', '\0\x01file\0octet'],
    ['an empty name', '\0\x01\0octet\0'],
    ['more than 512 bytes', `\0\x01${'x'.repeat(504)}\0octet\0`],
    ['what is left of another datagram', 'le\0octet\0'],
  ])('%s announces nothing', (_, payload) => {
    datagram(client4, server, '\0\x01fi');
    datagram(client4, server, payload);
    expect(expected()).toEqual([]);
    expect(rig().eventNames()).toEqual(['controlNew']);
    datagram(client4, server, '\0\x01file\0octet\0');
    expect(expected()).toHaveLength(1);
  });

  it('512 bytes are not too many', () => {
    datagram(client4, server, `\0\x01${'x'.repeat(503)}\0octet\0`);
    expect(expected()).toHaveLength(1);
  });

  it('what the server sends from its port says nothing', () => {
    datagram(client4, server, 'hello');
    datagram(server, client4, '\0\x01file\0octet\0');
    expect(expected()).toEqual([]);
    expect(rig().counters()).toEqual({ decided: 2 });
  });

  it('what its tables leave to user space is not held: a copy goes there', () => {
    rig().configure({ holdIfindex: rig().wires.ifindex.hold });
    // No definition may say so of datagrams; this one is for TCP.
    rig().load('ftp');
    expect(datagram(client4, server, 'NOOP\r\n').verdict).toBe('pass');
    expect(judged()).toBe(true);
    expect(rig().counters()).toEqual({ judged: 1 });
    expect(
      rig()
        .samples()
        .map(({ reason, length }) => [reason, length]),
    ).toEqual([[Reason.holdUnavailable, 6]]);
    expect(datagram(client4, server, 'NOOP\r\n').verdict).toBe('pass');
    expect(rig().samples()).toEqual([]);
  });

  it('refuses a client whose own port policy does not admit', () => {
    datagram(at('10.0.1.2', 22), server, '\0\x01file\0octet\0');
    expect(rig().eventNames()).toEqual(['controlNew', 'expectationRefused portRange']);
  });

  it('leaves nothing behind', () => {
    datagram(client4, server, '\0\x01file\0octet\0');
    rig().advance(61n * second);
    rig().sweep();
    expect(rig().leaks()).toEqual(nothing);
  });
});

describe('IRC', () => {
  const welcome: readonly [Direction, string][] = [
    ['client', 'CAP LS\r\nNICK alice\r\nUSER a 0 * :b\r\n'],
    ['server', ':x 001 alice :Welcome\r\n'],
  ];
  const offer = (port: number, address = '167772418', kind = 'SEND a'): string =>
    `PRIVMSG bob :\x01DCC ${kind} ${address} ${String(port)}\x01\r\n`;
  beforeEach(() => {
    rig().load('irc');
    rig().allow({ limit: 8 });
  });
  const chat = (options: SessionOptions = {}): Session => {
    const session = Session.open(rig(), options);
    for (const [from, payload] of welcome) pass(session, from, payload);
    rig().events();
    return session;
  };

  it('an offer is expected from anybody', () => {
    const session = chat();
    pass(session, 'client', `${offer(50000)}${offer(50001, '167772418', 'CHAT chat')}`);
    pass(session, 'client', `@a=b :me NOTICE #c :\x01DCC TSEND "a b" 167772418 50002 99\x01\r\n`);
    expect(expected().sort()).toEqual([50000, 50001, 50002].map((port) => `*:* -> 10.0.1.2:${String(port)}`));
    expect(rig().flow().flags & FlowFlag.recognised).toBe(FlowFlag.recognised);
  });

  it('an offer over IPv6 too', () => {
    const session = chat(six);
    pass(session, 'client', offer(50000, '2001:db8:1::2'));
    expect(expected()).toEqual(['*:* -> 2001:db8:1::2:50000']);
  });

  it('what is said before the welcome, by the server, or without a port is no offer', () => {
    const session = chat();
    pass(session, 'server', offer(50000));
    pass(session, 'client', offer(0));
    pass(session, 'client', `PRIVMSG bob :see ${offer(50000)}`);
    expect(expected()).toEqual([]);
    expect(judged()).toBe(false);
    const early = Session.open(rig(), { client: { address: '10.0.1.2', port: 40001 } });
    pass(early, 'client', 'NICK a\r\n');
    pass(early, 'client', offer(50000));
    expect(expected()).toEqual([]);
    expect(rig().counters()).toMatchObject({ judged: 1 });
  });

  it('the ninth pushes the oldest out', () => {
    const session = chat();
    for (let port = 50000; port < 50009; port++) {
      rig().advance(1n);
      pass(session, 'client', offer(port));
    }
    const ports = rig()
      .expectations()
      .map((entry) => entry.tuple.destinationPort);
    expect(ports.sort((a, b) => a - b)).toEqual([50001, 50002, 50003, 50004, 50005, 50006, 50007, 50008]);
    expect(rig().eventNames().slice(8)).toEqual(['expectationExpired evicted', 'expectationNew']);
  });

  it('more than 32 offers in one packet go to user space', () => {
    rig().allow({ limit: 12 });
    const session = chat();
    const offers = (from: number, count: number): string =>
      Array.from({ length: count }, (_, at) => offer(from + at)).join('');
    pass(session, 'client', offers(50000, 12));
    expect(expected()).toHaveLength(12);
    pass(session, 'client', offers(51000, 32));
    expect([judged(), expected().length]).toEqual([false, 12]);
    pass(session, 'client', offers(52000, 33));
    expect(judged()).toBe(true);
    expect(
      rig()
        .expectations()
        .filter(({ tuple: { destinationPort } }) => destinationPort >= 52000),
    ).toEqual([]);
  });
});

describe('nothing leaks', () => {
  it('when a connection ends with something expected and something kept', () => {
    for (const [index, options] of [{}, six].entries()) {
      const session = open({ ...options, clientSeq: 100000 * index });
      pass(session, 'client', index === 0 ? 'PORT 10,0,1,2,195,80\r\n' : 'EPRT |2|2001:db8:1::2|50000|\r\n');
      for (const from of ['client', 'server'] as const)
        session.probe(from, { seq: session.next[from] + 10, payload: '200 x\r\n' });
      expect(rig().map('parked').entriesSync().count).toBe(2);
      session.send('server', { flags: 'R', ack: 0 });
      rig().advance(11n * second);
      rig().sweep();
    }
    expect(rig().leaks()).toEqual(nothing);
  });

  it('when a SYN takes the tuple again', () => {
    const session = open();
    session.probe('client', { seq: session.next.client + 10, payload: 'NOOP\r\n' });
    session.send('client', { flags: 'R', ack: 0 });
    const next = open({ clientSeq: 5000 });
    next.send('client', { flags: 'R', ack: 0 });
    rig().advance(11n * second);
    rig().sweep();
    expect(rig().leaks()).toEqual(nothing);
  });

  it('when a retransmission was rewritten, or the connection encrypted', () => {
    const session = open();
    pass(session, 'client', 'PORT 10,0,1,2,195,80\r\n');
    session.probe('client', { seq: session.next.client - 22, payload: 'PORT 10,0,1,2,195,81\r\n' });
    session.send('client', { flags: 'R', ack: 0 });
    const other = open({ client: { address: '10.0.1.2', port: 40001 } });
    pass(other, 'client', 'PORT 10,0,1,2,195,80\r\nAUTH TLS\r\n');
    pass(other, 'server', '200 ok\r\n234 go\r\n');
    other.send('client', { flags: 'R', ack: 0 });
    rig().advance(11n * second);
    rig().sweep();
    expect(rig().leaks()).toEqual(nothing);
  });
});

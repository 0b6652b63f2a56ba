// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@relatd/config';
import { tcpOption } from '@relatd/lab';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Conversation, Recording, cooked, type Ends } from './testing.js';

const CONTROL = 'ftp tcp 10.0.1.2:45678 > 10.0.2.2:21';
const PASSIVE = '227 (10,0,2,2,156,65)';
const EXPECTED = 'ftp tcp 10.0.1.2:* > 10.0.2.2:40001';
const data: Partial<Ends> = { clientPort: 50000, serverPort: 40001 };
const RELATED = 'ftp tcp 10.0.1.2:50000 > 10.0.2.2:40001';

/** A session that has announced a passive data connection. */
function announced(recording: Recording, ends: Partial<Ends> = {}): Conversation {
  return new Conversation(recording, ends).logIn().says('PASV').replies(PASSIVE);
}

describe('a session', () => {
  it('is told from its handshake to its end, with user, command and file', () => {
    const recording = new Recording();
    const control = announced(recording);
    const transfer = new Conversation(recording, data).open();
    control.says('RETR big.iso').replies('150 here');
    transfer.fromServer({ payload: 'x'.repeat(1000) });
    transfer.server += 1000;
    transfer.close();
    control.replies('226 done').close();
    const { lines, events, summary } = recording.play();
    expect(lines).toEqual([
      `control.new ${CONTROL}`,
      `expectation.new ${EXPECTED}`,
      `related.new ${RELATED} alice`,
      `related.end ${RELATED} alice RETR big.iso reason=fin`,
      `control.end ${CONTROL} alice RETR big.iso reason=fin`,
    ]);
    expect(events[0]).toMatchObject({
      time: '2026-11-22T12:00:00.002Z',
      flow: { id: '1', trust: 'ok', interface: '-' },
    });
    expect(events[1]?.expectation).toMatchObject({ id: '2', master: '1', expiresSeconds: 300, permanent: false });
    expect(events[3]?.flow).toMatchObject({
      ...{ id: '3', kind: 'related', master: '1', state: 'closed', mark: '0x52000000' },
      // SYN, ACK, FIN; SYN-ACK, data, FIN.
      ...{ packets: { original: 3, reply: 3 }, bytes: { original: 120, reply: 1120 } },
    });
    expect(summary).toMatchObject({ control: 1, expectations: 1, related: 1, packets: recording.packets.length });
    expect(summary.open).toEqual({ control: 0, expectations: 0, related: 0 });
  });

  it('is the same when each packet was captured at two interfaces', () => {
    const plain = new Recording();
    const twice = new Recording();
    twice.shape = (frame) => [cooked(frame, 3, 'in'), cooked(frame, 4, 'out')];
    for (const recording of [plain, twice]) {
      const control = announced(recording);
      new Conversation(recording, data).open().close();
      control.close();
    }
    const { events, lines, summary } = twice.play();
    expect(lines).toEqual(plain.play().lines);
    expect(events.at(-1)?.flow).toMatchObject({ packets: { original: 9, reply: 8 } });
    expect(plain.play().events.at(-1)?.flow).toMatchObject({ packets: { original: 9, reply: 8 } });
    expect(summary.packets).toBe(2 * plain.packets.length);
  });

  it('is read in stream order, also where segments came in another and again', () => {
    const recording = new Recording();
    const control = new Conversation(recording).logIn().says('PASV');
    const reply = `${PASSIVE}\r\n`;
    control.fromServer({ seq: control.server + 10, payload: reply.slice(10) });
    control.fromServer({ seq: control.server, payload: reply.slice(0, 12) });
    control.fromServer({ seq: control.server, payload: reply });
    expect(recording.play().lines).toEqual([`control.new ${CONTROL}`, `expectation.new ${EXPECTED}`]);
  });

  it('shows no more than the assignment lets be shown', () => {
    const recording = new Recording();
    const control = announced(recording).says('RETR secret');
    control.close();
    const config = (detail: string): string => `assignments: [{ helper: ftp, port: 21, detail: ${detail} }]`;
    expect(recording.play(config('command')).lines.at(-1)).toBe(`control.end ${CONTROL} RETR reason=fin`);
    expect(recording.play(config('none')).lines.at(-1)).toBe(`control.end ${CONTROL} reason=fin`);
  });

  it('has the packets of the wire where a device cut and joined segments', () => {
    const recording = new Recording();
    announced(recording);
    const options = [tcpOption.mss(1460)];
    const transfer = new Conversation(recording, data).syn({ options }).synAck({ options: [tcpOption.mss(1400)] });
    transfer.fromClient().fromServer({ payload: 'x'.repeat(3000), options: [tcpOption.timestamps(1, 2)] });
    transfer.fromServer({ flags: 'R', seq: transfer.server + 3000 });
    // 1400 less 12 of the options: three segments, each with headers of 52.
    expect(recording.play().events.at(-1)?.flow).toMatchObject({
      packets: { original: 2, reply: 5 },
      bytes: { reply: 44 + 3000 + 3 * 52 + 40 },
    });
  });
});

describe('a control connection', () => {
  it('is not picked up in its middle, and counted', () => {
    const recording = new Recording();
    for (const clientPort of [1, 2]) new Conversation(recording, { clientPort }).says('PASV').replies(PASSIVE);
    new Conversation(recording, { clientPort: 3 }).syn().synAck().replies('220 ready');
    const { lines, summary } = recording.play();
    expect(lines).toEqual([]);
    expect(summary.unfollowed).toEqual({ alreadyOpen: 2, incomplete: 1 });
  });

  it('is one of the opener that began it, not of who answers with a SYN-ACK out of turn', () => {
    const recording = new Recording();
    const control = new Conversation(recording).syn();
    control.fromClient({ flags: 'SA' });
    control.synAck().fromClient();
    const { lines, summary } = recording.play();
    expect(lines).toEqual([]);
    expect(summary.reasons.get('handshake')).toBe(1);
  });

  it.each<[string, string, (control: Conversation) => void]>([
    ['cut by the snap length', 'gap', () => undefined],
    ['encrypted', 'encrypted', (control) => control.replies('220 ready').says('AUTH TLS').replies('234 go')],
    ['not its protocol', 'not-protocol', (control) => control.replies('hello')],
    ['with less to live than its handshake', 'ttl', (control) => control.fromServer({ payload: '220 a\r\n', ttl: 20 })],
    [
      'of which bytes are missing',
      'gap',
      (control) => {
        control.server += 10;
        control.fromClient();
      },
    ],
    [
      'of which the announcement is repeated otherwise',
      'rewritten',
      (control) => {
        control
          .replies('220 ready')
          .says('USER alice')
          .replies('331 more')
          .says('PASS x')
          .replies('230 in')
          .says('PASV');
        const { server } = control;
        control.replies(PASSIVE);
        control.fromServer({ seq: server, payload: `${PASSIVE.replace('65', '66')}\r\n` });
      },
    ],
  ])('that is %s is not read any more, and its end is seen: %s', (what, trust, go) => {
    const recording = new Recording();
    const control = new Conversation(recording).open();
    if (what === 'cut by the snap length') {
      recording.shape = (frame) => [{ data: frame.subarray(0, 60), length: frame.length }];
      control.replies('220 ready');
    }
    go(control);
    control.says('PASV').replies(PASSIVE.replace('156', '157'));
    control.close();
    const { lines, events, summary } = recording.play();
    expect([...summary.distrusted]).toEqual([[trust, 1]]);
    expect(lines.at(-1)).toMatch(/^control.end .*reason=fin$/);
    expect(events.at(-1)?.flow).toMatchObject({ trust });
    expect(lines.filter((line) => line.includes(':40257'))).toEqual([]);
  });

  it('began with data in its SYN', () => {
    const recording = new Recording();
    const control = new Conversation(recording).syn({ payload: 'USER a\r\n' });
    control.client += 8;
    control.synAck().fromClient().close();
    expect(recording.play().events.at(-1)?.flow).toMatchObject({ trust: 'fast-open' });
  });

  it("ends by an RST in order, not by a stranger's", () => {
    const recording = new Recording();
    const control = announced(recording);
    control.fromClient({ flags: 'R', seq: control.client + 1 });
    control.fromClient({ flags: 'RA' });
    const { lines, summary } = recording.play();
    expect(lines.slice(2)).toEqual([
      `expectation.expired ${EXPECTED} reason=master-ended`,
      `control.end ${CONTROL} alice reason=rst`,
    ]);
    expect(summary.reasons.get('rst-ignored')).toBe(1);
  });

  it('ends when nothing was seen for long, or when its addresses and ports are used again', () => {
    const idle = new Recording();
    new Conversation(idle).open();
    idle.wait(6 * 86_400_000);
    new Conversation(idle, { clientPort: 2 }).open();
    const { events, lines } = idle.play();
    expect(lines[1]).toBe(`control.end ${CONTROL} reason=idle`);
    expect(events[1]).toMatchObject({ time: '2026-11-27T12:00:00.002Z', flow: { idleSeconds: 432_000 } });

    const reused = new Recording();
    new Conversation(reused).open().fromServer({ flags: 'FA' });
    new Conversation(reused).open();
    expect(reused.play().lines).toEqual([
      `control.new ${CONTROL}`,
      `control.end ${CONTROL} reason=reused`,
      `control.new ${CONTROL}`,
    ]);
  });

  it('has to be within its limits', () => {
    const recording = new Recording();
    for (const clientPort of [1, 2, 3]) new Conversation(recording, { clientPort }).open();
    const limited = (limits: string): ReturnType<Recording['play']> =>
      recording.play(`assignments: [{ helper: ftp, port: 21 }]\nlimits: { ${limits} }`);
    for (const [limits, reason] of [
      ['flows: 2, control: 2', 'flows-full'],
      ['control: 2', 'controls-full'],
      ['per-source: 2', 'per-source'],
    ] as const) {
      const { summary } = limited(limits);
      expect({ limits, control: summary.control, refused: summary.reasons.get(reason) }).toEqual({
        limits,
        control: 2,
        refused: 1,
      });
    }
  });
});

describe('an assignment', () => {
  it('covers what the configuration says, the more specific first', () => {
    const recording = new Recording();
    for (const client of ['10.0.1.2', '10.0.1.3', '10.9.1.2']) new Conversation(recording, { client }).open();
    const { events } = recording.play(`assignments:
  - { helper: ftp, port: 21, from: 10.0.0.0/8, to: 10.0.2.0/24 }
  - { name: one, helper: ftp, port: 21, from: 10.0.1.2, to: 10.0.2.2 }
  - { name: elsewhere, helper: ftp, port: 21, from: "fd00::/8" }
`);
    expect(events.map(({ flow }) => flow?.assignment)).toEqual(['one', 'ftp', 'ftp']);
  });

  it('with an interface fits packets of that one, and of any where the capture does not say', () => {
    const config = `assignments: [{ helper: ftp, port: 21, interface: eth1 }]`;
    const named = new Recording();
    named.shape = () => [{ name: 'eth0' }];
    new Conversation(named).open();
    named.shape = () => [{ name: 'eth1', interface: 1 }];
    new Conversation(named, { clientPort: 2 }).open();
    const { events, summary } = named.play(config);
    expect(events.map(({ flow }) => [flow?.source.port, flow && 'kind' in flow && flow.interface])).toEqual([
      [2, 'eth1'],
    ]);
    expect(summary.guessedInterface).toBe(false);

    const unnamed = new Recording();
    new Conversation(unnamed).open();
    expect(unnamed.play(config).summary).toMatchObject({ control: 1, guessedInterface: true });
  });

  it('keeps zones apart', () => {
    const recording = new Recording();
    recording.shape = () => [{ name: 'eth0' }];
    announced(recording);
    recording.shape = () => [{ name: 'eth1', interface: 1 }];
    new Conversation(recording, data).open();
    const config = 'interfaces: [eth0, eth1]\nassignments: [{ helper: ftp, port: 21 }]\n';
    expect(recording.play(config).summary.related).toBe(1);
    expect(recording.play(`${config}zones: { eth1: 1 }`).summary.related).toBe(0);
  });
});

describe('an expectation', () => {
  it('is refused by policy, with the reason', () => {
    const recording = new Recording();
    const control = new Conversation(recording).logIn();
    for (const place of ['10,9,9,9,156,65', '10,0,1,2,0,22', '10,0,1,2,0,0', '10,0,1,300,0,0'])
      control.says(`PORT ${place}`).replies('500 no');
    const { lines, summary } = recording.play();
    expect(lines.slice(1)).toEqual([
      'expectation.refused ftp tcp 10.0.2.2:* > 10.9.9.9:40001 reason=address count=1',
      'expectation.refused ftp tcp 10.0.2.2:* > 10.0.1.2:22 reason=port-range count=1',
      `expectation.refused ${CONTROL} alice reason=port-zero count=1`,
      `expectation.refused ${CONTROL} alice reason=bad-octet count=1`,
    ]);
    expect(Object.fromEntries(summary.refused)).toEqual({
      address: 1,
      'port-range': 1,
      'port-zero': 1,
      'bad-octet': 1,
    });
    const open = 'assignments: [{ helper: ftp, port: 21, data: { third-party: true, ports: 1-65535 } }]';
    expect(recording.play(open).summary.expectations).toBe(2);
  });

  it('goes with the refusal of its command, with a newer one, and at its deadline', () => {
    const refused = new Recording();
    new Conversation(refused).logIn().says('PORT 10,0,1,2,156,65').replies('500 no');
    expect(refused.play().lines.at(-1)).toMatch(/^expectation.expired .*reason=refused-by-server$/);

    const newer = new Recording();
    announced(newer)
      .says('PASV')
      .replies(PASSIVE.replace('65', '66'))
      .says('PASV')
      .replies(PASSIVE.replace('65', '66'));
    expect(newer.play().lines.slice(2)).toEqual([
      `expectation.expired ${EXPECTED} reason=evicted`,
      `expectation.new ${EXPECTED.replace('40001', '40002')}`,
    ]);

    const late = new Recording();
    announced(late);
    late.wait(301_000);
    new Conversation(late, data).open();
    const { lines, summary } = late.play();
    expect(lines.slice(2)).toEqual([`expectation.expired ${EXPECTED} reason=expired`]);
    expect(summary.open).toEqual({ control: 1, expectations: 0, related: 0 });
  });

  it('is matched once, by a SYN of the other end alone', () => {
    const recording = new Recording();
    announced(recording);
    new Conversation(recording, { ...data, client: '10.0.1.9' }).open();
    new Conversation(recording, data).fromClient().open();
    new Conversation(recording, { ...data, clientPort: 50001 }).open();
    expect(recording.play().lines.filter((line) => line.startsWith('related'))).toEqual([
      `related.new ${RELATED} alice`,
    ]);
  });

  it('of another master in the same place is refused', () => {
    const recording = new Recording();
    announced(recording);
    announced(recording, { clientPort: 45679 });
    expect(recording.play().lines.at(-1)).toBe(`expectation.refused ${EXPECTED} reason=clash count=1`);
  });

  it.each<[string, (transfer: Conversation, recording: Recording) => void]>([
    ['reset', (transfer) => transfer.syn().fromServer({ flags: 'RA', seq: 0 })],
    [
      'not answered',
      (transfer, recording) => {
        transfer.syn();
        recording.wait(11_000);
      },
    ],
    ['disowned', (transfer) => transfer.syn().synAck().fromClient({ flags: 'R' })],
  ])('is given back once where its connection is %s', (_, fail) => {
    const recording = new Recording();
    announced(recording);
    fail(new Conversation(recording, data), recording);
    fail(new Conversation(recording, { ...data, clientPort: 50001 }), recording);
    new Conversation(recording, { ...data, clientPort: 50002 }).open();
    const types = recording
      .play()
      .lines.slice(1)
      .map((line) => line.split(' ', 1)[0]);
    const once = ['expectation.new', 'related.new', 'related.end'];
    expect(types).toEqual([...once, ...once]);
  });
});

describe('TFTP', () => {
  const config = 'assignments: [{ helper: tftp, port: 69 }]';
  const client = '10.0.1.2';
  const server = '10.0.2.2';

  it('is a datagram, and an answer from elsewhere; both are over when nothing comes', () => {
    const recording = new Recording();
    const request = { src: client, dst: server, sport: 5000, dport: 69, payload: '\0\x01boot.img\0octet\0' };
    // Twice, as some captures have it.
    recording.udp(request).udp(request);
    recording.udp({ src: server, dst: client, sport: 6000, dport: 5000, payload: '\0\x03\0\x01hello' });
    recording.udp({ src: client, dst: server, sport: 5000, dport: 6000, payload: '\0\x04\0\x01' });
    recording.wait(200_000).udp({ src: client, dst: server, sport: 1, dport: 69, payload: 'nonsense' });
    expect(recording.play(config).lines).toEqual([
      'control.new tftp udp 10.0.1.2:5000 > 10.0.2.2:69',
      'expectation.new tftp udp 10.0.2.2:* > 10.0.1.2:5000',
      'related.new tftp udp 10.0.2.2:6000 > 10.0.1.2:5000 RRQ boot.img',
      'control.end tftp udp 10.0.1.2:5000 > 10.0.2.2:69 RRQ boot.img reason=idle',
      'related.end tftp udp 10.0.2.2:6000 > 10.0.1.2:5000 RRQ boot.img reason=idle',
      'control.new tftp udp 10.0.1.2:1 > 10.0.2.2:69',
    ]);
  });
});

it("a helper of one's own is read by its definition", async () => {
  const directory = mkdtempSync(join(tmpdir(), 'relatd-replay-'));
  const rtsp = fileURLToPath(new URL('../../../../examples/rtsp.yaml', import.meta.url));
  const file = join(directory, 'relatd.yaml');
  writeFileSync(file, `helpers: [${rtsp}]\nassignments: [{ helper: rtsp, port: 554 }]\n`);
  const { config } = await loadConfig(file);
  rmSync(directory, { recursive: true });
  const recording = new Recording();
  const control = new Conversation(recording, { serverPort: 554 }).open();
  control.says('SETUP rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=5000-5001\r\n');
  recording.udp({ src: '10.0.2.2', dst: '10.0.1.2', sport: 6000, dport: 5001, payload: 'media' });
  expect(recording.play(config).lines).toEqual([
    'control.new rtsp tcp 10.0.1.2:45678 > 10.0.2.2:554',
    'expectation.new rtsp udp 10.0.2.2:* > 10.0.1.2:5000',
    'expectation.new rtsp udp 10.0.2.2:* > 10.0.1.2:5001',
    'related.new rtsp udp 10.0.2.2:6000 > 10.0.1.2:5001',
  ]);
});

describe('a capture', () => {
  it('whose times go back is told at the latest time, and that is counted', () => {
    const recording = new Recording();
    const control = announced(recording);
    recording.wait(-3_600_000);
    control.close();
    const { events, summary } = recording.play();
    expect(events.at(-1)?.time).toBe(summary.to);
    expect(summary.early).toBe(3);
  });

  it('of a link type that cannot be read is counted', () => {
    const recording = new Recording();
    recording.shape = () => [{ link: 127 }];
    new Conversation(recording).open();
    expect([...recording.play().summary.unknownLinks]).toEqual([[127, 3]]);
  });
});

it('whatever happens to the packets of a session, nothing is thrown and nothing is kept beyond its limits', () => {
  const recording = new Recording();
  const control = announced(recording);
  new Conversation(recording, data).open().close();
  control.says('PORT 10,0,1,2,156,65').replies('200 ok').says('ABOR').close();
  const { packets } = recording;
  const order = fc.array(fc.nat(packets.length - 1), { maxLength: 80 });
  const changes = fc.array(fc.tuple(fc.nat(80), fc.nat(60), fc.nat(255)), { maxLength: 6 });
  const config =
    'assignments: [{ helper: ftp, port: 21 }]\nlimits: { flows: 3, control: 2, expectations: 1, embryonic: 1024 }';
  fc.assert(
    fc.property(order, changes, fc.boolean(), (some, bytes, whole) => {
      const changed = new Recording();
      changed.packets.push(...(whole ? packets : some.map((index) => packets[index]!)));
      for (const [at, offset, value] of bytes) {
        const packet = changed.packets[at];
        if (packet === undefined || offset >= packet.data.length) continue;
        const copy = Uint8Array.from(packet.data);
        copy[offset] = value;
        changed.packets[at] = { ...packet, data: copy };
      }
      const { events, summary } = changed.play(config);
      expect(summary.faults).toEqual([]);
      expect(summary.open.control + summary.open.related).toBeLessThanOrEqual(3);
      const begun = events.filter(({ type }) => type === 'control.new').length;
      const ended = events.filter(({ type }) => type === 'control.end').length;
      expect(begun - ended).toBe(summary.open.control);
    }),
    { numRuns: 60 },
  );
});

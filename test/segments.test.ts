// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab, tcpOption } from '@relatd/lab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPort, passiveReply, Stage } from './support/dialogue.js';
import { defaultConfig, startGateway, type Gateway } from './support/gateway.js';
import {
  judgedBy,
  openRawPlaces,
  RawConnection,
  type RawEnd,
  type RawPlaces,
  type RawStart,
} from './support/rawConnection.js';

let lab: Lab;
let gateway: Gateway;
let places: RawPlaces;

beforeAll(async () => {
  lab = await Lab.create();
  // By mark alone: connection tracking, which has its own opinion of such segments, sees none of them.
  gateway = await startGateway(lab, { firewall: 'mark-only' });
  places = await openRawPlaces(lab);
});
afterAll(async () => {
  await gateway.close();
  await lab.close();
});

const open = (start?: RawStart): Promise<RawConnection> => RawConnection.open(gateway, places, start);

let lastPort = 30_000;
/** From one port to another with as many digits in both halves. */
const elsewhere = 39 << 8;

/** A line that announces, and who sends it. */
interface Announcement {
  raw: RawConnection;
  from: RawEnd;
  to: RawEnd;
  port: number;
  line: string;
  /** The same with another port. */
  other: string;
}

const ways = (['PORT', '227'] as const).flatMap((kind) => [
  { kind, by: 'the tables', judged: false },
  { kind, by: 'user space', judged: true },
]);

/** What each side has sent when its announcement begins. */
function bytesBefore(kind: 'PORT' | '227', judged: boolean): number {
  const more = judged ? judgedBy : { command: '', reply: '' };
  return kind === 'PORT'
    ? `USER alice\r\nPASS sesame\r\n${more.command}PASV\r\n`.length
    : `220 ready\r\n331 password\r\n230 in\r\n${more.reply}`.length;
}

async function announcement(kind: 'PORT' | '227', start?: RawStart): Promise<Announcement> {
  const raw = await open(start);
  await raw.client.say('PASV\r\n');
  const from = kind === 'PORT' ? raw.client : raw.server;
  const port = ++lastPort;
  const text = (number: number): string =>
    kind === 'PORT' ? `PORT ${hostPort('10.77.1.99', number)}\r\n` : passiveReply('ipv4', '10.77.2.99', number);
  return { raw, from, to: from.peer, port, line: text(port), other: text(port + elsewhere) };
}

/** Whoever was told the port connects, and gets through the firewall. Nothing else was ever expected. */
async function isExpected({ raw, to, port }: Announcement): Promise<void> {
  await raw.expects(port);
  expect(await to.opens(port)).toBe(true);
  expect(raw.expected()).toEqual([port]);
  const { flow } = await gateway.event('related.new', (event) => event.flow.master === raw.id);
  expect(flow).toMatchObject({ destination: { address: raw.client === to ? '10.77.2.99' : '10.77.1.99', port } });
  expect(await raw.trust()).toBe('ok');
}

/** What came last at an end: the pieces of the announcement. */
const last = (end: RawEnd, count: number): string[] => end.texts().slice(-count);

describe.each(ways)('$kind, decided by $by,', ({ kind, judged }) => {
  it('whose two segments come in the wrong order: it counts with the one that closes the gap, and not before', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, line } = one;
    const seq = from.next;
    const [head, tail] = [line.slice(0, 8), line.slice(8)];
    await from.send({ payload: tail, seq: seq + 8 });
    // Nobody can read it yet: the tables keep a copy and let it go on; user space keeps the packet itself.
    if (judged) await sleep(50);
    else await to.sees(seq + 8, tail);
    await raw.expectsNothing();
    await from.send({ payload: head });
    await to.sees(seq, head);
    await to.sees(seq + 8, tail);
    expect(last(to, 2)).toEqual(judged ? [head, tail] : [tail, head]);
    await from.moved(line.length);
    await isExpected(one);
    await raw.close();
  });

  it('of which a segment was lost before the gateway: nothing is skipped, whatever is behind it', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, line } = one;
    const seq = from.next;
    const [head, middle, end] = [line.slice(0, 6), line.slice(6, 12), line.slice(12)];
    // Longer than a held packet may wait for the daemon: it is the sender that is waited for.
    for (let round = 0; round < 5; round++) {
      await from.send({ payload: middle, seq: seq + 6 }, { payload: end, seq: seq + 12 });
      await sleep(150);
    }
    expect(to.texts().filter((text) => text === middle || text === end)).toEqual(judged ? [] : [middle, end]);
    await raw.expectsNothing();
    await from.send({ payload: head });
    await to.sees(seq, head);
    await to.sees(seq + 12, end);
    expect(last(to, 3)).toEqual(judged ? [head, middle, end] : [middle, end, head]);
    await from.moved(line.length);
    await isExpected(one);
    await raw.close();
  });

  it('behind a gap that more comes behind than is kept: the rest counts when it is sent again', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, line } = one;
    const seq = from.next;
    // Together more than the 1024 bytes that the tables keep, each in a segment of its own.
    const long = `${kind === 'PORT' ? 'SITE' : '150'} ${'x'.repeat(400)}\r\n`;
    const lines = [long, long, long];
    const pieces = [...lines, line];
    const at = pieces.map((_, i) => pieces.slice(0, i).join('').length);
    const segments = pieces.map((payload, i) => ({ payload, seq: seq + (at[i] ?? 0) }));
    await from.send(...segments.slice(1));
    await sleep(100);
    await raw.expectsNothing();
    await from.send(...segments);
    await to.sees(seq + (at[2] ?? 0), lines[2] ?? '');
    await from.send(...segments.slice(2));
    await to.sees(seq + (at[3] ?? 0), line);
    await from.moved(pieces.join('').length);
    await isExpected(one);
    await raw.close();
  });

  it('that is sent again as a whole after its first half was lost', async () => {
    const one = await announcement(kind, { judged });
    const { from, to, line } = one;
    await from.send({ payload: line.slice(8), seq: from.next + 8 });
    await from.say(line);
    await isExpected(one);
    expect(to.texts().join('')).toContain(line);
    await one.raw.close();
  });

  it('that is lost behind the gateway: its retransmission goes on, it is expected once', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, port, line } = one;
    await gateway.namespace.nft(
      'table inet loss { chain out { type filter hook postrouting priority 0; tcp flags & psh == psh drop; }; }',
    );
    await from.send({ payload: line });
    const { id } = await raw.expects(port);
    await sleep(50);
    await gateway.namespace.nft('delete table inet loss');
    expect(to.texts()).not.toContain(line);
    // A refreshed one would keep its id as well; a second one could not be here.
    await from.say(line);
    await isExpected({ ...one });
    expect(raw.expected()).toHaveLength(1);
    expect((await gateway.event('related.new', ({ flow }) => flow.master === raw.id)).flow.id).not.toBe(id);
    await raw.close();
  });

  it('that comes again with other bytes, in full or in part: trust ends, its expectation goes, the bytes go on', async () => {
    // Alone, and with new bytes behind it.
    const more = kind === 'PORT' ? 'NOOP\r\n' : '150 wait\r\n';
    const forms = [0, 12].flatMap((cut) => ['', more].map((behind) => ({ cut, behind })));
    for (const { cut, behind } of forms) {
      const one = await announcement(kind, { judged });
      const { raw, from, to, port, line, other } = one;
      const seq = from.next;
      await from.say(line);
      const { id } = await raw.expects(port);
      await from.send({ payload: other.slice(cut) + behind, seq: seq + cut });
      await to.sees(seq + cut, other.slice(cut) + behind);
      await from.moved(behind.length);
      await raw.becomes('rewritten');
      const gone = await gateway.event('expectation.expired', ({ expectation }) => expectation.id === id);
      expect(gone.reason).toBe('rewritten');
      expect(await raw.expectations()).toEqual([]);
      expect(await to.opens(port)).toBe(false);
      expect(await to.opens(port + elsewhere)).toBe(false);
      await raw.close();
    }
  });

  it('that comes again with the same bytes stays', async () => {
    const one = await announcement(kind, { judged });
    const { from, to, line } = one;
    const seq = from.next;
    await from.say(line);
    await from.send({ payload: line, seq }, { payload: line.slice(5, 9), seq: seq + 5 });
    await to.sees(seq + 5, line.slice(5, 9));
    expect(to.texts().filter((text) => text === line)).toHaveLength(2);
    // And with new ones behind them, as TCP repeats what it can put into one segment.
    const more = kind === 'PORT' ? 'NOOP\r\n' : '150 wait\r\n';
    await from.send({ payload: line + more, seq });
    await to.sees(seq, line + more);
    await from.moved(more.length);
    await isExpected(one);
    await one.raw.close();
  });

  it('across the wrap of the sequence numbers: whole, split at the wrap, reordered at the wrap', async () => {
    for (const way of ['whole', 'split', 'reordered'] as const) {
      // After login and PASV seven bytes are left before the wrap.
      const isn = 2 ** 32 - 7 - 1 - bytesBefore(kind, judged);
      const isns = kind === 'PORT' ? { clientIsn: isn } : { serverIsn: isn };
      const one = await announcement(kind, { judged, ...isns });
      const { from, to, line } = one;
      expect(from.next).toBe(2 ** 32 - 7);
      if (way === 'whole') await from.say(line);
      else if (way === 'split') {
        await from.say(line.slice(0, 7));
        expect(from.next).toBe(0);
        await from.say(line.slice(7));
      } else {
        const [head, tail] = [line.slice(0, 7), line.slice(7)];
        await from.send({ payload: tail, seq: 0 }, { payload: head });
        await to.sees(2 ** 32 - 7, head);
        await to.sees(0, tail);
        expect(last(to, 2)).toEqual(judged ? [head, tail] : [tail, head]);
        await from.moved(line.length);
      }
      await isExpected(one);
      await one.raw.close();
    }
  });

  it('in segments that overlap: only the new bytes are read', async () => {
    const one = await announcement(kind, { judged });
    const { from, line, other } = one;
    const seq = from.next;
    // The receiver has the first version of what comes twice.
    const cut = line.length - 2;
    await from.say(line.slice(0, cut));
    await from.send({ payload: other.slice(6, cut) + line.slice(cut), seq: seq + 6 });
    await from.peer.sees(seq + 6, other.slice(6, cut) + line.slice(cut));
    await from.moved(2);
    await isExpected(one);
    await one.raw.close();
  });

  it('in two versions behind a gap: what the receiver gets first is what is expected', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, line, other } = one;
    const seq = from.next;
    await from.send({ payload: line.slice(4), seq: seq + 4 }, { payload: other.slice(4), seq: seq + 4 });
    await from.send({ payload: line.slice(0, 4) });
    await to.sees(seq, line.slice(0, 4));
    await to.sees(seq + 4, line.slice(4));
    await from.moved(line.length);
    expect(raw.expected()).not.toContain(one.port + elsewhere);
    const tails = to.texts().filter((text) => text === line.slice(4) || text === other.slice(4));
    expect(tails[0]).toBe(line.slice(4));
    await isExpected(one);
    await raw.close();
  });

  it('behind a probe of a closed window: one new byte, again and again', async () => {
    const one = await announcement(kind, { judged });
    const { from, line } = one;
    const seq = from.next;
    for (let i = 0; i < 3; i++) await from.send({ payload: line.charAt(0), seq });
    await from.peer.sees(seq, line.charAt(0));
    await from.say(line);
    await isExpected(one);
    await one.raw.close();
  });

  it('behind a keep-alive with a byte of garbage, and in front of one', async () => {
    const one = await announcement(kind, { judged });
    const { from, to, line } = one;
    await from.send({ payload: '\0', seq: from.next - 1 });
    await to.sees(from.next - 1, '\0');
    await from.say(line);
    await from.send({ payload: '\0', seq: from.next - 1 });
    await to.sees(from.next - 1, '\0');
    await sleep(50);
    await isExpected(one);
    await one.raw.close();
  });

  it('with a wrong checksum goes on and is not read: the receiver discards it; the right one counts', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, line, other } = one;
    const seq = from.next;
    await from.send({ payload: other, checksum: 0x1234 });
    await sleep(50);
    await raw.expectsNothing();
    await from.send({ payload: line });
    await to.sees(seq, line);
    await from.moved(line.length);
    await isExpected(one);
    await raw.close();
  });

  it('that acknowledges what was never sent, or nothing, is not read: the receiver discards it', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, line, other } = one;
    await from.send({ payload: other, ack: from.expected + 1 }, { payload: other, flags: 'P' });
    await from.send({ payload: other, ack: from.expected - 2 ** 25 });
    await eventuallyThere(to, other, 3);
    await raw.expectsNothing();
    await from.say(line);
    await isExpected(one);
    await raw.close();
  });

  it('with few hops left goes on and is not read, nor anything behind it', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, port, line } = one;
    await from.say(line, { ttl: 64 - 9 });
    await raw.becomes('ttl');
    await from.say(line);
    await raw.expectsNothing();
    expect(await to.opens(port)).toBe(false);
    await raw.close();
  });

  it('with some hops less than the handshake counts', async () => {
    const one = await announcement(kind, { judged });
    await one.from.say(one.line, { ttl: 64 - 8 });
    await isExpected(one);
    await one.raw.close();
  });

  it('with an urgent byte goes on and is not read: who reads it may not see that byte', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, port, line } = one;
    await from.say(line, { flags: 'PAU', urgent: line.length - 3 });
    await raw.becomes('urgent');
    await from.say(line);
    await raw.expectsNothing();
    expect(await to.opens(port)).toBe(false);
    await raw.close();
  });

  it('and an RST right behind it arrive in this order', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, port, line } = one;
    const seq = from.next;
    await from.send({ payload: line }, { flags: 'RA', seq: seq + line.length });
    await to.gets(({ flags }) => flags.includes('R'));
    const order = to.arrived().flatMap(({ flags, payload }) => {
      if (flags.includes('R')) return ['RST'];
      return payload.length === 0 ? [] : [Buffer.from(payload).toString('latin1')];
    });
    expect(order.slice(-2)).toEqual([line, 'RST']);
    const { reason } = await gateway.event('control.end', ({ flow }) => flow.id === raw.id);
    expect(reason).toBe('rst');
    expect(await to.opens(port)).toBe(false);
  });

  it('and a FIN that overtook it arrive in the right order, and the FIN ends nothing that was announced', async () => {
    const one = await announcement(kind, { judged });
    const { raw, from, to, line } = one;
    const seq = from.next;
    await from.send({ flags: 'FA', seq: seq + line.length }, { payload: line });
    if (!judged) {
      // The tables keep no FIN: it was dropped, and is sent again.
      await to.sees(seq, line);
      await from.send({ flags: 'FA', seq: seq + line.length });
    }
    await to.gets(({ flags }) => flags.includes('F'));
    expect(to.arrived().findIndex(({ flags }) => flags.includes('F'))).toBeGreaterThan(
      to.arrived().findIndex(({ seq: at, payload }) => at === seq && payload.length === line.length),
    );
    await from.moved(line.length + 1);
    await isExpected(one);
    expect((await raw.flow())?.state).toBe('closing');
    await to.send({ flags: 'FA' });
    expect((await gateway.event('control.end', ({ flow }) => flow.id === raw.id)).reason).toBe('fin');
  });
});

async function eventuallyThere(end: RawEnd, text: string, count: number): Promise<void> {
  await end.gets(() => end.texts().filter((one) => one === text).length === count);
}

describe('a control connection', () => {
  it('of which bytes never come this way goes on, and is given up when the receiver says that it has them', async () => {
    const one = await announcement('PORT');
    const { raw, from, to, line } = one;
    const seq = from.next;
    const tail = `${line.slice(8)}NOOP\r\n`;
    await from.send({ payload: tail, seq: seq + 8 });
    await to.sees(seq + 8, tail);
    expect(await raw.trust()).toBe('ok');
    await from.moved(8 + tail.length);
    await raw.becomes('gap');
    await from.say(`PORT ${hostPort('10.77.1.99', ++lastPort)}\r\n`);
    await to.say('200 fine\r\n');
    await raw.expectsNothing();
    await raw.close();
  });

  it('that is judged, of which bytes never come this way, goes on after a while; the line they belong to opens nothing', async () => {
    const one = await announcement('PORT', { judged: true });
    const { raw, from, to, line } = one;
    const seq = from.next;
    const tail = `${line.slice(8)}NOOP\r\n`;
    for (let i = 0; i < 12 && !to.texts().includes(tail); i++) {
      await from.send({ payload: tail, seq: seq + 8 });
      await sleep(300);
    }
    await to.sees(seq + 8, tail);
    await raw.expectsNothing();
    from.next = seq + 8 + tail.length;
    to.expected = from.next;
    await to.send({});
    const port = ++lastPort;
    await from.say(`PORT ${hostPort('10.77.1.99', port)}\r\n`);
    await raw.expects(port);
    expect(await to.opens(port)).toBe(true);
    await raw.close();
  });

  it("keeps its trust with ABOR's urgent Telnet bytes, in either reading of the urgent pointer", async () => {
    for (const urgent of [3, 4]) {
      const one = await announcement('PORT');
      const { from } = one;
      await from.say('\xff\xf4\xff\xf2ABOR\r\n', { flags: 'PAU', urgent });
      await from.say(one.line);
      await isExpected(one);
      await one.raw.close();
    }
  });

  it('whose SYN had data that the server took (TCP Fast Open) is given up, and says so', async () => {
    const raw = RawConnection.ends(gateway, places);
    const { client, server } = raw;
    const data = 'USER alice\r\n';
    const cookie = tcpOption.fastOpen(new Uint8Array(8));
    await client.send({ flags: 'S', ack: 0, payload: data, options: [tcpOption.mss(1460), cookie] });
    await server.gets(({ flags, payload }) => flags === 'S' && payload.length === data.length);
    client.next += 1 + data.length;
    server.expected = client.next;
    await server.send({ flags: 'SA' });
    await client.gets(({ flags }) => flags === 'SA');
    server.next += 1;
    client.expected = server.next;
    await client.send({});
    await raw.tracked();
    expect(await raw.trust()).toBe('fast-open');
    await server.say('220 ready\r\n331 password\r\n');
    await client.say(`PASS sesame\r\nPORT ${hostPort('10.77.1.99', ++lastPort)}\r\n`);
    await raw.expectsNothing();
    await raw.close();
  });

  it('whose SYN had data that the server did not take is like any other', async () => {
    const raw = RawConnection.ends(gateway, places);
    const { client, server } = raw;
    const cookie = tcpOption.fastOpen(new Uint8Array(8));
    await client.send({ flags: 'S', ack: 0, payload: 'USER alice\r\n', options: [cookie] });
    client.next += 1;
    server.expected = client.next;
    await server.gets(({ flags }) => flags === 'S');
    await server.send({ flags: 'SA' });
    await client.gets(({ flags }) => flags === 'SA');
    server.next += 1;
    client.expected = server.next;
    await client.send({});
    await raw.tracked();
    await raw.login();
    const port = ++lastPort;
    await client.say(`PORT ${hostPort('10.77.1.99', port)}\r\n`);
    await raw.expects(port);
    expect(await server.opens(port)).toBe(true);
    await raw.close();
  });

  it('is none whose handshake began with a SYN-ACK of its opener, or in which both ends open', async () => {
    for (const first of ['SA', 'S'] as const) {
      const raw = RawConnection.ends(gateway, places);
      const { client, server } = raw;
      if (first === 'SA') {
        await client.send({ flags: 'SA', ack: server.next });
      } else {
        await client.send({ flags: 'S', ack: 0 });
        await server.send({ flags: 'S', ack: 0 });
        await client.send({ flags: 'SA', ack: server.next + 1 });
      }
      await server.gets(({ flags }) => flags === 'SA');
      server.expected = client.next + 1;
      await server.send({ flags: 'SA' });
      await client.gets(({ flags }) => flags === 'SA');
      client.expected = server.next + 1;
      client.next += 1;
      server.next += 1;
      await client.send({});
      await server.gets(({ flags, seq }) => flags === 'A' && seq === client.next);
      await client.say(`PORT ${hostPort('10.77.1.99', ++lastPort)}\r\n`);
      expect(await raw.flow()).toBeUndefined();
    }
  });

  it('is not begun anew by a SYN, nor by a SYN-ACK, that comes in its middle', async () => {
    const one = await announcement('PORT');
    const { raw, from, to, line } = one;
    const before = (await raw.flow())?.created;
    await from.send({ flags: 'S', seq: 77, ack: 0 });
    await to.gets(({ flags, seq }) => flags === 'S' && seq === 77);
    await to.send({ flags: 'SA', seq: 78, ack: 78 });
    await from.gets(({ flags, seq }) => flags === 'SA' && seq === 78);
    await from.send({ seq: 78, ack: 79 });
    await to.gets(({ flags, seq }) => flags === 'A' && seq === 78);
    await from.say(line);
    expect(await raw.flow()).toMatchObject({ id: raw.id, created: before });
    await isExpected(one);
    await raw.close();
  });
});

describe('with two kernels at the ends, ', () => {
  it('a burst of 300,000 bytes of commands arrives, with the announcements at its beginning and at its end', async () => {
    await using stage = await Stage.open({}, { config: defaultConfig });
    const session = await stage.session();
    const [first, second] = [stage.newPort(), stage.newPort()];
    const lines = Array.from({ length: 25_000 }, (_, i) => `SIZE ${String(i).padStart(5, '0')}\r\n`);
    await session.say([session.port(first), ...lines, session.port(second)].join(''));
    await session.dataFromServer(second);
    expect(session.expected()).toEqual([first, second]);
    expect(await session.trust()).toBe('ok');
  });
});

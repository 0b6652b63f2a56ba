// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { RawPort, tcp } from '@relatd/lab';
import type { Event, RelatedFlow } from '@relatd/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPort, passiveReply, Stage } from './support/dialogue.js';
import { defaultConfig, eventually } from './support/gateway.js';
import { openRawPlaces, RawConnection, RawEnd, type RawPlaces, type RawStart } from './support/rawConnection.js';

let stage: Stage;
let places: RawPlaces;

const config = {
  interfaces: defaultConfig.interfaces,
  assignments: [
    { name: 'ftp-2121', helper: 'ftp', port: 2121 },
    { name: 'brief', helper: 'ftp', port: 2122, limits: { expectation: '1s' } },
  ],
};

beforeAll(async () => {
  // By mark alone, so that no connection tracking stops what a stranger forges.
  stage = await Stage.open({}, { config, firewall: 'mark-only' });
  places = await openRawPlaces(stage.lab);
});
afterAll(async () => stage.close());

const openRaw = (start?: RawStart): Promise<RawConnection> => RawConnection.open(stage.gateway, places, start);

/** Waits for the end of an expectation; gives the reason. */
async function endOf(id: string): Promise<string> {
  return (await stage.gateway.event('expectation.expired', ({ expectation }) => expectation.id === id)).reason;
}

async function endOfControl(id: string): Promise<string> {
  return (await stage.gateway.event('control.end', ({ flow }) => flow.id === id)).reason;
}

const rawPort = (port: number): string => `PORT ${hostPort('10.77.1.99', port)}\r\n`;

describe('an expectation', () => {
  it('is for one connection: a second one to the same port is not related', async () => {
    for (const mode of ['active', 'passive'] as const) {
      const session = await stage.session();
      const port = stage.newPort();
      await session[mode](port);
      if (mode === 'active') {
        await session.dataFromServer(port);
        await session.shutFromServer(port);
      } else {
        await session.dataFromClient(port);
        await session.shutFromClient(port);
      }
      expect(await session.expectations()).toEqual([]);
    }
  });

  it('that is announced again keeps its id, and its deadline moves', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    const { id } = await session.active(port);
    await sleep(1200);
    const [before] = await session.expectations();
    await session.say(session.port(port));
    const after = await session.expectations();
    expect(after).toMatchObject([{ id, destination: { port }, created: before?.created }]);
    expect(after[0]?.expiresSeconds).toBeGreaterThan((before?.expiresSeconds ?? 300) + 0.5);
    await session.dataFromServer(port);
    await session.shutFromServer(port);
  });

  it('goes when its time is over: it is told, and its port is shut', async () => {
    const session = await stage.session({ port: 2122 });
    const port = stage.newPort();
    const { id, expiresSeconds } = await session.active(port);
    expect(expiresSeconds).toBeLessThanOrEqual(1);
    expect(await endOf(id)).toBe('expired');
    await session.shutFromServer(port);
  });

  it.each(['450', '502'])('goes with the reply %s to its command', async (code) => {
    const session = await stage.session();
    const port = stage.newPort();
    await session.say(session.port(port));
    const { id } = await session.expects(port);
    await session.answer(`${code} no\r\n`);
    expect(await endOf(id)).toBe('refused-by-server');
    await session.shutFromServer(port);
  });

  it('stays with a 5xx to another command', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    await session.active(port);
    await session.say('SITE nonsense\r\n');
    await session.answer('500 no\r\n');
    await session.dataFromServer(port);
  });

  it('is given back once when its SYN was answered by a reset', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    await session.active(port);
    const refused = (): Promise<void> =>
      expect(stage.server.connect(session.here, port, { localAddress: session.there })).rejects.toThrow('ECONNREFUSED');
    await refused();
    const ended = await stage.gateway.event('related.end', ({ flow }) => flow.master === session.id);
    expect(ended.reason).toBe('rst');
    await eventually(
      () => (session.expected().length === 2 ? true : undefined),
      () => stage.gateway.history(),
    );
    await refused();
    await session.shutFromServer(port);
    expect(session.expected()).toEqual([port, port]);
    // And of use when it was given back.
    const other = stage.newPort();
    await session.active(other);
    await expect(stage.server.connect(session.here, other)).rejects.toThrow('ECONNREFUSED');
    await session.dataFromServer(other);
  });

  it('is not given back when what came was accepted and then reset', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    await session.active(port);
    const listener = await stage.client.listen(port, session.here);
    const data = await stage.server.connect(session.here, port);
    const far = await listener.accept();
    await far.reset();
    await data.waitForEnd();
    await listener.close();
    await session.shutFromServer(port);
    expect(session.expected()).toEqual([port]);
  });

  it('is won by exactly one of many SYNs that come at once on two CPUs', async () => {
    const raw = await openRaw();
    await using second = await RawPort.open(stage.lab.server, 'eth0', { quiet: true });
    const ends = { ...places.server.link, src: '10.77.2.99', dst: '10.77.1.99', flags: 'S' };
    for (let round = 0; round < 25; round++) {
      const port = stage.newPort();
      await raw.client.say(rawPort(port));
      await raw.expects(port);
      const from = places.client.port.frames.length;
      const syns = (first: number): Uint8Array[] =>
        Array.from({ length: 8 }, (_, i) => tcp({ ...ends, sport: first + i, dport: port, seq: 100 }));
      await Promise.all([places.server.port.send(...syns(6000)), second.send(...syns(7000))]);
      // Behind all of them.
      const fence = 9000 + round;
      await Promise.all(
        [places.server.port, second].map((one, i) => one.send(tcp({ ...ends, sport: 2121, dport: fence, seq: i }))),
      );
      await eventually(
        () => (arrivals(from, fence) === 2 ? true : undefined),
        () => 'the fence did not arrive',
      );
      await sleep(20);
      expect(arrivals(from, port)).toBe(1);
      expect(await related(raw.id, port)).toHaveLength(1);
    }
    await raw.close();
  });

  /** SYNs to a port that have come to the client's side. */
  function arrivals(from: number, port: number): number {
    return places.client.port.frames
      .slice(from)
      .filter(({ direction, tcp: segment }) => direction === 'in' && segment?.flags === 'S' && segment.dport === port)
      .length;
  }

  /** Related flows of a master and a port, once one was told. */
  async function related(master: string, port: number): Promise<Event[]> {
    const isOne = ({ flow }: { flow: RelatedFlow }): boolean =>
      flow.master === master && flow.destination.port === port;
    await stage.gateway.event('related.new', isOne);
    return stage.gateway.of('related.new').filter(isOne);
  }

  it('is not touched by SYNs of strangers to its port, nor by other packets', async () => {
    const raw = await openRaw();
    const port = stage.newPort();
    await raw.client.say(rawPort(port));
    await raw.expects(port);
    const ends = { ...places.server.link, dst: '10.77.1.99', dport: port, seq: 100 };
    await places.server.port.send(
      ...Array.from({ length: 200 }, (_, i) => tcp({ ...ends, src: `10.77.2.${i + 1}`, sport: 20, flags: 'S' })).filter(
        (_, i) => i !== 98,
      ),
      ...['SA', 'A', 'R', 'RA', 'F', 'FA', 'PA'].map((flags) => tcp({ ...ends, src: '10.77.2.99', sport: 20, flags })),
    );
    expect(await raw.server.opens(port)).toBe(true);
    expect(await related(raw.id, port)).toHaveLength(1);
    expect(raw.expected()).toEqual([port]);
    await raw.close();
  });
});

describe('the end of a control connection', () => {
  it('is a FIN of both sides: its expectation goes', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    const { id } = await session.active(port);
    await session.quit();
    expect(await endOf(id)).toBe('master-ended');
    expect(await endOfControl(session.id)).toBe('fin');
    await session.shutFromServer(port);
  });

  it.each(['client', 'server'] as const)('is an RST of the %s: its expectation goes', async (side) => {
    const session = await stage.session();
    const port = stage.newPort();
    const { id } = await session.active(port);
    await session[side].reset();
    expect(await endOf(id)).toBe('master-ended');
    expect(await endOfControl(session.id)).toBe('rst');
    await session.shutFromServer(port);
  });

  it('is not the FIN of one side: what was announced stays', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    await session.active(port);
    await session.client.end();
    await session.server.waitForEnd();
    expect((await session.find())?.state).toBe('closing');
    await session.dataFromServer(port);
    await session.server.end();
    expect(await endOfControl(session.id)).toBe('fin');
  });

  it('is not the FIN behind pipelined commands: the answer still announces', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    await session.say('PASV\r\nRETR big.iso\r\n');
    await session.client.end();
    await session.server.waitForEnd();
    await session.answer(passiveReply('ipv4', session.there, port));
    expect((await session.dataFromClient(port)).detail).toMatchObject({ command: 'RETR', argument: 'big.iso' });
  });

  it('leaves a related flow that runs alone', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    await session.passive(port);
    const listener = await stage.server.listen(port);
    const near = await stage.client.connect(session.there, port, { localAddress: session.here });
    const far = await listener.accept();
    await session.client.reset();
    await endOfControl(session.id);
    await far.write('still here\n');
    expect(await near.readLine()).toBe('still here');
    await near.write('yes\n');
    expect(await far.readLine()).toBe('yes');
    expect(await stage.gateway.flows({ kind: 'related' })).toContainEqual(
      expect.objectContaining({ master: session.id, state: 'established' }),
    );
    await near.end();
    await far.end();
    await listener.close();
  });

  const forged: [string, { flags: string; ahead: number }][] = [
    ['RST, one byte ahead', { flags: 'R', ahead: 1 }],
    ['RST, one byte behind', { flags: 'R', ahead: -1 }],
    ['RST, in the window', { flags: 'R', ahead: 20_000 }],
    ['RST, anywhere', { flags: 'R', ahead: 2 ** 31 }],
    ['RST|ACK, one byte ahead', { flags: 'RA', ahead: 1 }],
    ['RST|ACK, in the window', { flags: 'RA', ahead: 20_000 }],
    ['FIN|ACK, one byte ahead', { flags: 'FA', ahead: 1 }],
    ['FIN|ACK, one byte behind', { flags: 'FA', ahead: -1 }],
    ['FIN|ACK, in the window', { flags: 'FA', ahead: 20_000 }],
    ['FIN|ACK, anywhere', { flags: 'FA', ahead: 2 ** 31 }],
    ['FIN without ACK', { flags: 'F', ahead: 0 }],
  ];
  it.each(forged)('is no stranger’s %s, of either side', async (_name, { flags, ahead }) => {
    const raw = await openRaw();
    const first = stage.newPort();
    await raw.client.say(rawPort(first));
    await raw.expects(first);
    for (const end of [raw.client, raw.server]) await end.send({ flags, seq: end.next + ahead });
    await raw.client.say('NOOP\r\n');
    await raw.server.say('200 fine\r\n');
    expect(await raw.flow()).toMatchObject({ state: 'established', trust: 'ok' });
    expect(await raw.server.opens(first)).toBe(true);
    const second = stage.newPort();
    await raw.client.say(rawPort(second));
    await raw.expects(second);
    expect(await raw.server.opens(second)).toBe(true);
    await raw.close();
  });

  it('is not delayed by forged bytes far ahead: what comes in order is judged at once, also much later', async () => {
    const raw = await openRaw();
    const before = (await stage.gateway.client().status()).counters;
    for (const end of [raw.client, raw.server]) {
      await end.send({ flags: 'FA', seq: end.next + 9 }, { payload: 'x', seq: end.next + 40_000 });
    }
    // Longer than anybody waits for a lost segment.
    await sleep(2500);
    const port = stage.newPort();
    await raw.client.say(rawPort(port));
    await raw.expects(port);
    expect(await raw.server.opens(port)).toBe(true);
    const { counters } = await stage.gateway.client().status();
    expect(counters['hold-unattended']).toBe(before['hold-unattended']);
    await raw.close();
  });
});

describe('a control connection that was there before its assignment', () => {
  it('is never tracked; the next one is', async () => {
    const listener = await stage.listener(21);
    const client = await stage.client.connect(stage.lab.server.ipv4, 21);
    const server = await listener.accept();
    await server.write('220 ready\r\n');
    expect(await client.readLine()).toBe('220 ready');
    await stage.gateway.reload({ ...config, assignments: [...config.assignments, { helper: 'ftp', port: 21 }] });
    try {
      const port = stage.newPort();
      await client.write(`USER alice\r\nPORT ${hostPort(client.local.address, port)}\r\n`);
      await server.waitFor(/PORT .*\r\n/);
      expect((await stage.gateway.flows()).filter(({ destination }) => destination.port === 21)).toEqual([]);
      const session = await stage.session({ port: 21 });
      await session.active(port);
      expect((await session.dataFromServer(port)).assignment).toBe('ftp');
    } finally {
      await stage.gateway.reload(config);
    }
    await client.end();
    await server.end();
  });
});

describe('addresses and ports that are used again', () => {
  it.each(['fin', 'rst', 'reused'] as const)(
    'by a control connection right behind one that ended by %s: it is a new one',
    async (end) => {
      const first = await openRaw();
      const { client, server } = first;
      if (end === 'rst') {
        await client.send({ flags: 'RA' });
      } else {
        await client.send({ flags: 'FA' });
        await server.gets(({ flags }) => flags === 'FA');
        // Else one side has not closed: a SYN begins anew all the same.
        if (end === 'fin') await server.send({ flags: 'FA' });
      }
      if (end !== 'reused') expect(await endOfControl(first.id)).toBe(end);
      const isns = { clientIsn: 5_000_000, serverIsn: 6_000_000 };
      const second = RawConnection.ends(stage.gateway, places, { ...isns, clientPort: client.port });
      await second.handshake();
      await eventually(
        async () => ((await second.flow())?.state === 'established' ? true : undefined),
        () => stage.gateway.history(),
      );
      expect(await endOfControl(first.id)).toBe(end);
      second.id = (await second.flow())?.id ?? '';
      expect(second.id).not.toBe(first.id);
      await second.login();
      const port = stage.newPort();
      await second.client.say(rawPort(port));
      await second.expects(port);
      expect(await second.server.opens(port)).toBe(true);
      await second.close();
    },
  );

  it('by a data connection: each announcement of the same port makes a related flow, from port 20 each time', async () => {
    const raw = await openRaw();
    const port = stage.newPort();
    const flows = new Set<string>();
    for (let round = 0; round < 3; round++) {
      await raw.client.say(rawPort(port));
      await raw.server.say('200 fine\r\n');
      const opener = new RawEnd(places.server, 20, 1_000_000 * (round + 1));
      const waiter = new RawEnd(places.client, port, 77);
      [opener.peer, waiter.peer] = [waiter, opener];
      await opener.send({ flags: 'S', ack: 0 });
      await waiter.gets(({ flags }) => flags === 'S');
      opener.next += 1;
      waiter.expected = opener.next;
      await waiter.send({ flags: 'SA' });
      await opener.gets(({ flags }) => flags === 'SA');
      waiter.next += 1;
      opener.expected = waiter.next;
      await opener.say('some data');
      await opener.send({ flags: 'FA' });
      await waiter.gets(({ flags }) => flags === 'FA');
      await waiter.send({ flags: 'FA' });
      await opener.gets(({ flags }) => flags === 'FA');
      const { flow } = await stage.gateway.event(
        'related.end',
        ({ flow: { id, master } }) => master === raw.id && !flows.has(id),
      );
      flows.add(flow.id);
    }
    expect(flows.size).toBe(3);
    await raw.close();
  });
});

describe('after ten seconds', () => {
  it('closed flows are gone, which were there until then; a SYN that nobody answered gives its expectation back', async () => {
    const raw = await openRaw();
    const port = stage.newPort();
    await raw.client.say(rawPort(port));
    await raw.expects(port);
    expect(await raw.server.opens(port)).toBe(true);
    const session = await stage.session();
    const other = stage.newPort();
    await session.active(other);
    const { id } = await session.dataFromServer(other);
    await session.quit();
    await endOfControl(session.id);
    const states = async (): Promise<(string | undefined)[]> => {
      const flows = await stage.gateway.flows();
      return [id, session.id].map((one) => flows.find((flow) => flow.id === one)?.state);
    };
    expect(await states()).toEqual(['closed', 'closed']);
    await sleep(6000);
    expect(await states()).toEqual(['closed', 'closed']);
    await eventually(
      async () => ((await states()).every((state) => state === undefined) ? true : undefined),
      () => 'they are still there',
      12_000,
    );
    const unanswered = await stage.gateway.event('related.end', ({ flow }) => flow.master === raw.id, 10_000);
    expect(unanswered.reason).toBe('idle');
    await eventually(
      () => (raw.expected().length === 2 ? true : undefined),
      () => stage.gateway.history(),
    );
    expect(await raw.server.opens(port, 5556)).toBe(true);
    await raw.close();
  });
});

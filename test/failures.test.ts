// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { tcp } from '@relatd/lab';
import type { Expectation, Status } from '@relatd/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { passiveReply, Stage, type Session } from './support/dialogue.js';
import { defaultConfig, eventually, relatd } from './support/gateway.js';
import { openRawPlaces } from './support/rawConnection.js';
import { Transfer } from './support/transfer.js';

const { interfaces } = defaultConfig;
const assignments = [
  { name: 'ftp-2121', helper: 'ftp', port: 2121 },
  { name: 'brief', helper: 'ftp', port: 2122, limits: { expectation: '3s' } },
] as const;

/** By mark alone: every packet of a related flow shows that the datapath is at work. The daemon's end leaves it there. */
const open = (config: object = {}): Promise<Stage> =>
  Stage.open({}, { config: { interfaces, assignments, ...config }, firewall: 'mark-only', ephemeral: false });

/** Both ends write lines all the time; whatever happens meanwhile, every one has to arrive. */
async function linesWhile(sessions: readonly Session[], what: () => Promise<void>): Promise<number> {
  let over = false;
  let lines = 0;
  const talk = async (session: Session): Promise<void> => {
    while (!over) {
      await session.begin(`SIZE file${++lines}\r\n`);
      await session.beginAnswer(`213 ${lines}\r\n`);
      await sleep(10);
    }
    // Waits for all of them.
    await session.say('NOOP\r\n');
    await session.answer('200 fine\r\n');
  };
  const talks = sessions.map(talk);
  await sleep(100);
  await what();
  await sleep(200);
  over = true;
  await Promise.all(talks);
  return lines;
}

interface Decisions {
  readonly unheld: number;
  readonly released: number;
  readonly decided: number;
}

/** Announces both ways, with their data connections. Returns how the control packets went on meanwhile. */
async function serve(session: Session): Promise<Decisions> {
  const { gateway } = session.stage;
  const counters = async (): Promise<Decisions> => {
    const now = (await gateway.client().status()).counters;
    const { released, decided } = now;
    return { unheld: now['hold-unavailable'] + now['hold-unattended'], released, decided };
  };
  const before = await counters();
  for (const mode of ['passive', 'active'] as const) {
    const port = session.stage.newPort();
    await session[mode](port);
    if (mode === 'passive') await session.dataFromClient(port);
    else await session.dataFromServer(port);
  }
  const after = await counters();
  return {
    unheld: after.unheld - before.unheld,
    released: after.released - before.released,
    decided: after.decided - before.decided,
  };
}

/**
 * New announcements on this connection are decided before they go on, as ever: by the tables, or, if it is judged, held for
 * user space. Nobody else speaks meanwhile.
 */
async function isServed(session: Session): Promise<void> {
  await session.becomes('ok');
  // PASV and 227, PORT and 200.
  if (!session.judged) {
    expect(await serve(session)).toEqual({ unheld: 0, released: 0, decided: 4 });
    return;
  }
  // The first line after a pause tells the daemon that it is needed again; and a busy machine may keep it waiting once more.
  for (let attempt = 1; ; attempt++) {
    const { unheld, released, decided } = await serve(session);
    expect(decided).toBe(0);
    if (unheld === 0 && released >= 4) return;
    if (attempt === 4) expect({ unheld, released }).toEqual({ unheld: 0, released: 4 });
  }
}

/** What `relatd` says when no daemon runs. */
async function offline<T>(stage: Stage, command: string): Promise<T> {
  const { code, stdout, stderr } = await stage.gateway.relatd(
    command,
    '--json',
    '--netns',
    stage.gateway.namespace.path,
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as T;
}

describe('kill -9, hold.unavailable: pass', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await open();
  });
  afterAll(async () => stage.close());

  it('loses no line, no transfer and no expectation; the next daemon takes everything over', async () => {
    const sessions = [await stage.session(), await stage.session(), await stage.session({ judged: true })] as const;
    const [session, other, judged] = sessions;
    const transfer = await Transfer.begin(session);
    const [early, late, judgedEarly] = [stage.newPort(), stage.newPort(), stage.newPort()];
    await session.active(early);
    await other.active(late);
    await judged.active(judgedEarly);
    const expectation = (await other.expectations())[0];

    const lines = await linesWhile(sessions, () => stage.gateway.kill());
    expect(lines).toBeGreaterThan(20);

    // Nobody is there now.
    await transfer.goesOn();
    for (const each of sessions) {
      await each.say('NOOP\r\n');
      await each.answer('200 fine\r\n');
    }
    const before = await offline<Status>(stage, 'status');
    expect(before).toMatchObject({ running: false, pid: null });
    expect(before.counters['hold-unavailable']).toBeGreaterThan(0);
    expect(before.counters['sample-lost']).toBe(0);
    expect(await offline<Expectation[]>(stage, 'expectations')).toMatchObject([
      { destination: { port: early } },
      { id: expectation?.id, destination: { port: late } },
      { destination: { port: judgedEarly } },
    ]);
    // What was announced before is known to the kernel.
    const listener = await stage.client.listen(early, session.here);
    const data = await stage.server.connect(session.here, early, { localAddress: session.there });
    const far = await listener.accept();
    await data.write('by the kernel alone\n');
    expect(await far.readLine()).toBe('by the kernel alone');
    await judged.reach('active', judgedEarly);
    // What is announced now is expected, and only user space could judge what it was left to judge: that arrives unexpected.
    const [passive, active, waiting] = [stage.newPort(), stage.newPort(), stage.newPort()];
    await session.announce('passive', passive);
    await session.reach('passive', passive);
    await session.announce('active', active);
    await session.reach('active', active);
    await session.announce('active', waiting);
    const unheard = stage.newPort();
    await judged.announce('passive', unheard);
    await judged.shutFromClient(unheard);

    await stage.gateway.start();
    expect(await stage.gateway.flows({ kind: 'related' })).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          master: session.id,
          destination: { address: session.there, port: transfer.far.local.port },
        }),
        expect.objectContaining({ master: session.id, destination: { address: session.here, port: early } }),
        expect.objectContaining({ master: judged.id, destination: { address: judged.here, port: judgedEarly } }),
        expect.objectContaining({ master: session.id, destination: { address: session.there, port: passive } }),
        expect.objectContaining({ master: session.id, destination: { address: session.here, port: active } }),
      ]),
    );
    expect(await session.expectations()).toMatchObject([{ destination: { port: waiting } }]);
    await session.dataFromServer(waiting);
    expect(await judged.expectations()).toEqual([]);
    expect(judged.expected()).not.toContain(unheard);
    expect(await other.expectations()).toMatchObject([{ id: expectation?.id, destination: { port: late } }]);
    await other.dataFromServer(late);
    for (const each of sessions) await isServed(each);
    await transfer.goesOn();
    await data.end();
    await far.end();
    for (const each of sessions) await each.quit();
    await stage.gateway.event('control.end', ({ flow }) => flow.id === session.id);
  });

  it('a restart in the middle of lines: none is lost', async () => {
    const sessions = [
      await stage.session(),
      await stage.session({ judged: true }),
      await stage.session({ judged: true }),
    ];
    await linesWhile(sessions, async () => {
      for (let round = 0; round < 3; round++) {
        await stage.gateway.kill();
        await stage.gateway.start();
      }
    });
    for (const session of sessions) await isServed(session);
  });

  it('an expectation’s time goes on with no daemon, and nothing matches it when it is over', async () => {
    const session = await stage.session({ port: 2122 });
    const later = await stage.session({ port: 2122 });
    const [port, other] = [stage.newPort(), stage.newPort()];
    await session.active(other);
    await session.dataFromServer(other);
    await session.active(port);
    await stage.gateway.kill();
    const meanwhile = stage.newPort();
    await later.announce('active', meanwhile);
    const used = async (): Promise<number | undefined> =>
      (await offline<Status>(stage, 'status')).tables.find(({ name }) => name === 'expectations')?.used;
    expect(await used()).toBeGreaterThan(1);
    // Nobody asks for it: it is the sweep that takes it out of the table.
    await eventually(
      async () => ((await used()) === 0 ? true : undefined),
      () => 'it is still there',
      15_000,
    );
    await session.shutFromServer(port);
    await later.shutFromServer(meanwhile);
    await stage.gateway.start();
  });

  it('lines wait for nobody from that moment on: not one segment is sent twice', async () => {
    const sessions = [await stage.session(), await stage.session({ judged: true })];
    await stage.gateway.kill();
    for (const session of sessions) {
      // Of these two sockets: others may still have something to repeat.
      const { port } = session.client.local;
      const again = async (): Promise<string[]> => {
        const client = await stage.lab.client.run('ss', ['-tinH', `sport = :${port}`]);
        const server = await stage.lab.server.run('ss', ['-tinH', `dport = :${port}`]);
        return [client, server].map((text) => /bytes_retrans:\d+/.exec(text)?.[0] ?? 'none');
      };
      const before = await again();
      for (let i = 0; i < 10; i++) {
        await session.say(`SIZE file${i}\r\n`);
        await session.answer('213 5\r\n');
      }
      expect(await again()).toEqual(before);
    }
    await stage.gateway.start();
    for (const session of sessions) await isServed(session);
  });

  it('a control connection that began while nobody was there is tracked, decided, and shown by the next daemon', async () => {
    await stage.gateway.kill();
    const listener = await stage.listener(2121);
    const address = await stage.newAddress();
    const there = stage.lab.server.ipv4;
    const client = await stage.client.connect(there, 2121, { localAddress: address });
    const server = await listener.accept();
    const talk = async (...dialogue: string[]): Promise<void> => {
      for (const [at, line] of dialogue.entries()) {
        const [from, to] = at % 2 === 0 ? [server, client] : [client, server];
        await from.write(`${line}\r\n`);
        expect(await to.readLine()).toBe(line);
      }
    };
    const data = async (port: number): Promise<void> => {
      const waiting = await stage.server.listen(port);
      const near = await stage.client.connect(there, port, { localAddress: address });
      const far = await waiting.accept();
      await near.write('through\n');
      expect(await far.readLine()).toBe('through');
      await near.end();
      await far.end();
      await waiting.close();
    };
    const passive = (port: number): string => passiveReply('ipv4', there, port).trimEnd();
    const [early, late, next] = [stage.newPort(), stage.newPort(), stage.newPort()];
    await talk(
      '220 ready',
      'USER alice',
      '331 password',
      'PASS sesame',
      '230 in',
      'PASV',
      passive(early),
      'RETR a.txt',
    );
    await data(early);
    await talk('150 here', 'NOOP', '226 done', 'PASV', passive(late));
    await stage.gateway.start();
    const flow = await eventually(
      async () => (await stage.gateway.flows()).find(({ source }) => source.port === client.local.port),
      () => 'it is not there',
    );
    expect(flow).toMatchObject({ kind: 'control', assignment: 'ftp-2121', state: 'established', trust: 'ok' });
    const expected = (await stage.gateway.expectations()).filter(({ master }) => master === flow.id);
    expect(expected).toMatchObject([{ destination: { address: there, port: late } }]);
    // Samples were kept for whoever comes: what was done is known, too.
    const related = (await stage.gateway.flows({ kind: 'related' })).find(
      ({ destination }) => destination.port === early,
    );
    expect(related).toMatchObject({
      master: flow.id,
      detail: { user: 'alice', command: 'RETR', argument: 'a.txt' },
    });
    await data(late);
    await client.write('PASV\r\n');
    expect(await server.readLine()).toBe('PASV');
    await server.write(`${passive(next)}\r\n`);
    expect(await client.readLine()).toBe(passive(next));
    await data(next);
    const { flow: last } = await stage.gateway.event('related.new', (event) => event.flow.destination.port === next);
    expect(last.master).toBe(flow.id);
    await client.end();
    await server.end();
  });
});

describe('kill -9, hold.unavailable: drop', () => {
  it('stops lines that user space has to judge until the next daemon has, and nothing else', async () => {
    await using stage = await open({ hold: { unavailable: 'drop' } });
    const session = await stage.session({ judged: true });
    const decided = await stage.session();
    const transfer = await Transfer.begin(session);
    await stage.gateway.kill();
    const port = stage.newPort();
    await session.begin(session.port(port));
    const other = stage.newPort();
    await decided.announce('active', other);
    await decided.reach('active', other);
    await sleep(1000);
    expect(session.server.received).not.toContain('PORT');
    await transfer.goesOn();
    expect((await offline<Status>(stage, 'status')).counters['hold-unavailable']).toBeGreaterThan(0);
    await stage.gateway.start();
    await session.say('NOOP\r\n');
    await session.expects(port);
    await session.dataFromServer(port);
    await isServed(session);
    await isServed(decided);
    await transfer.goesOn();
  });
});

describe('a daemon that hangs', () => {
  let stage: Stage;
  beforeAll(async () => {
    const { env } = process;
    const before = env['NODE_OPTIONS'];
    // The daemon cannot be asked to hang: it gets a signal that makes its event loop turn for two seconds.
    const code = `process.on('SIGUSR2', () => { for (const end = Date.now() + 2000; Date.now() < end; ); })`;
    env['NODE_OPTIONS'] = `--import data:text/javascript,${encodeURIComponent(code)}`;
    try {
      stage = await open();
    } finally {
      if (before === undefined) delete env['NODE_OPTIONS'];
      else env['NODE_OPTIONS'] = before;
    }
  });
  afterAll(async () => {
    stage.gateway.daemon.kill('SIGCONT');
    await stage.close();
  });

  const hangs: [string, () => Promise<void>][] = [
    [
      'stopped for two seconds',
      async () => {
        stage.gateway.daemon.kill('SIGSTOP');
        await sleep(2000);
        stage.gateway.daemon.kill('SIGCONT');
      },
    ],
    [
      'in a busy loop for two seconds',
      async () => {
        stage.gateway.daemon.kill('SIGUSR2');
        await sleep(2000);
      },
    ],
    [
      'stopped again and again for just longer than it is waited for',
      async () => {
        for (let round = 0; round < 5; round++) {
          stage.gateway.daemon.kill('SIGSTOP');
          await sleep(250);
          stage.gateway.daemon.kill('SIGCONT');
          await sleep(50);
        }
      },
    ],
  ];
  it.each(hangs)('%s: every line arrives, transfers go on, and then it is as before', async (_name, hang) => {
    const sessions = [
      await stage.session({ judged: true }),
      await stage.session(),
      await stage.session({ judged: true }),
    ] as const;
    const [session] = sessions;
    const transfer = await Transfer.begin(session);
    const before = (await stage.gateway.client().status()).counters['hold-unattended'];
    await linesWhile(sessions, async () => {
      const hanging = hang();
      await sleep(50);
      await transfer.goesOn();
      await hanging;
    });
    expect((await stage.gateway.client().status()).counters['hold-unattended']).toBeGreaterThan(before);
    await transfer.goesOn();
    for (const each of sessions) await isServed(each);
  });

  it('lines arrive while it hangs, not only afterwards, also of a connection that is judged', async () => {
    const sessions = [await stage.session(), await stage.session({ judged: true })];
    stage.gateway.daemon.kill('SIGSTOP');
    try {
      for (const session of sessions) {
        await session.say('NOOP\r\n');
        await session.answer('200 fine\r\n');
      }
    } finally {
      stage.gateway.daemon.kill('SIGCONT');
    }
    for (const session of sessions) await isServed(session);
  });

  it('what the tables decide does not notice: announcements are expected, also of a connection that begins then', async () => {
    const session = await stage.session();
    const listener = await stage.listener(2121);
    const [passive, active, port] = [stage.newPort(), stage.newPort(), stage.newPort()];
    stage.gateway.daemon.kill('SIGSTOP');
    try {
      await session.announce('passive', passive);
      await session.reach('passive', passive);
      await session.announce('active', active);
      await session.reach('active', active);
      const client = await stage.client.connect(session.there, 2121);
      const server = await listener.accept();
      await server.write('220 ready\r\n');
      expect(await client.readLine()).toBe('220 ready');
      await client.write('USER alice\r\n');
      expect(await server.readLine()).toBe('USER alice');
      await client.write('EPSV\r\n');
      expect(await server.readLine()).toBe('EPSV');
      await server.write(`331 password\r\n${passiveReply('ipv6', '', port)}`);
      await client.waitFor(/229 .*\r\n/);
      const waiting = await stage.server.listen(port);
      const data = await stage.client.connect(session.there, port);
      await waiting.accept();
      await data.end();
      await client.end();
      await server.waitForEnd();
      await server.end();
    } finally {
      stage.gateway.daemon.kill('SIGCONT');
    }
    for (const each of [passive, active, port])
      await stage.gateway.event('related.new', ({ flow }) => flow.destination.port === each);
    await isServed(session);
  });

  it('with hold.unavailable: drop what is judged arrives when it is back, and what the tables decide at once', async () => {
    await using strict = await open({ hold: { unavailable: 'drop' } });
    const session = await strict.session({ judged: true });
    const decided = await strict.session();
    strict.gateway.daemon.kill('SIGSTOP');
    try {
      await session.begin('NOOP\r\n');
      await decided.say('NOOP\r\n');
      await decided.answer('200 fine\r\n');
      await sleep(1200);
      expect(session.server.received).not.toContain('NOOP');
    } finally {
      strict.gateway.daemon.kill('SIGCONT');
    }
    await session.say('NOOP\r\n');
    await isServed(session);
    await isServed(decided);
  });
});

describe('events that nobody could read', () => {
  it('are counted and told: no event is missing without a word', async () => {
    await using stage = await open();
    const places = await openRawPlaces(stage.lab);
    const connections = 12_000;
    stage.gateway.daemon.kill('SIGSTOP');
    const ends = (i: number) => ({
      ...places.client.link,
      src: '10.77.1.99',
      dst: '10.77.2.99',
      sport: 10_000 + i,
      dport: 2121,
    });
    const back = (i: number) => ({
      ...places.server.link,
      src: '10.77.2.99',
      dst: '10.77.1.99',
      sport: 2121,
      dport: 10_000 + i,
    });
    for (let at = 0; at < connections; at += 2000) {
      const numbers = Array.from({ length: 2000 }, (_, i) => at + i);
      await places.client.port.send(...numbers.map((i) => tcp({ ...ends(i), flags: 'S', seq: 100 })));
      await places.server.port.send(...numbers.map((i) => tcp({ ...back(i), flags: 'SA', seq: 500, ack: 101 })));
      await places.client.port.send(
        ...numbers.flatMap((i) => [tcp({ ...ends(i), seq: 101, ack: 501 }), tcp({ ...ends(i), flags: 'R', seq: 101 })]),
      );
    }
    stage.gateway.daemon.kill('SIGCONT');
    const told = (): number => {
      const lost = stage.gateway.of('lost').reduce((sum, { count }) => sum + count, 0);
      return stage.gateway.of('control.new').length + stage.gateway.of('control.end').length + lost;
    };
    await stage.gateway.event('lost', () => true, 10_000);
    await eventually(
      () => (told() === 2 * connections ? true : undefined),
      () => `${told()} of ${2 * connections}`,
      10_000,
    );
    const { losses } = await stage.gateway.client().status();
    expect(losses.events).toBeGreaterThan(0);
    // It goes on after that.
    await isServed(await stage.session());
  });
});

describe('a second daemon in the same namespace', () => {
  it('says so in one line and leaves; the first one does not notice', async () => {
    await using stage = await open();
    const session = await stage.session();
    const args = ['up', '-c', stage.gateway.configPath, '--netns', stage.gateway.namespace.path];
    for (const socket of [stage.gateway.socketPath, `${stage.gateway.socketPath}.2`]) {
      const { code, stdout, stderr } = await relatd([...args, '--socket', socket]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^relatd: [^\n]+\n$/);
      expect(stderr).toMatch(/another relatd .* serves/);
    }
    await isServed(session);
    expect((await stage.gateway.client().status()).pid).toBe(stage.gateway.daemon.pid);
  });
});

describe('a full table', () => {
  it('of flows refuses what is new, and keeps what is there', async () => {
    await using stage = await open({ limits: { flows: 3 }, idle: { closed: '1s' } });
    const first = await stage.session();
    const transfer = await Transfer.begin(first);
    const second = await stage.session();
    const listener = await stage.listener(2121);
    const client = await stage.client.connect(first.there, 2121);
    const server = await listener.accept();
    await server.write('220 ready\r\n');
    expect(await client.readLine()).toBe('220 ready');
    const ids = (await stage.gateway.flows()).map(({ id }) => id);
    expect(ids).toHaveLength(3);
    // A data connection finds no place either; its expectation stays, and serves when there is one.
    const port = stage.newPort();
    await second.active(port);
    await second.shutFromServer(port);
    expect(await second.expectations()).toHaveLength(1);
    expect((await stage.gateway.client().status()).counters['flows-full']).toBeGreaterThan(1);
    expect((await stage.gateway.flows()).map(({ id }) => id)).toEqual(ids);
    await transfer.goesOn();
    await transfer.near.end();
    await transfer.far.end();
    await eventually(
      async () => ((await stage.gateway.flows()).length === 2 ? true : undefined),
      () => 'the closed flow is still there',
      10_000,
    );
    await second.dataFromServer(port);
    await client.end();
    await server.end();
  });

  it('of expectations refuses what is new, and keeps what is there', async () => {
    await using stage = await open({ limits: { expectations: 2 } });
    const sessions = [await stage.session(), await stage.session(), await stage.session()] as const;
    const ports = sessions.map(() => stage.newPort()) as [number, number, number];
    await sessions[0].active(ports[0]);
    await sessions[1].active(ports[1]);
    await sessions[2].say(sessions[2].port(ports[2]));
    await sessions[2].refused('expectations-full');
    await sessions[2].expectsNothing();
    await sessions[2].shutFromServer(ports[2]);
    await sessions[0].dataFromServer(ports[0]);
    await sessions[2].active(ports[2]);
    await sessions[2].dataFromServer(ports[2]);
    await sessions[1].dataFromServer(ports[1]);
  });
});

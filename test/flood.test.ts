// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { RawPort, tcp, type PeerConnection, type PeerListener } from '@relatd/lab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { passiveReply, Stage, type Session } from './support/dialogue.js';
import { defaultConfig, eventually } from './support/gateway.js';

const config = {
  interfaces: defaultConfig.interfaces,
  assignments: [{ name: 'ftp-2121', helper: 'ftp', port: 2121 }],
};

/** Answers every log-in, until nobody comes any more. The n-th PASV gets port 20000 + n. */
async function serveAll(listener: PeerListener, address: string): Promise<void> {
  let port = 20_000;
  const answers: Record<string, () => string> = {
    USER: () => '331 password\r\n',
    PASS: () => '230 in\r\n',
    PASV: () => passiveReply('ipv4', address, port++),
  };
  const serve = async (connection: PeerConnection): Promise<void> => {
    await connection.write('220 ready\r\n');
    for (let i = 0; i < 3; i++) {
      const verb = (await connection.readLine(30_000)).slice(0, 4);
      await connection.write(answers[verb]?.() ?? '500 what?\r\n');
    }
  };
  for (;;) {
    const connection = await listener.accept(60_000).catch(() => undefined);
    if (connection === undefined) return;
    serve(connection).catch(() => undefined);
  }
}

describe('100,000 spoofed SYNs on an assigned port, 100 ms round trip time', () => {
  const logins = 200;
  const spoofed = 100_000;
  let stage: Stage;

  beforeAll(async () => {
    // No connection tracking: its table would be full of the flood.
    stage = await Stage.open({ rttMs: 100 }, { config, firewall: 'mark-only' });
    // The server's answers go somewhere: to the client, who throws them away.
    await stage.lab.gateway.run('ip', ['route', 'add', '198.18.0.0/15', 'via', stage.lab.client.ipv4]);
  });
  afterAll(async () => stage.close());

  it('during 200 honest log-ins: all 200 are tracked and expected, nobody else is, and who was there before stays', async () => {
    const early = await stage.session();
    const before = stage.gateway.of('control.new').length;
    void serveAll(await stage.listener(2121), early.there);
    await using port = await RawPort.open(stage.lab.client, 'eth0', { quiet: true });
    const link = {
      sourceMac: await stage.lab.mac(stage.lab.client),
      destinationMac: await stage.lab.mac(stage.lab.gateway, 'eth0'),
    };

    const flood = { sent: 0, over: false };
    const send = async (): Promise<void> => {
      const batch = 500;
      for (; flood.sent < spoofed; flood.sent += batch) {
        const frames = Array.from({ length: batch }, (_, i) => {
          const n = flood.sent + i;
          const src = `198.${18 + (n & 1)}.${(n >> 9) & 0xff}.${(n >> 1) & 0xff}`;
          return tcp({ ...link, src, dst: early.there, sport: 1024 + (n % 60_000), dport: 2121, seq: n, flags: 'S' });
        });
        await port.send(...frames);
        await sleep(25);
      }
      flood.over = true;
    };

    const during: boolean[] = [];
    const failed: string[] = [];
    const login = async (address: string): Promise<string> => {
      for (;;) {
        const connection = await stage.client.connect(early.there, 2121, { localAddress: address, timeoutMs: 30_000 });
        const name = `${address} ${connection.local.port}`;
        const ask = async (line: string): Promise<string> => {
          await connection.write(line);
          return connection.readLine(30_000);
        };
        const greeting = await connection.readLine(2000).catch(() => undefined);
        if (greeting === undefined) {
          // The handshake's last ACK was lost in the flood, and a server that answers by SYN cookies knows nothing then.
          failed.push(name);
          await connection.reset();
          continue;
        }
        expect(greeting).toBe('220 ready');
        expect(await ask('USER alice\r\n')).toBe('331 password');
        expect(await ask('PASS sesame\r\n')).toBe('230 in');
        expect(await ask('PASV\r\n')).toMatch(/^227 /);
        during.push(!flood.over);
        return name;
      }
    };
    const addresses = await Promise.all(Array.from({ length: 25 }, () => stage.newAddress()));
    const flooding = send();
    const honest = (
      await Promise.all(
        addresses.map(async (address) => {
          const done: string[] = [];
          for (let i = 0; i < logins / addresses.length; i++) done.push(await login(address));
          return done;
        }),
      )
    ).flat();
    await flooding;
    // Else this proves nothing.
    expect(during.filter(Boolean).length).toBeGreaterThan(logins / 2);

    await eventually(
      () => (stage.gateway.of('expectation.new').length >= logins ? true : undefined),
      () =>
        `${stage.gateway.of('control.new').length - before} tracked, ${stage.gateway.of('expectation.new').length} expected`,
      10_000,
    );
    const tracked = stage.gateway
      .of('control.new')
      .slice(before)
      .map(({ flow: { source } }) => `${source.address} ${source.port}`);
    expect(tracked.filter((name) => !failed.includes(name)).sort()).toEqual(honest.sort());
    expect(stage.gateway.of('expectation.new')).toHaveLength(logins);
    expect(stage.gateway.of('lost')).toEqual([]);
    // Of those that did not answer nothing is kept but embryos.
    const { tables } = await stage.gateway.client().status();
    expect(tables.find(({ name }) => name === 'flows')?.used).toBe(tracked.length + 1);
    expect((await early.find())?.trust).toBe('ok');
    const passive = stage.newPort();
    await early.say(early.port(passive));
    await early.dataFromServer(passive);
  });
});

describe('spoofed SYNs on ports that are expected', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open({}, { config, firewall: 'mark-only' });
  });
  afterAll(async () => stage.close());

  it('of strangers, 20,000 of them, match nothing', async () => {
    const sessions: Session[] = [];
    for (let i = 0; i < 10; i++) sessions.push(await stage.session());
    const ports = sessions.map(() => stage.newPort());
    for (const [i, session] of sessions.entries()) await session.passive(ports[i] ?? 0);
    await using port = await RawPort.open(stage.lab.client, 'eth0', { quiet: true });
    const link = {
      sourceMac: await stage.lab.mac(stage.lab.client),
      destinationMac: await stage.lab.mac(stage.lab.gateway, 'eth0'),
    };
    for (let round = 0; round < 20; round++) {
      const frames = Array.from({ length: 1000 }, (_, i) =>
        tcp({
          ...{ ...link, src: `10.77.1.${200 + (i % 50)}`, dst: stage.lab.server.ipv4, flags: 'S' },
          ...{ sport: 1024 + 50 * round + i, dport: ports[i % ports.length] ?? 0 },
        }),
      );
      await port.send(...frames);
    }
    for (const [i, session] of sessions.entries()) {
      expect((await session.dataFromClient(ports[i] ?? 0)).master).toBe(session.id);
    }
    expect(stage.gateway.of('related.new')).toHaveLength(sessions.length);
  });

  it('in the name of the client himself: who is not answered for gives the expectation back, once', async () => {
    const session = await stage.session();
    const port = stage.newPort();
    await session.passive(port);
    const listener = await stage.server.listen(port);
    await using raw = await RawPort.open(stage.lab.client, 'eth0', { quiet: true });
    const link = {
      sourceMac: await stage.lab.mac(stage.lab.client),
      destinationMac: await stage.lab.mac(stage.lab.gateway, 'eth0'),
    };
    const spoof = (sport: number): Promise<void> =>
      raw.send(tcp({ ...link, src: session.here, dst: session.there, sport, dport: port, flags: 'S', seq: 1 }));
    await spoof(1025);
    // The server accepts; the client knows nothing of it and resets.
    await eventually(
      () => (session.expected().length === 2 ? true : undefined),
      () => stage.gateway.history(),
    );
    await listener.close();
    await session.dataFromClient(port);
    expect(session.expected()).toEqual([port, port]);
    await session.shutFromClient(port);
  });
});

describe('a client that talks without end', () => {
  it('keeps nobody else waiting, and is heard itself', async () => {
    await using stage = await Stage.open({}, { config });
    const [loud, quiet] = [await stage.session(), await stage.session()];
    const block = 'SIZE some/file/with/a/name\r\n'.repeat(2000);
    let over = false;
    let talked = 0;
    const talk = async (): Promise<void> => {
      while (!over) {
        await loud.begin(block);
        talked++;
        await eventually(
          () => (loud.server.received.length > (talked - 4) * block.length ? true : undefined),
          () => 'it is not heard any more',
          8000,
        );
      }
    };
    const talking = talk();
    const { counters } = await stage.gateway.client().status();
    for (let i = 0; i < 20; i++) {
      const port = stage.newPort();
      await quiet.passive(port);
      await quiet.dataFromClient(port);
    }
    over = true;
    await talking;
    expect(talked).toBeGreaterThan(3);
    await loud.say('NOOP\r\n');
    const last = stage.newPort();
    await loud.active(last);
    await loud.dataFromServer(last);
    expect((await stage.gateway.client().status()).counters.held).toBeGreaterThan(counters.held);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { fragments, Lab, openRawPlace, Peer, tcp, udp, type RawPlace, type TcpOptions } from '@relatd/lab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Gateway } from './support/gateway.js';
import { mustDownload, serve, ways } from './support/session.js';

const passivePorts = { from: 49152, to: 49251 };
const guardedPort = 49200;
const openPort = 48000;

/** Addresses of the client's subnets that no kernel has. */
const silent = { ipv4: '10.77.1.99', ipv6: 'fd77:1::99' } as const;
const families = ['ipv4', 'ipv6'] as const;

describe('guard in front of the passive ports of a server on this host, without any firewall', () => {
  let lab: Lab;
  let gateway: Gateway;
  let peer: Peer;
  const places: Partial<Record<(typeof families)[number], RawPlace>> = {};

  const config = (guarded: boolean): object => ({
    interfaces: ['eth0'],
    assignments: [{ name: 'ftp-2121', helper: 'ftp', port: 2121 }],
    guard: guarded
      ? [
          { to: lab.server.ipv4, ports: '49152-49251' },
          { to: lab.server.ipv6, ports: '49152-49251' },
        ]
      : [],
  });

  beforeAll(async () => {
    lab = await Lab.create();
    gateway = await startGateway(lab, { firewall: 'none', namespace: lab.server, config: config(true) });
    await serve(lab.server, { passivePorts });
    peer = await Peer.start(lab.server);
    // Something listens there that no announcement is about: what gets through is answered.
    await peer.listen(guardedPort);
    await peer.listen(openPort);
    for (const family of families) places[family] = await openRawPlace(lab, lab.client, silent[family]);
  });
  afterAll(async () => {
    await Promise.all(Object.values(places).map((place) => place.port.close()));
    try {
      await gateway.close();
    } finally {
      await lab.close();
    }
  });

  const placeOf = (family: (typeof families)[number]): RawPlace => {
    const place = places[family];
    if (place === undefined) throw new Error('no place outside a test');
    return place;
  };

  let sport = 20_000;
  /** Sends a SYN, whole or cut, and says whether the server answers it. */
  const knock = async (
    family: (typeof families)[number],
    over: Partial<TcpOptions> = {},
    cut: (packet: Uint8Array) => Uint8Array[] = (packet) => [packet],
  ): Promise<'answered' | 'silence'> => {
    const { port, address, link } = placeOf(family);
    const own = ++sport;
    const syn = tcp({
      ...{ src: address, dst: lab.server[family], sport: own, dport: guardedPort, seq: 77, flags: 'S', ...link },
      ...over,
    });
    await port.send(...cut(syn));
    const answer = await port.find((frame) => frame.direction === 'in' && frame.tcp?.dport === own, 700);
    return answer === undefined ? 'silence' : 'answered';
  };
  const dropped = async (): Promise<{ guard: number; fragments: number }> => {
    const { counters } = await gateway.client().status();
    return { guard: counters.guard, fragments: counters['guard-fragment'] };
  };

  it.each(ways)('FTP works: $family, $mode, extended: $extended', async ({ family, mode, extended }) => {
    await mustDownload(gateway, lab.client, { server: lab.server[family], mode, extended });
    expect(gateway.of('guard.drop')).toEqual([]);
  });

  it.each(families)('%s: a SYN that nobody announced is dropped, with an event', async (family) => {
    const before = await dropped();
    expect(await knock(family)).toBe('silence');
    expect((await dropped()).guard).toBe(before.guard + 1);
    const event = await gateway.event('guard.drop', ({ flow }) => flow.source.address === silent[family]);
    expect(event).toMatchObject({
      reason: 'guard',
      count: 1,
      flow: {
        ...{ protocol: 'tcp', interface: 'eth0', assignment: null, detail: null },
        ...{ source: { port: sport }, destination: { address: lab.server[family], port: guardedPort } },
      },
    });
    // The same SYN to a port that is not guarded: the probe itself is good.
    expect(await knock(family, { dport: openPort })).toBe('answered');
  });

  it.each(families)('%s: many of one source are one event a second, with their count', async (family) => {
    const before = gateway.of('guard.drop').length;
    const { port, address, link } = placeOf(family);
    const syns = Array.from({ length: 50 }, (_, at) =>
      tcp({ src: address, dst: lab.server[family], sport: 1000 + at, dport: guardedPort, flags: 'S', ...link }),
    );
    await port.send(...syns);
    // What was left out in that second is in the count of the next event.
    await sleep(1500);
    expect(await knock(family)).toBe('silence');
    const counts = (): number[] =>
      gateway
        .of('guard.drop')
        .slice(before)
        .map(({ count }) => count);
    await expect.poll(() => counts().reduce((sum, count) => sum + count, 0)).toBe(51);
    expect(counts().length).toBeLessThanOrEqual(4);
  });

  it.each(families)('%s: a SYN in two IP fragments does not get through', async (family) => {
    const before = await dropped();
    const inTwo = cutSyn(family);
    expect(await knock(family, inTwo.over, inTwo.cut)).toBe('silence');
    // In the other order too: the first fragment alone says which port it is for.
    expect(await knock(family, inTwo.over, (packet) => inTwo.cut(packet).reverse())).toBe('silence');
    expect((await dropped()).fragments).toBe(before.fragments + 4);
    // The ports in one fragment, the flags in another.
    expect(await knock(family, inTwo.over, (packet) => fragments(packet, 8, { id: sport }))).toBe('silence');
    await gateway.event('guard.drop', ({ reason }) => reason === 'guard-fragment');
  });

  it('IPv6: a SYN behind extension headers is dropped as any other', async () => {
    const chains: TcpOptions['extensions'][] = [
      [{ kind: 'hop-by-hop' }],
      [{ kind: 'destination' }, { kind: 'destination' }],
      [{ kind: 'fragment' }],
      Array.from({ length: 20 }, () => ({ kind: 'destination' }) as const),
    ];
    for (const extensions of chains) expect(await knock('ipv6', { extensions: extensions ?? [] })).toBe('silence');
  });

  it('SYN with further flags is dropped; segments without SYN, and UDP, are not touched', async () => {
    expect(await knock('ipv4', { flags: 'SP' })).toBe('silence');
    expect(await knock('ipv4', { flags: 'SEC' })).toBe('silence');
    expect(await knock('ipv4', { flags: 'SF' })).toBe('silence');
    // Resets are how a server answers segments of no connection.
    expect(await knock('ipv4', { flags: 'A' })).toBe('answered');
    expect(await knock('ipv6', { flags: 'A' })).toBe('answered');
    for (const family of families) {
      const before = await dropped();
      await using echo = await lab.server.spawn(process.execPath, ['-e', echoScript(family)]);
      await echo.waitFor(/ready/);
      const { port, address, link } = placeOf(family);
      const datagram = udp({
        ...{ src: address, dst: lab.server[family], sport: 5555, dport: guardedPort, payload: 'hello', ...link },
      });
      await port.send(datagram);
      const answered = await port.find((frame) => frame.direction === 'in' && frame.udp?.dport === 5555, 3000);
      expect(answered?.udp && Buffer.from(answered.udp.payload).toString()).toBe('hello');
      expect(await dropped()).toEqual(before);
    }
  });

  it('what the host itself opens from a guarded port gets its answers', async () => {
    const client = await Peer.start(lab.client);
    const listener = await client.listen(7000);
    for (const family of families) {
      const from = { localAddress: lab.server[family], localPort: guardedPort + 1 };
      await peer.connect(lab.client[family], 7000, from);
      await listener.accept();
    }
    await client.close();
  });

  it('holds while no daemon runs, and ends by a reload without it', async () => {
    await gateway.reload(config(false));
    expect(await knock('ipv4')).toBe('answered');
    for (const family of families) {
      const { over, cut } = cutSyn(family);
      expect(await knock(family, over, cut)).toBe('answered');
    }
    await gateway.reload(config(true));
    expect(await knock('ipv4')).toBe('silence');
    await gateway.kill();
    expect(await knock('ipv4')).toBe('silence');
    expect(await knock('ipv6')).toBe('silence');
    await gateway.start();
    expect(await knock('ipv4')).toBe('silence');
  });
});

/** A SYN in two fragments that the server puts together: for IPv6 the first must have the whole TCP header (RFC 8200, 4.5). */
function cutSyn(family: (typeof families)[number]): {
  over: Partial<TcpOptions>;
  cut: (packet: Uint8Array) => Uint8Array[];
} {
  let id = 100;
  return family === 'ipv4'
    ? { over: {}, cut: (packet) => fragments(packet, 16, { id: ++id }) }
    : { over: { payload: 'x'.repeat(16) }, cut: (packet) => fragments(packet, 24, { id: ++id }) };
}

/** Sends every datagram back. */
function echoScript(family: (typeof families)[number]): string {
  return `const socket = require('node:dgram').createSocket({ type: '${family === 'ipv4' ? 'udp4' : 'udp6'}' });
    socket.on('message', (data, from) => socket.send(data, from.port, from.address));
    socket.bind(${guardedPort}, () => console.log('ready'));`;
}

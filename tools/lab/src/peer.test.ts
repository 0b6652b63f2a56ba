// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Lab } from './lab.js';
import { Peer } from './peer.js';
import { RawPort } from './rawPort.js';
import { openRawPlace, RawTcp } from './rawTcp.js';
import { fragments } from './fragment.js';
import { tcp, udp } from './packet.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const root = process.getuid?.() === 0;
if (!root) console.warn('skipped: peers and raw packets, which need root');

describe.skipIf(!root)('in a lab', () => {
  let lab: Lab;
  let client: Peer;
  let server: Peer;

  beforeAll(async () => {
    lab = await Lab.create({ bridge: true });
    [client, server] = await Promise.all([Peer.start(lab.client), Peer.start(lab.server)]);
  });
  afterAll(async () => lab.close());

  it.each(['ipv4', 'ipv6'] as const)('peers talk line by line over %s', async (family) => {
    const listener = await server.listen();
    const there = await client.connect(lab.server[family], listener.port, { localPort: 5555 });
    const here = await listener.accept();
    expect(there.local).toEqual({ address: lab.client[family], port: 5555 });
    expect(here.remote.port).toBe(5555);
    await here.write('220 ready\r\n230 second\n');
    expect([await there.readLine(), await there.readLine()]).toEqual(['220 ready', '230 second']);
    await there.end();
    await here.waitForEnd();
    await here.write('221 still open\r\n');
    await there.waitFor(/221/);
    await here.reset();
    await there.waitForEnd();
    await listener.close();
  });

  it('puts each part into a segment of its own', async () => {
    const listener = await server.listen(2121);
    await using port = await RawPort.open(lab.server);
    const there = await client.connect(lab.server.ipv4, 2121);
    const here = await listener.accept();
    await there.writeSegments(['PO', 'RT ', '\xff\n'], 10);
    expect(await here.readLine()).toBe('PORT \xff');
    const payloads = port.frames
      .filter(({ tcp: segment, direction }) => direction === 'in' && segment?.dport === 2121)
      .map(({ tcp: segment }) => Buffer.from(segment?.payload ?? []).toString('latin1'));
    expect(payloads.filter((text) => text !== '')).toEqual(['PO', 'RT ', '\xff\n']);
    await listener.close();
  });

  it.each(['ipv4', 'ipv6'] as const)('datagrams go both ways over %s, from ports of their own', async (family) => {
    const there = await server.bind(lab.server[family], 69);
    const here = await client.bind(lab.client[family]);
    await here.send(there.local, '\x00\x01file\x00octet\x00');
    const request = await there.receive();
    expect(request).toEqual({ data: '\x00\x01file\x00octet\x00', from: here.local });
    const other = await server.bind(lab.server[family]);
    await other.send(request.from, '\x00\x03\x00\x01\xff');
    expect(await here.receive()).toEqual({ data: '\x00\x03\x00\x01\xff', from: other.local });
    await expect(here.receive(50)).rejects.toThrow('nothing came to UDP port');
    await expect(server.bind(lab.server[family], 69)).rejects.toThrow('bind: EADDRINUSE');
    await Promise.all([there.close(), here.close(), other.close()]);
  });

  it('names the error of a failed connection', async () => {
    await expect(client.connect(lab.server.ipv4, 9)).rejects.toThrow('connect: ECONNREFUSED');
    await expect(client.connect('10.77.2.99', 9, { timeoutMs: 100 })).rejects.toThrow('connect: timeout');
    await expect(server.listen(9, '192.0.2.1')).rejects.toThrow('listen: EADDRNOTAVAIL');
  });

  it('a spoofed SYN reaches the server, its answer comes back', async () => {
    await using place = await openRawPlace(lab, lab.client, '10.77.1.99');
    const listener = await server.listen();
    const ends = { src: place.address, dst: lab.server.ipv4, sport: 7, dport: listener.port };
    const syn = tcp({ ...place.link, ...ends, seq: 77, flags: 'S' });
    await place.port.send(syn);
    const answer = await place.port.find(({ tcp: segment }) => segment?.dport === 7);
    expect(answer?.tcp).toMatchObject({ flags: 'SA', ack: 78 });
    expect(answer?.ip?.ttl).toBe(63);
    await place.port.send(...fragments(tcp({ ...place.link, ...ends, sport: 8, flags: 'S', payload: 'x' }), 16));
    expect(await place.port.find(({ tcp: segment }) => segment?.dport === 8)).toBeDefined();
    await listener.close();
  });

  it('raw TCP: a dialogue, a reordered line, a reset', async () => {
    await using place = await openRawPlace(lab, lab.client, 'fd77:1::99');
    const listener = await server.listen();
    const connection = await RawTcp.connect(place.port, {
      ...{ src: place.address, dst: lab.server.ipv6, sport: 4000, dport: listener.port },
      ...place.link,
      isn: 0xfffffff8,
    });
    const here = await listener.accept();
    await here.write('220 ready\r\n');
    await connection.waitFor(/^220 ready\r\n$/);
    const [first, second] = [
      connection.build({ payload: 'USER ' }),
      connection.build({ payload: 'me\r\n', seq: connection.next + 5 }),
    ];
    await place.port.send(second, first);
    expect(await here.readLine()).toBe('USER me');
    connection.next = (connection.next + 9) >>> 0;
    await connection.write('QUIT\r\n');
    expect(await here.readLine()).toBe('QUIT');
    await connection.segment({ flags: 'R', seq: connection.next });
    await here.waitForEnd();
    expect(here.error).toBe('ECONNRESET');
    connection.close();
    await listener.close();
  });

  it('sees VLAN tags, reports refused frames, sends floods', async () => {
    const near = await lab.addHost('near', { bridged: true });
    await using far = await RawPort.open(near);
    await using port = await RawPort.open(lab.client, 'eth0', { quiet: true });
    const ends = { src: '10.77.1.2', dst: '10.77.1.3', sport: 1, dport: 2, destinationMac: await lab.mac(near) };
    await port.send(udp({ ...ends, vlan: [5, 6], payload: 'tagged' }));
    expect((await far.find(({ udp: datagram }) => datagram !== undefined))?.vlan).toEqual([5, 6]);
    await expect(port.send(new Uint8Array(3000))).rejects.toThrow('a frame was not sent');
    const flood = Array.from({ length: 5000 }, (_, i) => udp({ ...ends, sport: i, vlan: 7 }));
    await port.send(...flood);
    const last = await far.find(({ udp: datagram, vlan }) => vlan[0] === 7 && datagram?.sport === 4999);
    expect(last).toBeDefined();
    expect(port.frames).toEqual([]);
  });

  it('raw packets without Ethernet header', async () => {
    await using tunnel = await Lab.create({ tun: true });
    const peer = await Peer.start(tunnel.server);
    const listener = await peer.listen();
    await using port = await RawPort.open(tunnel.client);
    const ends = { src: 'fd77:1::99', dst: tunnel.server.ipv6, sport: 7, dport: listener.port };
    await port.send(tcp({ ...ends, flags: 'S', ethernet: false }));
    expect((await port.find(({ tcp: segment }) => segment?.dport === 7))?.tcp?.flags).toBe('SA');
  });
});

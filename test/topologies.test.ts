// SPDX-License-Identifier: Apache-2.0
import { Lab, Peer, type LabOptions } from '@relatd/lab';
import { describe, expect, it } from 'vitest';
import { eventually, startGateway, type GatewayOptions } from './support/gateway.js';
import { mustDownload, mustNotDownload, serve, ways } from './support/session.js';

const assignments = [{ name: 'ftp-2121', helper: 'ftp', port: 2121 }] as const;

/** Names of the watched interfaces, as `status` has them. */
async function watched(gateway: Awaited<ReturnType<typeof startGateway>>): Promise<string[]> {
  const { interfaces } = await gateway.client().status();
  return interfaces.filter((one) => one.watched && one.mode !== null).map(({ name }) => name);
}

describe('every way of making data connections works', () => {
  const places: [string, LabOptions, GatewayOptions['config']?][] = [
    ['over TUN interfaces, which have no Ethernet header', { tun: true }],
    ['from a TUN interface to one with Ethernet header', { tun: 'client' }],
    ['with the port of a bridge watched', { bridge: true }],
    ['with the bridge watched', { bridge: true }, { interfaces: ['br0', 'eth1'], assignments }],
    ['with bridge and port watched', { bridge: true }, { interfaces: ['br0', 'eth0', 'eth1'], assignments }],
    ['with 40 ms round trip time', { rttMs: 40 }],
    ['with one watched interface, that of the client', {}, { interfaces: ['eth0'], assignments }],
  ];
  it.each(places)('%s', async (_name, options, config = { interfaces: ['eth0', 'eth1'], assignments }) => {
    await using lab = await Lab.create(options);
    await using gateway = await startGateway(lab, { config });
    await using _server = await serve(lab.server);
    // Only the server's first packet comes by an interface that is not watched: too late for FORWARD.
    const onlyClient = Array.isArray(config) ? false : JSON.stringify(config).includes('["eth0"]');
    for (const { family, mode, extended } of ways) {
      if (onlyClient && mode === 'active') continue;
      await mustDownload(gateway, lab.client, { server: lab.server[family], mode, extended });
    }
    expect((await gateway.client().status()).counters).toMatchObject({ 'hold-unattended': 0, 'hold-unknown': 0 });
  });
});

describe('a data connection that enters by an interface that is not watched', () => {
  const config = { interfaces: ['eth0'], assignments } as const;

  it('gets no mark before FORWARD, and so not through the firewall', async () => {
    await using lab = await Lab.create();
    await using gateway = await startGateway(lab, { config });
    await using _server = await serve(lab.server);
    await mustNotDownload(lab.client, { server: lab.server.ipv4, mode: 'active' });
    expect(gateway.of('expectation.new')).toHaveLength(1);
    expect(gateway.of('related.new')).toEqual([]);
  });

  it('is recognised where it leaves, counted as late, and status says what to do', async () => {
    await using lab = await Lab.create();
    await using gateway = await startGateway(lab, { config, firewall: 'none' });
    await using _server = await serve(lab.server);
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4, mode: 'active' });
    const { counters, warnings } = await gateway.client().status();
    expect(counters.late).toBe(1);
    expect(warnings.join('\n')).toMatch(/entered by an interface that is not watched.*`interfaces`/);
  });
});

describe('between two hosts of one bridge, which no firewall of the gateway sees', () => {
  it.each([
    ['both ports are watched', ['eth0', 'eth2']],
    ['one port is watched', ['eth0']],
  ])('%s: the flows are tracked once', async (_name, interfaces) => {
    await using lab = await Lab.create({ bridge: true });
    const neighbour = await lab.addHost('neighbour', { bridged: true });
    await using gateway = await startGateway(lab, { firewall: 'none', config: { interfaces, assignments } });
    await using _server = await serve(neighbour);
    for (const { family, mode, extended } of ways) {
      await mustDownload(gateway, lab.client, { server: neighbour[family], mode, extended });
    }
  });
});

describe('behind masquerade', () => {
  it.each([
    ['veth', {}],
    ['a bridge with a watched port', { bridge: true }],
    ['TUN', { tun: true }],
  ] as const)(
    '%s: passive works; active is refused for NAT, and its control packets are delivered',
    async (_n, more) => {
      await using lab = await Lab.create({ masquerade: true, ...more });
      await using gateway = await startGateway(lab);
      await using _server = await serve(lab.server);
      for (const { family, mode, extended } of ways) {
        const session = { server: lab.server[family], mode, extended };
        if (mode === 'passive') {
          await mustDownload(gateway, lab.client, session);
          continue;
        }
        // vsftpd itself turns the foreign address down: it has seen the line.
        expect(await mustNotDownload(lab.client, session)).toMatch(/^< 500 Illegal (PORT|EPRT) command/m);
      }
      // curl says PORT when EPRT is turned down: three lines on IPv4, one on IPv6. Further ones of a source come as a count.
      const refusals = (family: 'ipv4' | 'ipv6'): number =>
        gateway
          .of('expectation.refused')
          .filter(({ expectation }) => expectation?.destination.address === lab.client[family])
          .reduce((sum, { count }) => sum + count, 0);
      await expect.poll(() => [refusals('ipv4'), refusals('ipv6')], { timeout: 5000 }).toEqual([3, 1]);
      for (const { reason } of gateway.of('expectation.refused')) expect(reason).toBe('nat');
      expect(gateway.of('related.new')).toHaveLength(ways.filter(({ mode }) => mode === 'passive').length);
      // One control connection each, not one per face.
      expect(gateway.of('control.new')).toHaveLength(ways.length);
    },
  );
});

describe('DNAT to the server', () => {
  const nat = (lab: Lab): string => `table ip lab {
    chain prerouting {
      type nat hook prerouting priority dstnat;
      iifname "eth0" ip daddr ${lab.client.gatewayIpv4} tcp dport { 2121, 40000-40999 } dnat to ${lab.server.ipv4}
    }
  }`;

  it('EPSV works, and PASV of a server that announces the public address', async () => {
    await using lab = await Lab.create();
    await lab.gateway.nft(nat(lab));
    await using gateway = await startGateway(lab);
    const server = lab.client.gatewayIpv4;
    await using _server = await serve(lab.server, { passiveAddress: server });
    const [, expectation] = await mustDownload(gateway, lab.client, { server, extended: true });
    expect(expectation).toMatchObject({ expectation: { destination: { address: server } } });
    await mustDownload(gateway, lab.client, { server, extended: false });
  });

  it('PASV with the internal address and active mode are refused for NAT', async () => {
    await using lab = await Lab.create();
    await lab.gateway.nft(nat(lab));
    await using gateway = await startGateway(lab);
    await using _server = await serve(lab.server);
    const server = lab.client.gatewayIpv4;
    await mustNotDownload(lab.client, { server, extended: false });
    expect(await gateway.event('expectation.refused')).toMatchObject({ reason: 'nat' });
    await mustNotDownload(lab.client, { server, mode: 'active' });
    await eventually(
      () => (gateway.of('expectation.refused').length === 2 ? true : undefined),
      () => gateway.history(),
    );
    expect(gateway.of('expectation.refused')[1]).toMatchObject({ reason: 'nat' });
    expect(gateway.of('related.new')).toEqual([]);
  });
});

describe('server and daemon on one host: INPUT', () => {
  it.each(['nft', 'iptables', 'mark-only'] as const)('%s', async (firewall) => {
    await using lab = await Lab.create();
    const config = { interfaces: ['eth0'], assignments };
    await using gateway = await startGateway(lab, { firewall, config, namespace: lab.server });
    await using _server = await serve(lab.server);
    for (const { family, mode, extended } of ways) {
      await mustDownload(gateway, lab.client, { server: lab.server[family], mode, extended });
    }
    await gateway.reload({ ...config, assignments: [{ helper: 'ftp', port: 21 }] });
    await mustNotDownload(lab.client, { server: lab.server.ipv4 });
  });
});

describe('interfaces: auto', () => {
  it('follows interfaces that appear, are renumbered and vanish', async () => {
    await using lab = await Lab.create();
    await using gateway = await startGateway(lab, { config: { interfaces: 'auto', assignments } });
    await using _server = await serve(lab.server);
    expect(await watched(gateway)).toEqual(['eth0', 'eth1']);
    const late = await lab.addHost('late');
    const reach = async (names: string[]): Promise<void> => {
      await eventually(
        async () => ((await watched(gateway)).join() === names.join() ? true : undefined),
        () => `not ${names.join()} in time\n${gateway.daemon.stderr}`,
      );
    };
    await reach(['eth0', 'eth1', 'eth2']);
    await mustDownload(gateway, late, { server: lab.server.ipv4, mode: 'passive' });
    await mustDownload(gateway, late, { server: lab.server.ipv6, mode: 'active' });
    await lab.gateway.run('ip', ['link', 'delete', 'eth2']);
    await reach(['eth0', 'eth1']);
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4, mode: 'active' });
    const again = await lab.addHost('again');
    await reach(['eth0', 'eth1', again.gatewayInterface]);
    await mustDownload(gateway, again, { server: lab.server.ipv4, mode: 'active' });
    // Down and up again, as a cable does.
    await lab.gateway.run('ip', ['link', 'set', again.gatewayInterface, 'down']);
    await reach(['eth0', 'eth1']);
    await lab.gateway.run('ip', ['-batch', '-'], {
      input: `link set ${again.gatewayInterface} up\naddr replace ${again.gatewayIpv6}/64 dev ${again.gatewayInterface} nodad\n`,
    });
    await reach(['eth0', 'eth1', again.gatewayInterface]);
    await mustDownload(gateway, again, { server: lab.server.ipv4, mode: 'passive' });
  });

  it('watches the bridge and not its ports, and not the hold device', async () => {
    await using lab = await Lab.create({ bridge: true });
    await using gateway = await startGateway(lab, { config: { interfaces: 'auto', assignments } });
    await using _server = await serve(lab.server);
    expect((await watched(gateway)).sort()).toEqual(['br0', 'eth1']);
    for (const { family, mode, extended } of ways) {
      await mustDownload(gateway, lab.client, { server: lab.server[family], mode, extended });
    }
  });
});

describe('zones', () => {
  it('two networks with the same addresses and ports on one gateway are kept apart', async () => {
    await using lab = await Lab.create({ ipv6: false });
    const otherClient = await lab.addHost('client2');
    const otherServer = await lab.addHost('server2');
    await twin(lab, otherClient.gatewayInterface, lab.client.gatewayIpv4, otherClient.name, lab.client.ipv4);
    await twin(lab, otherServer.gatewayInterface, lab.server.gatewayIpv4, otherServer.name, lab.server.ipv4);
    await lab.gateway.run('ip', ['-batch', '-'], {
      input: [
        ...[`rule add iif eth2 lookup 1002`, `route add 10.77.2.0/24 dev eth3 table 1002`],
        ...[`rule add iif eth3 lookup 1003`, `route add 10.77.1.0/24 dev eth2 table 1003`],
        '',
      ].join('\n'),
    });
    await using gateway = await startGateway(lab, {
      firewall: 'mark-only',
      config: { interfaces: ['eth0', 'eth1', 'eth2', 'eth3'], zones: { eth2: 1, eth3: 1 }, assignments },
    });
    const clients = await Promise.all([Peer.start(lab.client), Peer.start(otherClient)]);
    const servers = await Promise.all([Peer.start(lab.server), Peer.start(otherServer)]);
    const dialogues = [];
    for (const [at, client] of clients.entries()) {
      const server = servers[at];
      if (server === undefined) throw new Error('no server');
      const listener = await server.listen(2121);
      const data = await server.listen(40001);
      // The same two endpoints in both networks, at the same time.
      const control = await client.connect(lab.server.ipv4, 2121, { localPort: 30001 });
      dialogues.push({ client, control, data, answer: await listener.accept() });
    }
    const [here, there] = dialogues;
    if (here === undefined || there === undefined) throw new Error('no dialogue');
    for (const { control, answer } of [here, there]) {
      await answer.write('220 ready\r\n');
      await control.waitFor(/^220 /);
      await control.write('USER a\r\n');
      await answer.waitFor(/USER/);
      await answer.write('230 in\r\n');
      await control.waitFor(/^230 /m);
    }
    await eventually(
      () => (gateway.of('control.new').length === 2 ? true : undefined),
      () => gateway.history(),
    );
    const announce = async ({ control, answer }: typeof here): Promise<void> => {
      await control.write('EPSV\r\n');
      await answer.waitFor(/EPSV/);
      await answer.write('229 Extended (|||40001|)\r\n');
      await control.waitFor(/^229 /m);
    };
    const open = ({ client }: typeof here): Promise<unknown> =>
      client.connect(lab.server.ipv4, 40001, { localPort: 30002, timeoutMs: 1500 });
    // What one network announces opens nothing in the other.
    await announce(here);
    await expect(open(there)).rejects.toThrow(/timeout/);
    await open(here);
    const arrived = (): string[] => gateway.of('related.new').map(({ flow }) => flow.interface);
    await expect.poll(arrived).toEqual(['eth0']);
    await announce(there);
    // The other client's SYN, the same tuple as the first one's, still knocks: it opens the second related flow.
    await there.data.accept(15_000);
    await expect.poll(arrived).toEqual(['eth0', 'eth2']);
    const related = await gateway.flows({ kind: 'related' });
    expect(new Set(related.map(({ source, destination }) => JSON.stringify([source, destination]))).size).toBe(1);
    expect(new Set(related.map(({ master }) => master)).size).toBe(2);
    await Promise.all([...clients, ...servers].map((peer) => peer.close()));
  });
});

/** Gives a host of its own link the addresses that another link has. */
async function twin(lab: Lab, device: string, gatewayAddress: string, host: string, address: string): Promise<void> {
  await lab.gateway.run('ip', ['-batch', '-'], {
    input: `addr flush dev ${device}\naddr add ${gatewayAddress}/24 dev ${device} noprefixroute\n`,
  });
  const namespace = lab.namespaces.find(({ name }) => name === host);
  await namespace?.run('ip', ['-batch', '-'], {
    input: `addr flush dev eth0\naddr add ${address}/24 dev eth0\nroute add default via ${gatewayAddress}\n`,
  });
}

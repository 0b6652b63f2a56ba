// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab, type Namespace } from '@relatd/lab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Counter, CounterObject, type CounterPlace } from './support/counter.js';
import { startGateway, type Gateway } from './support/gateway.js';
import { judgedListing, mustDownload, mustNotDownload, serve, ways } from './support/session.js';

const assignments = [{ name: 'ftp-2121', helper: 'ftp', port: 2121 }] as const;
const config = { interfaces: ['eth0', 'eth1'], assignments };

let object: CounterObject;
beforeAll(async () => {
  object = await CounterObject.compile();
});
afterAll(() => {
  object.close();
});

/** Packets that an interface has sent or received, as the kernel counts them. */
async function interfacePackets(namespace: Namespace, way: 'tx' | 'rx'): Promise<number> {
  const text = await namespace.run('ip', ['-j', '-s', 'link', 'show', 'dev', 'eth0']);
  const [link] = JSON.parse(text) as { stats64: Record<'tx' | 'rx', { packets: number }> }[];
  if (link === undefined) throw new Error(`no eth0 in ${namespace.name}`);
  return link.stats64[way].packets;
}

/** Names of a hook's chain as `status` has them; ours as `relatd`. */
async function chain(gateway: Gateway, name: string, side: 'ingress' | 'egress'): Promise<string[]> {
  const { interfaces } = await gateway.client().status();
  const found = interfaces.find((one) => one.name === name);
  return (found?.neighbours[side] ?? []).map((program) => (program.ours ? 'relatd' : program.name));
}

/** Other people's programs, all removed at the end. */
class Neighbours implements Disposable {
  readonly #lab: Lab;
  readonly #counters: Counter[] = [];

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  add(where: string, side: CounterPlace['side'], mode: 'tcx' | 'clsact', how: Partial<CounterPlace> = {}): Counter {
    const counter = new Counter(object, this.#lab.gateway, { interface: where, side, mode, ...how });
    this.#counters.push(counter);
    return counter;
  }

  [Symbol.dispose](): void {
    for (const counter of this.#counters.splice(0)) counter.close();
  }
}

describe('with programs of others on the same hooks', () => {
  it('tcx before and behind, and clsact filters: each sees every packet, those behind with the mark', async () => {
    // Without offloads a packet that a program sees is one of the wire.
    await using lab = await Lab.create({ offload: false });
    using neighbours = new Neighbours(lab);
    const early = {
      ingress: neighbours.add('eth0', 'ingress', 'tcx'),
      egress: neighbours.add('eth1', 'egress', 'tcx'),
      filter: neighbours.add('eth0', 'ingress', 'clsact', { priority: 10 }),
    };
    await using gateway = await startGateway(lab, { config });
    const before = {
      client: neighbours.add('eth0', 'ingress', 'tcx', { order: 'first' }),
      server: neighbours.add('eth1', 'ingress', 'tcx', { order: 'first' }),
    };
    const behind = {
      client: neighbours.add('eth0', 'ingress', 'tcx', { order: 'last' }),
      server: neighbours.add('eth1', 'ingress', 'tcx', { order: 'last' }),
      egress: neighbours.add('eth1', 'egress', 'tcx', { order: 'last' }),
      filter: neighbours.add('eth1', 'egress', 'clsact', { priority: 10 }),
    };
    expect(await chain(gateway, 'eth0', 'ingress')).toEqual(['foreign', 'relatd', 'foreign', 'foreign', 'foreign']);
    expect(await chain(gateway, 'eth1', 'egress')).toEqual(['foreign', 'relatd', 'foreign', 'foreign']);

    const all = { ...early, before, behind };
    const sights = () => ({
      beforeClient: all.before.client.sight.packets,
      beforeServer: all.before.server.sight.packets,
      behindClient: all.behind.client.sight.packets,
      behindServer: all.behind.server.sight.packets,
      earlyIngress: all.ingress.sight.packets,
      earlyFilter: all.filter.sight.packets,
      earlyEgress: all.egress.sight.packets,
      behindEgress: all.behind.egress.sight.packets,
      filterEgress: all.behind.filter.sight.packets,
    });
    await using _server = await serve(lab.server);
    const [sent, answered, received] = await Promise.all([
      interfacePackets(lab.client, 'tx'),
      interfacePackets(lab.server, 'tx'),
      interfacePackets(lab.server, 'rx'),
    ]);
    const start = sights();
    for (const { family, mode, extended } of ways) {
      await mustDownload(gateway, lab.client, { server: lab.server[family], mode, extended });
    }
    // What the tables decide is never held, and passes everybody once.
    expect((await gateway.client().status()).counters.held).toBe(0);
    await judgedListing(lab.client, lab.server.ipv4);
    await sleep(300);
    const end = sights();
    const delta = (name: keyof ReturnType<typeof sights>): number => end[name] - start[name];
    const { counters } = await gateway.client().status();
    const wire = {
      sent: (await interfacePackets(lab.client, 'tx')) - sent,
      answered: (await interfacePackets(lab.server, 'tx')) - answered,
      received: (await interfacePackets(lab.server, 'rx')) - received,
    };

    expect(counters.held).toBeGreaterThan(0);
    expect([delta('behindClient'), delta('earlyIngress'), delta('earlyFilter')]).toEqual(Array(3).fill(wire.sent));
    expect(delta('behindServer')).toBe(wire.answered);
    expect([delta('earlyEgress'), delta('behindEgress'), delta('filterEgress')]).toEqual(Array(3).fill(wire.received));
    // Those in front of relatd see held packets twice: when they come, and when they go on.
    const twice = delta('beforeClient') - wire.sent + (delta('beforeServer') - wire.answered);
    expect(twice).toBe(counters.released);

    const related = await gateway.flows({ kind: 'related' });
    const packets = (address: string[]): number =>
      related.reduce((sum, { source, packets: { original, reply } }) => {
        return sum + (address.includes(source.address) ? original : reply);
      }, 0);
    expect(related).toHaveLength(ways.length + 1);
    expect(behind.client.sight.marked).toBe(packets([lab.client.ipv4, lab.client.ipv6]));
    expect(behind.server.sight.marked).toBe(packets([lab.server.ipv4, lab.server.ipv6]));
  });

  it('`order` puts relatd behind those that are there already', async () => {
    await using lab = await Lab.create();
    using neighbours = new Neighbours(lab);
    const [ingress, egress] = [neighbours.add('eth0', 'ingress', 'tcx'), neighbours.add('eth0', 'egress', 'tcx')];
    await using gateway = await startGateway(lab, {
      config: { ...config, order: { ingress: 'last', egress: 'first' } },
    });
    expect(await chain(gateway, 'eth0', 'ingress')).toEqual(['foreign', 'relatd']);
    expect(await chain(gateway, 'eth0', 'egress')).toEqual(['relatd', 'foreign']);
    await using _server = await serve(lab.server);
    for (const { family, mode, extended } of ways) {
      await mustDownload(gateway, lab.client, { server: lab.server[family], mode, extended });
    }
    expect(ingress.sight.packets).toBeGreaterThan(0);
    expect(egress.sight.packets).toBeGreaterThan(0);
  });

  it('what another program marks with our bits is not RELATED: they are cleared, other bits are not', async () => {
    await using lab = await Lab.create();
    using neighbours = new Neighbours(lab);
    const unassigned = { ...config, assignments: [{ helper: 'ftp', port: 21 }] };
    await using gateway = await startGateway(lab, { config: unassigned });
    const forger = neighbours.add('eth0', 'ingress', 'tcx', { order: 'first', program: 'forge' });
    await lab.gateway.nft(`table inet lab {
      counter left { }
      chain forward { type filter hook forward priority filter - 1; iifname eth0 meta mark 0x00000007 counter name left; }
    }`);
    await using _server = await serve(lab.server);
    await mustNotDownload(lab.client, { server: lab.server.ipv4 });
    expect(gateway.of('related.new')).toEqual([]);
    expect(forger.sight.packets).toBeGreaterThan(0);
    expect(await lab.gateway.run('nft', ['list', 'counter', 'inet', 'lab', 'left'])).toMatch(/packets [1-9]/);
    // With the assignment the mark is relatd's own, and so are the bits beside it the other program's.
    await gateway.reload(config);
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4 });
  });
});

describe('attach: clsact, as on kernels before 6.6', () => {
  it('every way of making data connections works; filters of others and tcx programs see every packet', async () => {
    await using lab = await Lab.create({ offload: false });
    using neighbours = new Neighbours(lab);
    const there = neighbours.add('eth0', 'ingress', 'clsact', { priority: 10 });
    await using gateway = await startGateway(lab, { config: { ...config, attach: 'clsact' } });
    const { interfaces } = await gateway.client().status();
    expect(interfaces.map(({ name, mode, problems }) => ({ name, mode, problems }))).toEqual([
      { name: 'eth0', mode: 'clsact', problems: [] },
      { name: 'eth1', mode: 'clsact', problems: [] },
    ]);
    const filter = neighbours.add('eth1', 'egress', 'clsact', { priority: 10 });
    expect(await chain(gateway, 'eth0', 'ingress')).toEqual(['relatd', 'foreign']);
    expect(await chain(gateway, 'eth1', 'egress')).toEqual(['foreign', 'relatd']);
    await using _server = await serve(lab.server);
    const [sent, received] = [await interfacePackets(lab.client, 'tx'), await interfacePackets(lab.server, 'rx')];
    const [seen, passed] = [there.sight.packets, filter.sight.packets];
    for (const { family, mode, extended } of ways) {
      await mustDownload(gateway, lab.client, { server: lab.server[family], mode, extended });
    }
    await sleep(300);
    expect(there.sight.packets - seen).toBe((await interfacePackets(lab.client, 'tx')) - sent);
    expect(filter.sight.packets - passed).toBe((await interfacePackets(lab.server, 'rx')) - received);

    // A stop takes our filters, and those of others stay.
    expect(await gateway.stop()).toBe(0);
    const names = (await lab.gateway.run('tc', ['filter', 'show', 'dev', 'eth0', 'ingress'])).match(
      /foreign|relatd\w*/g,
    );
    expect(new Set(names)).toEqual(new Set(['foreign']));
    expect(await lab.gateway.run('tc', ['filter', 'show', 'dev', 'eth1', 'ingress'])).toBe('');
    expect(await lab.gateway.run('tc', ['qdisc', 'show', 'dev', 'eth0'])).toContain('clsact');
  });
});

// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpus } from 'node:os';
import { Namespace as Here, type Lab } from '@relatd/lab';
import { Namespace } from '@relatd/datapath';
import { ETHERNET_BYTES, FLAG, HEADER_BYTES, concat, header } from './header.js';
import { CLIENT_NEXT, LoadedDatapath, SERVER_NEXT } from './loadedDatapath.js';
import type { Scale } from './options.js';
import { nativeTool } from './paths.js';
import { PER_MASTER, dataConnection, strangers, type Connection } from './plan.js';
import { atMost, figure, quartileText, type Row, type Section, type Table, type Target } from './report.js';
import { Ring } from './ring.js';
import { differences, pairedDifference, ratioOfMedians, spread } from './statistics.js';
import { buildLab, closeAll, type Firewall } from './variant.js';

interface Gateway {
  readonly name: string;
  readonly lab: Lab;
  readonly loaded: LoadedDatapath | null;
  readonly expectations: number;
}

const RELATED = 'a related flow';
const FRAME_BYTES = ETHERNET_BYTES + HEADER_BYTES;
/** Less than this part of the packets at the server: then it was not forwarding that was measured. */
const DELIVERED = 0.99;
/** What relatd may add for other traffic, of what netfilter adds. */
const PART = 0.2;

/** Cost per packet in forwarding: nothing, relatd, netfilter with its helper, and both. */
export async function forwarding(scale: Scale): Promise<Section> {
  const { tuples, loads, forwardRounds: rounds, forwardPackets: packets } = scale;
  const ring = new Ring(0);
  const gateways: Gateway[] = [];
  try {
    const build = async (name: string, firewall: Firewall, expectations: number | null): Promise<void> => {
      const lab = await buildLab(firewall);
      gateways.push({ name, lab, ...(await routeAndLoad(lab, ring, expectations)) });
    };
    await build('nothing', 'nothing', null);
    await build('again', 'nothing', null);
    for (const load of loads) await build(`relatd-${String(load)}`, 'nothing', load);
    await build('netfilter', 'conntrack', null);
    await build('both', 'conntrack', 0);

    const others = strangers(tuples);
    const firstFlow = PER_MASTER * Math.ceil(Math.max(...loads) / PER_MASTER);
    const flows = Array.from({ length: tuples }, (_, at) => dataConnection(firstFlow + at));
    const established = { seq: CLIENT_NEXT, ack: SERVER_NEXT };
    const frames = (connections: readonly Connection[], kind: Parameters<typeof header>[1]): Uint8Array =>
      concat(connections.flatMap((one) => [new Uint8Array(ETHERNET_BYTES), header(one, kind)]));

    const rows: Row[] = [];
    const parts: Row[] = [];
    const behind: string[] = [];
    const targets: Target[] = [];
    const measure = async (label: string, bytes: Uint8Array): Promise<void> => {
      const results = await blast(gateways, bytes, rounds, packets);
      const of = (name: string): number[] => results.get(name) ?? [];
      const against = (name: string, base = 'nothing'): ReturnType<typeof spread> =>
        pairedDifference(of(name), of(base));
      for (const { name, expectations, loaded } of gateways) {
        if (loaded === null || name === 'both') continue;
        const more = against(name, 'netfilter');
        if (more.median > 0)
          behind.push(
            `forwarding, ${label}: relatd with ${expectations.toLocaleString('en')} expectations costs ${more.median.toFixed(0)} ns more per packet than netfilter's conntrack with its FTP helper (quartiles ${quartileText(more)})`,
          );
      }
      const added = gateways.filter(({ name }) => name !== 'nothing').map(({ name }) => figure(against(name), 'ns'));
      rows.push({ label, cells: [figure(spread(of('nothing')), 'ns'), ...added] });
      const netfilter = differences(of('netfilter'), of('nothing'));
      const part = (load: number): ReturnType<typeof figure> =>
        figure(ratioOfMedians(differences(of(`relatd-${String(load)}`), of('nothing')), netfilter), 'ratio');
      parts.push({ label, cells: loads.map(part) });
      if (label === RELATED) return;
      for (const load of loads)
        targets.push(
          atMost(
            `forwarding, ${label}, ${load.toLocaleString('en')} expectations: relatd adds at most 1/5 of what netfilter adds`,
            part(load),
            PART,
          ),
        );
    };
    await measure('other traffic, TCP', frames(others, established));
    await measure('other traffic, SYN', frames(others, { flags: FLAG.syn }));
    await measure('other traffic, UDP', frames(others, { protocol: 'udp' }));
    for (const { loaded, expectations } of gateways) {
      if (loaded === null) continue;
      const there = Math.ceil(expectations / PER_MASTER);
      loaded.masters(ring, Math.ceil((firstFlow + tuples) / PER_MASTER) - there, there);
      loaded.relatedFlows(ring, firstFlow, tuples);
    }
    await measure(RELATED, frames(flows, established));
    const columns = gateways.map(({ name, expectations, loaded }) => {
      if (name === 'nothing') return 'nothing';
      if (name === 'again') return 'nothing, again';
      if (name === 'both') return 'both';
      return loaded === null ? 'netfilter' : `relatd, ${expectations.toLocaleString('en')} expectations`;
    });
    return {
      name: 'forwarding',
      title: 'Cost per packet in forwarding',
      notes: [
        `Client, gateway and server on veth pairs; ${tuples.toLocaleString('en')} different tuples, ${String(rounds)} rounds of ${packets.toLocaleString('en')} packets through each gateway, order rotated. The first column is all that a packet costs from the sender's system call to its drop at the server; ` +
          'the others say by how much more than that in the same round (median, quartiles). "Nothing, again" is a second gateway without anything: what differs there is noise. ' +
          'relatd: programs at ingress and egress of both interfaces, two runs per packet. netfilter: conntrack with the FTP helper assigned; it has an entry for every tuple before the first round, ' +
          "so that its figure is that of known connections, the cheaper ones for it. A related flow's packets are to netfilter those of any established connection. No gateway has rules that decide by it: they would cost all alike.",
      ],
      tables: [{ title: 'ns per packet', columns, rows }, partTable(loads, parts)],
      behind,
      targets,
    };
  } finally {
    await closeAll(
      gateways.map(({ lab, loaded }) => ({
        close: async () => {
          loaded?.close();
          await lab.close();
        },
      })),
    );
    ring.close();
  }
}

const partTable = (loads: readonly number[], rows: readonly Row[]): Table => ({
  title: 'what relatd adds : what netfilter adds',
  columns: loads.map((load) => `${load.toLocaleString('en')} expectations`),
  rows,
});

async function routeAndLoad(
  lab: Lab,
  ring: Ring,
  expectations: number | null,
): Promise<{ loaded: LoadedDatapath | null; expectations: number }> {
  await lab.gateway.run('ip', ['route', 'add', '10.200.0.0/16', 'via', lab.server.ipv4]);
  await lab.gateway.run('ip', [
    'neigh',
    'replace',
    lab.server.ipv4,
    'lladdr',
    await lab.mac(lab.server),
    'dev',
    'eth1',
  ]);
  // The cheapest end there is, and the same for all.
  await lab.server.nft(`table netdev bench {
    chain ingress {
      type filter hook ingress device "eth0" priority 0; policy drop
    }
  }
`);
  if (expectations === null) return { loaded: null, expectations: 0 };
  const namespace = Namespace.open(lab.gateway.name);
  const index = new Map(namespace.interfaces().map((one) => [one.name, one.index]));
  const loaded = new LoadedDatapath(namespace, { client: index.get('eth0') ?? 0, server: index.get('eth1') ?? 0 });
  loaded.masters(ring, Math.ceil(expectations / PER_MASTER));
  loaded.expect(0, expectations);
  loaded.attach();
  return { loaded, expectations };
}

/** Nanoseconds per packet by gateway, in order of the rounds. */
async function blast(
  gateways: readonly Gateway[],
  frames: Uint8Array,
  rounds: number,
  packets: number,
): Promise<Map<string, number[]>> {
  const [first] = gateways;
  if (first === undefined) return new Map();
  const file = join(await first.lab.gateway.directory(), 'frames');
  await writeFile(file, frames);
  const targets: string[] = [];
  for (const { name, lab } of gateways) {
    if (name === 'netfilter' || name === 'both') await lab.gateway.run('conntrack', ['-F']);
    targets.push([name, lab.client.path, 'eth0', await lab.mac(lab.gateway, 'eth0')].join(','));
  }
  const before = await Promise.all(gateways.map(received));
  const lastCpu = String(cpus().length - 1);
  const output = await Here.here.run(
    nativeTool('blast'),
    [file, String(FRAME_BYTES), String(rounds), String(packets), lastCpu, ...targets],
    { timeoutMs: 300_000 },
  );
  const sent = frames.length / FRAME_BYTES + rounds * packets;
  for (const [at, gateway] of gateways.entries()) {
    const arrived = (await received(gateway)) - (before[at] ?? 0);
    if (arrived < sent * DELIVERED)
      throw new Error(`${gateway.name}: only ${String(arrived)} of ${String(sent)} packets were forwarded`);
  }
  const results = new Map<string, number[]>(gateways.map(({ name }) => [name, []]));
  for (const line of output.trim().split('\n')) {
    const [, name = '', nanoseconds] = line.split(' ');
    results.get(name)?.push(Number(nanoseconds));
  }
  return results;
}

async function received({ lab }: Gateway): Promise<number> {
  const text = await lab.server.run('ip', ['-s', '-j', 'link', 'show', 'dev', 'eth0']);
  const [link] = JSON.parse(text) as { stats64: { rx: { packets: number } } }[];
  return link?.stats64.rx.packets ?? 0;
}

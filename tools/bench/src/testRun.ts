// SPDX-License-Identifier: Apache-2.0
import { Namespace as LabNamespace } from '@relatd/lab';
import { Namespace } from '@relatd/datapath';
import { FLAG, header } from './header.js';
import { CLIENT_NEXT, LoadedDatapath, SERVER_NEXT } from './loadedDatapath.js';
import type { Scale } from './options.js';
import { PER_MASTER, dataConnection, master, strangers } from './plan.js';
import { figure, type Row, type Section } from './report.js';
import { Ring, type Piece, type Target } from './ring.js';
import { pairedRounds } from './rounds.js';
import { pairedDifference, pairedRatio, spread } from './statistics.js';

const REDIRECT = 7;
const PASS = -1;
const PORT_LINE = new TextEncoder().encode('PORT 10,201,0,1,200,10\r\n');

interface Traffic {
  readonly label: string;
  readonly piece: Piece;
  readonly floor: 'empty' | 'empty-tag';
  readonly verdict: number;
}

/** Cost per packet of the programs, in BPF_PROG_TEST_RUN. */
export async function testRun(scale: Scale): Promise<Section> {
  const { tuples, loads, testRunRounds: rounds } = scale;
  const lab = await LabNamespace.create(`relatd-${String(process.pid)}-bench`);
  const namespaces: LabNamespace[] = [lab];
  const ring = new Ring(6 * tuples);
  const loaded: LoadedDatapath[] = [];
  try {
    for (const load of loads) {
      const place = await LabNamespace.create(`relatd-${String(process.pid)}-bench${String(load)}`);
      namespaces.push(place);
      await place.run('ip', ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1']);
      for (const name of ['eth0', 'eth1']) await place.run('ip', ['link', 'set', name, 'up']);
      const namespace = Namespace.open(place.name);
      const index = Object.fromEntries(namespace.interfaces().map((one) => [one.name, one.index]));
      const datapath = new LoadedDatapath(namespace, { client: index['eth0'] ?? 0, server: index['eth1'] ?? 0 });
      loaded.push(datapath);
      datapath.masters(ring, Math.ceil(load / PER_MASTER));
      datapath.expect(0, load);
    }
    const others = strangers(tuples);
    // Of masters that hold no expectation in any of the tables.
    const firstFlow = PER_MASTER * Math.ceil(Math.max(...loads) / PER_MASTER);
    const flows = Array.from({ length: tuples }, (_, at) => dataConnection(firstFlow + at));
    const masters = Array.from({ length: tuples }, (_, at) => master(at));
    const next = { seq: CLIENT_NEXT, ack: SERVER_NEXT };
    const plain = { floor: 'empty', verdict: PASS } as const;
    const foreign = ring.add(others.map((one) => header(one, next)));
    const foreignSyn = ring.add(others.map((one) => header(one, { flags: FLAG.syn })));
    const foreignUdp = ring.add(others.map((one) => header(one, { protocol: 'udp' })));
    const many = tuples.toLocaleString('en');
    const light: Traffic[] = [
      { label: 'other traffic, TCP', piece: foreign, ...plain },
      { label: 'other traffic, SYN', piece: foreignSyn, ...plain },
      { label: 'other traffic, UDP', piece: foreignUdp, ...plain },
    ];
    const heavy: Traffic[] = [
      { label: `other traffic, TCP, beside ${many} related flows`, piece: foreign, ...plain },
      { label: `other traffic, SYN, beside ${many} related flows`, piece: foreignSyn, ...plain },
      { label: 'a related flow', piece: ring.add(flows.map((one) => header(one, next))), ...plain },
      { label: 'control, no payload', piece: ring.add(masters.map((one) => header(one, next))), ...plain },
      {
        label: 'control payload, held',
        piece: ring.add(
          masters.map((one) => header(one, { ...next, payload: PORT_LINE })),
          PORT_LINE,
        ),
        floor: 'empty-tag',
        verdict: REDIRECT,
      },
    ];
    const [first] = loaded;
    if (first === undefined) throw new Error('nothing is loaded');
    const floorAt = (program: 'empty' | 'empty-tag'): Target =>
      ring.target(program, first.namespace, first.sides.client);
    const floors = { empty: floorAt('empty'), 'empty-tag': floorAt('empty-tag') };
    const targets = loaded.map(({ main, namespace, sides }) => ring.target(main, namespace, sides.client));
    const repeat = tuples;

    const columns = ['empty program', ...loads.map((load) => `${load.toLocaleString('en')} expectations, net`)];
    const last = loads.at(-1) ?? 0;
    columns.push(`${last.toLocaleString('en')} : 0`);
    const rows: Row[] = [];
    const measure = async (traffic: readonly Traffic[]): Promise<void> => {
      for (const { label, piece, floor, verdict } of traffic) {
        const contenders = [
          { name: 'floor', measure: () => ring.run(piece, floors[floor], repeat) },
          ...targets.map((target, at) => ({
            name: String(at),
            measure: () => ring.run(piece, target, repeat, verdict),
          })),
        ];
        for (const contender of contenders) contender.measure();
        const results = await pairedRounds(contenders, rounds);
        const series = (name: string): number[] => results[name] ?? [];
        rows.push({
          label,
          cells: [
            figure(spread(series('floor')), 'ns'),
            ...targets.map((_, at) => figure(pairedDifference(series(String(at)), series('floor')), 'ns')),
            figure(pairedRatio(series(String(targets.length - 1)), series('0')), 'ratio'),
          ],
        });
      }
    };
    await measure(light);
    for (const [at, one] of loaded.entries()) {
      const there = Math.ceil((loads[at] ?? 0) / PER_MASTER);
      one.masters(ring, tuples - there, there);
      one.relatedFlows(ring, firstFlow, tuples);
      one.datapath.hold(
        () => undefined,
        () => undefined,
      );
    }
    await measure(heavy);
    return {
      name: 'testrun',
      title: 'Cost per packet, BPF_PROG_TEST_RUN',
      notes: [
        `${tuples.toLocaleString('en')} different tuples in a ring, at ingress; medians (quartiles) of ${String(rounds)} rounds of ${repeat.toLocaleString('en')} packets, order rotated. ` +
          'Net: less the empty program behind the same ring in the same round. The last column has the ring in it on both sides. ' +
          `Below the first three rows the tables also hold ${many} control connections and as many related flows, whose ports are all over the range. ` +
          'Held control payload ends with the redirect; what the daemon does then is in the section on announcements. ' +
          'netfilter cannot be run this way: the section on forwarding compares.',
      ],
      tables: [{ title: 'ns per packet', columns, rows }],
      behind: [],
    };
  } finally {
    for (const one of loaded) one.close();
    ring.close();
    for (const one of namespaces) await one.close();
  }
}

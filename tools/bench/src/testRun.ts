// SPDX-License-Identifier: Apache-2.0
import { FLAG, header } from './header.js';
import { CLIENT_NEXT, SERVER_NEXT, type LoadedDatapath } from './loadedDatapath.js';
import type { Scale } from './options.js';
import { Place } from './place.js';
import { PER_MASTER, dataConnection, master, strangers } from './plan.js';
import { atMost, figure, type Row, type Section, type Target } from './report.js';
import { Ring, type Piece } from './ring.js';
import { pairedRounds } from './rounds.js';
import { differences, ratioOfMedians, spread } from './statistics.js';
import { closeAll } from './variant.js';

const REDIRECT = 7;
const PASS = -1;
const PORT_LINE = new TextEncoder().encode('PORT 10,201,0,1,200,10\r\n');
const LIMITS = { TCP: 1.3, SYN: 3 } as const;

interface Traffic {
  readonly label: string;
  readonly piece: Piece;
  readonly floor: 'empty' | 'empty_tag';
  readonly verdict: number;
}

/** Cost per packet of the programs, in BPF_PROG_TEST_RUN: with nothing in the tables, and with very much. */
export async function testRun(scale: Scale): Promise<Section> {
  const { tuples, fullExpectations, fullFlows, testRunRounds: rounds } = scale;
  const ring = new Ring(7 * tuples + fullFlows);
  const places: Place[] = [];
  const sizes = { flows: 262_144, controls: 131_072, expectations: fullExpectations + fullFlows, embryonic: 32_768 };
  try {
    for (const name of ['bare', 'full']) places.push(await Place.create(name, sizes));
    const [none, full] = places.map(({ loaded }) => loaded) as [LoadedDatapath, LoadedDatapath];
    const firstFlow = PER_MASTER * Math.ceil(fullExpectations / PER_MASTER);
    const owners = Math.ceil((firstFlow + fullFlows) / PER_MASTER);
    full.masters(ring, owners);
    full.expect(0, fullExpectations);
    full.relatedFlows(ring, firstFlow, fullFlows);

    const others = strangers(tuples);
    const next = { seq: CLIENT_NEXT, ack: SERVER_NEXT };
    const plain = { floor: 'empty', verdict: PASS } as const;
    const light: Traffic[] = [
      { label: 'other traffic, TCP', piece: ring.add(others.map((one) => header(one, next))), ...plain },
      {
        label: 'other traffic, SYN',
        piece: ring.add(strangers(tuples, 'strangers').map((one) => header(one, { flags: FLAG.syn }))),
        ...plain,
      },
      {
        label: 'other traffic, SYN, of FTP clients',
        piece: ring.add(others.map((one) => header(one, { flags: FLAG.syn }))),
        ...plain,
      },
      {
        label: 'other traffic, UDP',
        piece: ring.add(others.map((one) => header(one, { protocol: 'udp' }))),
        ...plain,
      },
    ];
    const flows = Array.from({ length: fullFlows }, (_, at) => dataConnection(firstFlow + at));
    const masters = Array.from({ length: Math.min(tuples, owners) }, (_, at) => master(at));
    const heavy: Traffic[] = [
      { label: 'a related flow', piece: ring.add(flows.map((one) => header(one, next))), ...plain },
      { label: 'control, no payload', piece: ring.add(masters.map((one) => header(one, next))), ...plain },
      {
        label: 'control payload of a judged connection, held',
        piece: ring.add(
          masters.map((one) => header(one, { ...next, payload: PORT_LINE })),
          PORT_LINE,
        ),
        floor: 'empty_tag',
        verdict: REDIRECT,
      },
    ];
    const floors = {
      empty: ring.target('empty', none.namespace, none.sides.client),
      empty_tag: ring.target('empty_tag', none.namespace, none.sides.client),
    };
    const targetOf = ({ main, namespace, sides }: LoadedDatapath): (typeof floors)['empty'] =>
      ring.target(main, namespace, sides.client);
    const [onNone, onFull] = [targetOf(none), targetOf(full)];

    const rows: Row[] = [];
    const targets: Target[] = [];
    const measure = async ({ label, piece, floor, verdict }: Traffic, both: boolean): Promise<void> => {
      const repeat = Math.max(tuples, piece.count);
      const contenders = [
        { name: 'floor', measure: () => ring.run(piece, floors[floor], repeat) },
        { name: 'none', measure: () => (both ? ring.run(piece, onNone, repeat, { verdict }) : Number.NaN) },
        { name: 'full', measure: () => ring.run(piece, onFull, repeat, { verdict }) },
      ] as const;
      for (const contender of contenders) contender.measure();
      const results = await pairedRounds(contenders, rounds);
      const [less, more] = [differences(results.none, results.floor), differences(results.full, results.floor)];
      const ratio = figure(ratioOfMedians(more, less), 'ratio');
      rows.push({
        label,
        cells: [
          figure(spread(results.floor), 'ns'),
          both ? figure(spread(less), 'ns') : null,
          figure(spread(more), 'ns'),
          both ? ratio : null,
          both ? figure(ratioOfMedians(results.full, results.none), 'ratio') : null,
        ],
      });
      for (const [kind, limit] of Object.entries(LIMITS))
        if (label === `other traffic, ${kind}`)
          targets.push(
            atMost(`${label}, tables full: at most ${String(limit)} x the cost with empty ones`, ratio, limit),
          );
    };
    for (const traffic of light) await measure(traffic, true);
    full.datapath.hold(
      () => undefined,
      () => undefined,
    );
    for (const traffic of heavy) await measure(traffic, false);
    const many = tuples.toLocaleString('en');
    return {
      name: 'testrun',
      title: 'Cost per packet, BPF_PROG_TEST_RUN',
      notes: [
        `${many} different tuples in a ring, at ingress; medians (quartiles) of ${String(rounds)} rounds of as many packets, order rotated. ` +
          `Full: ${fullExpectations.toLocaleString('en')} expectations, ${fullFlows.toLocaleString('en')} related flows, ${owners.toLocaleString('en')} control connections, on ports all over the range. ` +
          'Net: less the empty program behind the same ring in the same round; the ratio that counts is that of net costs, the last column has the ring on both sides. ' +
          'SYNs of hosts with control connections are noted for `relatd why`, others are not: in the full tables, half the clients have one. ' +
          'Held is what the tables cannot decide: here none are in force. It ends with the redirect; what the daemon does then is in the section on announcements. ' +
          'netfilter cannot be run this way: the section on forwarding compares.',
      ],
      tables: [
        {
          title: 'ns per packet',
          columns: ['empty program', 'empty tables, net', 'full, net', 'full : empty', 'not net'],
          rows,
        },
      ],
      behind: [],
      targets,
    };
  } finally {
    await closeAll(places);
    ring.close();
  }
}

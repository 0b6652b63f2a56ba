// SPDX-License-Identifier: Apache-2.0
import { EventRing } from '@relatd/native';
import { Lines, type ByteCosts, type Costs } from './lines.js';
import type { Scale } from './options.js';
import { Place } from './place.js';
import { atMost, figure, type Row, type Section, type Target } from './report.js';
import { Ring } from './ring.js';
import { ratioOfMedians, spread } from './statistics.js';

/** So few that they stay in the caches. */
const WARM = 64;
const TWICE = 2;
const INSERT_LIMIT = 1.3;

const TITLES: Readonly<Record<keyof Costs, string>> = {
  known: 'a packet of a known flow',
  follow: 'a line of 22 bytes that announces nothing',
  refresh: 'an announcement of 22 bytes of what is expected already',
  insert: 'what a new expectation adds, which takes the place of the last',
  bare: 'the bare map calls of that',
};

/** What control lines cost in the datapath, beside bare programs that do the same. */
export async function control(scale: Scale): Promise<Section> {
  const { tuples, controlRounds: rounds } = scale;
  const ring = new Ring(5 * tuples, 2 * tuples);
  const events = new EventRing(ring.map('bare_events'), new ArrayBuffer(1 << 20), () => undefined);
  let place: Place | null = null;
  try {
    place = await Place.create('control');
    const lines = new Lines(ring, place.loaded, events, tuples);
    const few = Math.min(WARM, tuples);
    const warm = await lines.costs(few, true, rounds);
    const cold = await lines.costs(tuples, false, rounds);
    const bytes = await lines.byteCosts(few, rounds);
    const { judged } = place.loaded.datapath.tables.counters();
    if (judged > 0) throw new Error(`${String(judged)} connections were left to user space`);
    return section(scale, warm, cold, bytes);
  } finally {
    events.close();
    await place?.close();
    ring.close();
  }
}

function section({ tuples, controlRounds }: Scale, warm: Costs, cold: Costs, bytes: ByteCosts): Section {
  const many = tuples.toLocaleString('en');
  const base = (kind: keyof Costs): keyof Costs | null =>
    kind === 'follow' || kind === 'refresh' ? 'known' : kind === 'insert' ? 'bare' : null;
  const rows = (Object.keys(TITLES) as (keyof Costs)[]).map((kind): Row => {
    const to = base(kind);
    return {
      label: TITLES[kind],
      cells: [cold, warm].flatMap((costs) => [
        figure(spread(costs[kind]), 'ns'),
        to === null ? null : figure(ratioOfMedians(costs[kind], costs[to]), 'ratio'),
      ]),
    };
  });
  const byteRow = (label: string, kind: keyof ByteCosts): Row => ({
    label,
    cells: [
      figure(spread(bytes[kind]), 'ns per byte'),
      kind === 'matcher' ? figure(ratioOfMedians(bytes.matcher, bytes.loop), 'ratio') : null,
    ],
  });
  const ratio = (costs: Costs, one: keyof Costs, other: keyof Costs): ReturnType<typeof figure> =>
    figure(ratioOfMedians(costs[one], costs[other]), 'ratio');
  const targets: Target[] = (
    [
      ['many', cold],
      ['few', warm],
    ] as const
  ).flatMap(([which, costs]) => {
    const where = which === 'many' ? `${many} connections` : `${String(WARM)} connections, in the caches`;
    return [
      atMost(
        `22 bytes followed and matched: at most 2 x a packet of a known flow, ${where}`,
        ratio(costs, 'follow', 'known'),
        TWICE,
      ),
      atMost(
        `22 bytes that announce what is expected: at most 2 x a packet of a known flow, ${where}`,
        ratio(costs, 'refresh', 'known'),
        TWICE,
      ),
      atMost(
        `a new expectation: at most 1.3 x the bare map calls, ${where}`,
        ratio(costs, 'insert', 'bare'),
        INSERT_LIMIT,
      ),
    ];
  });
  targets.push(
    atMost(
      'the matcher: at most 2 x a bounded loop with one dependent load per byte',
      figure(ratioOfMedians(bytes.matcher, bytes.loop), 'ratio'),
      TWICE,
    ),
  );
  return {
    name: 'control',
    title: 'Control lines, BPF_PROG_TEST_RUN',
    notes: [
      `Control connections that are logged in say lines in stream order; ${many} of them in turn (cold), or ${String(WARM)} that stay in the caches (warm); medians (quartiles) of ${String(controlRounds)} rounds, order rotated, less the empty program behind the same ring. ` +
        'A known flow is a related one, established, as many of them. Every line is followed by sequence numbers, walked through the tables of the FTP helper, and sampled for people. TCP checksums are left to the device, as senders with offload leave them. ' +
        'The first announcement expects what is expected already: its deadline moves. The second is new each time: the one before leaves, and two events say so; its figure is what that adds to the first. ' +
        'The bare map calls are those of tools/bench/native/yardstick.h: index, records, free slots, ports, sources, totals, two events; the same keys, tables of the same size.',
      'A byte: what each byte more costs in a line of 1,000 bytes. The loop loads the bytes as the matcher does, then does one dependent load per byte and nothing else; copying a sample for people stands apart.',
    ],
    tables: [
      { title: 'ns per packet, net', columns: ['cold', 'ratio', 'warm', 'ratio'], rows },
      {
        title: 'ns per byte',
        columns: ['warm', ': loop'],
        rows: [
          byteRow('the matcher', 'matcher'),
          byteRow('a bounded loop, one dependent load per byte', 'loop'),
          byteRow('the copy for people', 'copy'),
        ],
      },
    ],
    behind: [],
    targets,
  };
}

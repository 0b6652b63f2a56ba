// SPDX-License-Identifier: Apache-2.0
import type { RunningProcess } from '@relatd/lab';
import { FtpLab, VARIANT_TITLES, type Variant } from './ftpLab.js';
import type { Scale } from './options.js';
import { nativeTool } from './paths.js';
import { atMost, figure, single, type Row, type Section } from './report.js';
import { turned } from './rounds.js';
import { quantile, ratioOfMedians, spread } from './statistics.js';
import { closeAll } from './variant.js';

const GATEWAYS: readonly Variant[] = ['nothing', 'netfilter', 'mark'];
/** What is compared: connections through these gateways, and such that relatd's tables leave to user space. */
const WAYS = ['nothing', 'netfilter', 'mark', 'judged'] as const;
type Way = (typeof WAYS)[number];

const TITLES: Readonly<Record<Way, string>> = {
  nothing: VARIANT_TITLES.nothing,
  netfilter: VARIANT_TITLES.netfilter,
  mark: VARIANT_TITLES.mark,
  judged: 'relatd, judged by user space',
};
const KINDS = { noop: 'NOOP', pasv: 'PASV', port: 'PORT' } as const;
const LINES = { passive: '227', active: 'PORT' } as const;
const NANOSECONDS_PER_US = 1000;
const SLOWER = 1.05;
const TAIL = 0.99;

/** Microseconds by kind of line, a list per round. */
type Rounds = Record<keyof typeof KINDS, number[][]>;
/** The same, all together. */
type Lines = Record<keyof typeof LINES, number[]>;

/** How long control lines take, announcements among them. */
export async function announcements(scale: Scale): Promise<Section> {
  const labs = await FtpLab.buildAll(GATEWAYS);
  try {
    const watchers = new Map<Variant, RunningProcess>();
    for (const { variant, lab } of labs) {
      const watcher = await lab.gateway.spawn(nativeTool('transit'), ['eth0', 'eth1']);
      await watcher.waitFor(/ready/);
      watchers.set(variant, watcher);
    }
    const contenders = WAYS.map((way) => {
      const lab = labs.find(({ variant }) => variant === (way === 'judged' ? 'mark' : way));
      if (lab === undefined) throw new Error(`no lab for ${way}`);
      const rounds: Rounds = { noop: [], pasv: [], port: [] };
      return { way, lab, rounds };
    });
    // The first round warms up and is not counted.
    for (let round = -1; round < scale.announcementRounds; round++) {
      for (const { way, lab, rounds } of turned(contenders, Math.max(0, round))) {
        const judged = way === 'judged' ? (['judged'] as const) : [];
        const { stdout } = await lab.client('rtt', 'light', [scale.announcements], judged);
        if (round >= 0) gatherRound(rounds, stdout);
      }
    }
    const transit = await stopWatchers(watchers, scale.announcements);
    const roundsOf = new Map(contenders.map(({ way, rounds }) => [way, rounds]));
    return section(scale, (way, kind) => roundsOf.get(way)?.[kind] ?? [], transit);
  } finally {
    await closeAll(labs);
  }
}

function section(
  scale: Scale,
  rounds: (way: Way, kind: keyof Rounds) => number[][],
  transit: Readonly<Record<Way | 'release', Lines>>,
): Section {
  const tails = (way: Way, kind: keyof Rounds): number[] => rounds(way, kind).map((round) => quantile(round, TAIL));
  const against = (way: Way, kind: keyof Rounds): ReturnType<typeof figure> =>
    figure(ratioOfMedians(tails(way, kind), tails('nothing', kind)), 'ratio');
  const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];
  const roundTrips = kinds.flatMap((kind) =>
    WAYS.map((way): Row => {
      const all = rounds(way, kind).flat();
      return {
        label: `${KINDS[kind]}: ${TITLES[way]}`,
        cells: [
          figure(spread(all), 'us'),
          figure(spread(tails(way, kind)), 'us'),
          way === 'nothing' ? null : against(way, kind),
          single(all.length, 'count'),
        ],
      };
    }),
  );
  const lines = Object.keys(LINES) as (keyof typeof LINES)[];
  const lineRows = (titles: Readonly<Partial<Record<Way | 'release', string>>>): Row[] =>
    lines.flatMap((line) =>
      (Object.keys(titles) as (Way | 'release')[]).map((way) => {
        const values = transit[way][line];
        return {
          label: `${LINES[line]}: ${titles[way] ?? ''}`,
          cells: [figure(spread(values), 'us'), single(quantile(values, TAIL), 'us'), single(values.length, 'count')],
        };
      }),
    );
  const columns = ['p50', 'p99', 'seen'];
  const behind = lines.flatMap((line) => {
    const [ours, theirs] = [quantile(transit.mark[line], 0.5), quantile(transit.netfilter[line], 0.5)];
    if (!(ours > theirs)) return [];
    return [
      `${LINES[line]} stays ${ours.toFixed(1)} us in the gateway with relatd, ${theirs.toFixed(1)} us with netfilter`,
    ];
  });
  for (const kind of kinds) {
    const [ours, theirs] = [
      quantile(rounds('mark', kind).flat(), 0.5),
      quantile(rounds('netfilter', kind).flat(), 0.5),
    ];
    if (ours > theirs)
      behind.push(
        `a control round trip (${KINDS[kind]}) takes ${ours.toFixed(1)} us with relatd, ${theirs.toFixed(1)} us with netfilter`,
      );
  }
  return {
    name: 'announcements',
    title: 'Announcements',
    notes: [
      `A scripted session: ${String(scale.announcementRounds)} rounds of ${String(scale.announcements)} NOOP, PASV and PORT each, order of the gateways rotated. ` +
        'Round trip: as the client measures it, command to reply, server included; p99 is that of a round, and its median and quartiles are those of the rounds. ' +
        "Transit: from arrival on one interface to departure on the other, by the kernel's timestamps; the expectation is live before an announcement departs. " +
        'Judged: a connection that has said what the tables leave to user space (here ABOR), which holds every packet from then on. Release: from its arrival to its second sighting on that interface, back from the hold device.',
    ],
    tables: [
      { title: 'round trip', columns: ['p50', 'p99', 'p99 : no tracking', 'seen'], rows: roundTrips },
      { title: 'transit', columns, rows: lineRows(TITLES) },
      { title: 'arrival to release', columns, rows: lineRows({ release: TITLES.judged }) },
    ],
    behind,
    targets: kinds.map((kind) =>
      atMost(`control round trip, ${KINDS[kind]}: p99 at most 1.05 x no tracking`, against('mark', kind), SLOWER),
    ),
  };
}

/** Lines `kind nanoseconds` of one round. */
function gatherRound(rounds: Rounds, text: string): void {
  const round: Record<string, number[]> = { noop: [], pasv: [], port: [] };
  for (const line of text.split('\n')) {
    const [kind = '', nanoseconds] = line.split(' ');
    round[kind]?.push(Number(nanoseconds) / NANOSECONDS_PER_US);
  }
  for (const kind of Object.keys(rounds) as (keyof Rounds)[]) rounds[kind].push(round[kind] ?? []);
}

/** Lines `kind release transit`: release is 0 for what was not held. */
async function stopWatchers(
  watchers: ReadonlyMap<Variant, RunningProcess>,
  perRound: number,
): Promise<Record<Way | 'release', Lines>> {
  const none = (): Lines => ({ passive: [], active: [] });
  const seen = { nothing: none(), netfilter: none(), mark: none(), judged: none(), release: none() };
  for (const [variant, watcher] of watchers) {
    await watcher.stop();
    // Through this one come the judged as well. The first round is not counted.
    const skip = 2 * perRound * (variant === 'mark' ? 2 : 1);
    for (const line of watcher.stdout.split('\n').slice(1 + skip)) {
      const [kind = '', release = 0, transit = 0] = line
        .split(' ')
        .map((field, at) => (at === 0 ? field : Number(field)));
      if (kind !== 'passive' && kind !== 'active') continue;
      const held = Number(release) > 0;
      const way = variant === 'mark' && held ? 'judged' : (variant as Way);
      seen[way][kind].push(Number(transit) / NANOSECONDS_PER_US);
      if (held) seen.release[kind].push(Number(release) / NANOSECONDS_PER_US);
    }
  }
  return seen;
}

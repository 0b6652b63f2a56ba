// SPDX-License-Identifier: Apache-2.0
import type { RunningProcess } from '@relatd/lab';
import { FtpLab, VARIANT_TITLES, type Variant } from './ftpLab.js';
import type { Scale } from './options.js';
import { nativeTool } from './paths.js';
import { figure, single, type Row, type Section } from './report.js';
import { turned } from './rounds.js';
import { quantile, spread } from './statistics.js';
import { closeAll } from './variant.js';

const VARIANTS: readonly Variant[] = ['nothing', 'netfilter', 'mark'];
const NANOSECONDS_PER_US = 1000;

/** What was seen of one variant, in microseconds, by kind of line. */
interface Seen {
  readonly release: Map<string, number[]>;
  readonly transit: Map<string, number[]>;
  readonly roundTrip: Map<string, number[]>;
}

/** Time from an announcement's arrival to its release with the expectation live, and what a client sees of it. */
export async function announcements(scale: Scale): Promise<Section> {
  const labs = await FtpLab.buildAll(VARIANTS);
  try {
    const watchers = new Map<Variant, RunningProcess>();
    for (const { variant, lab } of labs) {
      const watcher = await lab.gateway.spawn(nativeTool('transit'), ['eth0', 'eth1']);
      await watcher.waitFor(/ready/);
      watchers.set(variant, watcher);
    }
    const seen = new Map<Variant, Seen>();
    for (const { variant } of labs) seen.set(variant, { release: new Map(), transit: new Map(), roundTrip: new Map() });
    // The first round warms up and is not counted.
    for (let round = -1; round < scale.announcementRounds; round++) {
      for (const one of turned(labs, Math.max(0, round))) {
        const { stdout } = await one.client('rtt', 'light', [scale.announcements]);
        if (round >= 0) gather(seen.get(one.variant)?.roundTrip, stdout, 1);
      }
    }
    const skip = 2 * scale.announcements;
    for (const [variant, watcher] of watchers) {
      await watcher.stop();
      const lines = watcher.stdout
        .split('\n')
        .slice(1 + skip)
        .join('\n');
      gather(seen.get(variant)?.release, lines, 1);
      gather(seen.get(variant)?.transit, lines, 2);
    }

    const rows = (what: keyof Seen, kinds: readonly string[], titles: Readonly<Record<string, string>>): Row[] =>
      kinds.flatMap((kind) =>
        VARIANTS.filter((variant) => what !== 'release' || variant === 'mark').map((variant) => {
          const values = seen.get(variant)?.[what].get(kind) ?? [];
          return {
            label: `${titles[kind] ?? kind}: ${VARIANT_TITLES[variant]}`,
            cells: [figure(spread(values), 'us'), single(quantile(values, 0.99), 'us'), single(values.length, 'count')],
          };
        }),
      );
    const titles = { passive: '227', active: 'PORT', noop: 'NOOP', pasv: 'PASV', port: 'PORT' };
    const columns = ['p50', 'p99', 'seen'];
    const median = (variant: Variant, what: keyof Seen, kind: string): number =>
      quantile(seen.get(variant)?.[what].get(kind) ?? [], 0.5);
    const behind = (['passive', 'active'] as const).flatMap((kind) => {
      const [ours, theirs] = [median('mark', 'transit', kind), median('netfilter', 'transit', kind)];
      if (!(ours > theirs)) return [];
      return [
        `${titles[kind]} stays ${ours.toFixed(0)} us in the gateway with relatd (held until its expectation is live), ${theirs.toFixed(0)} us with netfilter`,
      ];
    });
    for (const kind of ['noop', 'pasv', 'port'] as const) {
      const [ours, theirs] = [median('mark', 'roundTrip', kind), median('netfilter', 'roundTrip', kind)];
      if (ours > theirs)
        behind.push(
          `a control round trip (${titles[kind]}) takes ${ours.toFixed(0)} us with relatd, ${theirs.toFixed(0)} us with netfilter`,
        );
    }
    return {
      name: 'announcements',
      title: 'Announcements',
      notes: [
        `A scripted session: ${String(scale.announcementRounds)} rounds of ${String(scale.announcements)} NOOP, PASV and PORT each, order of the gateways rotated. ` +
          "Release: from the kernel's timestamp of the announcement at the gateway's interface to its second sighting on that interface, back from the hold device; by then its expectation is live. " +
          'Transit: from arrival on one interface to departure on the other, by the same clock, with and without relatd. ' +
          'Round trip: as the client measures it, command to reply, server included. Here every control payload takes the held path, NOOP and replies too; the tables that decide most of them in the datapath are for a later version.',
      ],
      tables: [
        { title: 'arrival to release', columns, rows: rows('release', ['passive', 'active'], titles) },
        { title: 'transit', columns, rows: rows('transit', ['passive', 'active'], titles) },
        { title: 'round trip', columns, rows: rows('roundTrip', ['noop', 'pasv', 'port'], titles) },
      ],
      behind,
    };
  } finally {
    await closeAll(labs);
  }
}

/** Lines `kind number …`: the numbers of a column, in microseconds. */
function gather(into: Map<string, number[]> | undefined, text: string, column: number): void {
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const [kind = ''] = fields;
    const value = Number(fields[column] ?? 0);
    if (kind === '' || !(value > 0)) continue;
    const list = into?.get(kind) ?? [];
    list.push(value / NANOSECONDS_PER_US);
    into?.set(kind, list);
  }
}

// SPDX-License-Identifier: Apache-2.0
import { FtpLab, VARIANT_TITLES, type Variant } from './ftpLab.js';
import type { Scale } from './options.js';
import { atMost, figure, single, type Section } from './report.js';
import { pairedRounds } from './rounds.js';
import { pairedDifference, pairedRatio, quantile, spread } from './statistics.js';
import { closeAll } from './variant.js';

const VARIANTS: readonly Variant[] = ['nothing', 'netfilter', 'mark', 'rules', 'existing'];
const NANOSECONDS_PER_US = 1000;
const TAIL = 0.99;

/** How long a data connection takes to be there: with `related: conntrack` its first packet waits for the daemon. */
export async function starts(scale: Scale): Promise<Section> {
  const labs = await FtpLab.buildAll(VARIANTS);
  try {
    const all = new Map<Variant, number[]>(VARIANTS.map((variant) => [variant, []]));
    const contenders = labs.map((one) => ({
      name: one.variant,
      measure: async () => {
        const { stdout } = await one.client('starts', 'light', [scale.announcements]);
        const times = stdout
          .trim()
          .split('\n')
          .map((line) => Number(line) / NANOSECONDS_PER_US);
        all.get(one.variant)?.push(...times);
        return quantile(times, 0.5);
      },
    }));
    for (const { measure } of contenders) await measure();
    for (const times of all.values()) times.length = 0;
    const medians = await pairedRounds(contenders, scale.announcementRounds);
    return {
      name: 'starts',
      title: 'Start of a data connection',
      notes: [
        `connect() of the client to a port that the server has just announced, ${String(scale.announcementRounds)} rounds of ${String(scale.announcements)}, order of the gateways rotated. Added: difference of the rounds' medians to no tracking.`,
      ],
      tables: [
        {
          title: 'connect()',
          columns: ['p50', 'p99', 'added', 'seen'],
          rows: VARIANTS.map((variant) => {
            const times = all.get(variant) ?? [];
            return {
              label: VARIANT_TITLES[variant],
              cells: [
                figure(spread(times), 'us'),
                single(quantile(times, TAIL), 'us'),
                variant === 'nothing' ? null : figure(pairedDifference(medians[variant], medians.nothing), 'us'),
                single(times.length, 'count'),
              ],
            };
          }),
        },
      ],
      behind: [],
      targets: (['mark', 'rules'] as const).map((variant) =>
        atMost(
          `start of a data connection, ${VARIANT_TITLES[variant]}: at most netfilter's`,
          figure(pairedRatio(medians[variant], medians.netfilter), 'ratio'),
          1,
        ),
      ),
    };
  } finally {
    await closeAll(labs);
  }
}

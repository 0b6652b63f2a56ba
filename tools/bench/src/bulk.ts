// SPDX-License-Identifier: Apache-2.0
import { FtpLab, VARIANT_TITLES, type Variant } from './ftpLab.js';
import type { Scale } from './options.js';
import { figure, quartileText, type Section, type Target } from './report.js';
import { pairedRounds } from './rounds.js';
import { medianInterval, pairedRatio, spread } from './statistics.js';
import { closeAll } from './variant.js';

const VARIANTS: readonly Variant[] = ['nothing', 'netfilter', 'mark', 'rules'];
const GBIT = 1e9 / 8;
const LEAST = 0.95;

/** Throughput of a related flow. */
export async function bulk(scale: Scale): Promise<Section> {
  const labs = await FtpLab.buildAll(VARIANTS);
  try {
    const contenders = labs.map((one) => ({
      name: one.variant,
      measure: async () => Number((await one.client('bulk', 'light', [1, scale.bulkBytes])).stdout) / GBIT,
    }));
    for (const { measure } of contenders) await measure();
    const results = await pairedRounds(contenders, scale.bulkRounds);
    const behind = (['mark', 'rules'] as const).flatMap((variant) => {
      const ratio = pairedRatio(results[variant], results.netfilter);
      if (!(ratio.median < 1)) return [];
      return [
        `bulk throughput, ${VARIANT_TITLES[variant]}: ${ratio.median.toFixed(3)} of netfilter's (quartiles ${quartileText(ratio)})`,
      ];
    });
    const targets = (['mark', 'rules'] as const).map((variant): Target => {
      const { lower, upper } = medianInterval(
        results[variant].map((value, round) => value / (results.nothing[round] ?? Number.NaN)),
      );
      return {
        target: `throughput of a related flow, ${VARIANT_TITLES[variant]}: lower end of the 95 % interval at least ${String(LEAST)} of no tracking`,
        reached: `${lower.toFixed(3)} to ${upper.toFixed(3)} x`,
        met: lower >= LEAST,
      };
    });
    return {
      name: 'bulk',
      title: 'Bulk throughput of a related flow',
      notes: [
        `One passive RETR of ${(scale.bulkBytes / 1e6).toFixed(0)} MB per round and gateway, ${String(scale.bulkRounds)} rounds, order rotated; the last three quarters are timed, because buffers fill before the reply on the control connection is there. Server on the first CPU, client on the last. Veth pairs with offload as the kernel has it: packets are up to 64 KiB.`,
      ],
      tables: [
        {
          title: 'throughput',
          columns: ['Gbit/s', ': no tracking', ': netfilter'],
          rows: VARIANTS.map((variant) => ({
            label: VARIANT_TITLES[variant],
            cells: [
              figure(spread(results[variant]), 'Gbit/s'),
              variant === 'nothing' ? null : figure(pairedRatio(results[variant], results.nothing), 'ratio'),
              variant === 'nothing' || variant === 'netfilter'
                ? null
                : figure(pairedRatio(results[variant], results.netfilter), 'ratio'),
            ],
          })),
        },
      ],
      behind,
      targets,
    };
  } finally {
    await closeAll(labs);
  }
}

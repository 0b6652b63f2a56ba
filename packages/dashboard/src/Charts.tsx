// SPDX-License-Identifier: Apache-2.0
import { Chart } from './Chart.js';
import type { Feed } from './feed.js';
import { REFUSED, TABLE } from './series.js';
import type { Theme } from './theme.js';

/** The daemon's numbers over time, since the page was opened. */
export function Charts({ feed, version, theme }: { feed: Feed; version: number; theme: Theme }) {
  const { series } = feed;
  if (series.samples.length < 2) return <p class="empty">Numbers are collected from now on …</p>;
  const refusals = series.names(REFUSED);
  const common = { series, version, theme };
  return (
    <div class="view scroll" role="region" aria-label="Charts" tabIndex={0}>
      <div class="charts">
        <Chart {...common} title="Expectations and matches" unit="per second" names={['expected', 'matched']} />
        <Chart
          {...common}
          title="Refusals by reason"
          unit="per second"
          names={refusals}
          prefix={REFUSED}
          nothing="Nothing was refused since this page was opened."
        />
        <Chart {...common} title="Tracked now" unit="" names={['control', 'related', 'expectations']} />
        <Chart {...common} title="Table fill" unit="%" names={series.names(TABLE)} prefix={TABLE} />
        <Chart {...common} title="Lost events" unit="per second" names={['lost events', 'lost samples']} />
        <Chart {...common} title="Held packets" unit="per second" names={['held', 'released', 'unattended']} />
      </div>
    </div>
  );
}

// SPDX-License-Identifier: Apache-2.0
import type { Counters } from '@relatd/model';
import type { Feed } from './feed.js';
import { fullest } from './tables.js';
import { number } from './text.js';

interface Tile {
  readonly title: string;
  readonly value: string;
  readonly note: string;
  readonly bad?: boolean;
}

/** The numbers that one looks at first. */
export function Tiles({ feed }: { feed: Feed }) {
  const { counters } = feed;
  const tiles = counters === null ? [] : tilesOf(counters, feed.lost);
  return (
    <dl class="tiles">
      {tiles.map(({ title, value, note, bad }) => (
        <div key={title} class={bad === true ? 'tile bad' : 'tile'}>
          <dt>{title}</dt>
          <dd>
            <strong>{value}</strong>
            <span>{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function tilesOf(counters: Counters, lostHere: number): Tile[] {
  const { assignments, losses, hold } = counters;
  const sum = (value: (assignment: Counters['assignments'][number]) => number): number =>
    assignments.reduce((total, assignment) => total + value(assignment), 0);
  const refused = sum((assignment) => Object.values(assignment.refused).reduce((total, count) => total + count, 0));
  const matched = sum(({ relatedTotal }) => relatedTotal);
  const expected = sum(({ expectationTotal }) => expectationTotal);
  const full = fullest(counters.tables);
  const lost = losses.events + losses.samples + lostHere;
  return [
    {
      title: 'Control connections',
      value: number(sum(({ flows }) => flows.control)),
      note: `${number(sum(({ controlTotal }) => controlTotal))} since the start`,
    },
    { title: 'Related flows', value: number(sum(({ flows }) => flows.related)), note: `${number(matched)} matched` },
    { title: 'Expectations', value: number(sum(({ expectations }) => expectations)), note: `${number(expected)} made` },
    { title: 'Refused', value: number(refused), note: 'announcements' },
    {
      title: 'Fullest table',
      value: full === null ? '–' : `${full.percent.toFixed(full.percent < 10 ? 1 : 0)} %`,
      note: full === null ? 'no table' : `${full.name}: ${number(full.used)} of ${number(full.size)}`,
      bad: full !== null && full.percent > 80,
    },
    { title: 'Lost', value: number(lost), note: 'events and samples', bad: lost > 0 },
    {
      title: 'Hold device',
      value: hold.device === null ? 'missing' : 'ready',
      note: `${number(hold.held)} held, ${number(hold.unattended)} not in time`,
      bad: hold.device === null,
    },
  ];
}

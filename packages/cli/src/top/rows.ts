// SPDX-License-Identifier: Apache-2.0
import { searchText, type ExpectedItem, type Figures, type RelatedItem, type Session } from './sessions.js';

/** By what sessions, and the rows of each, are sorted: the first is what interests most. */
export const SORTS = ['rate', 'bytes', 'age', 'idle', 'assignment'] as const;

export type Sort = (typeof SORTS)[number];

export interface Selection {
  readonly sort: Sort;
  readonly reverse: boolean;
  /** Only sessions and rows with this text; empty: all. */
  readonly filter: string;
  /** Whether only the first row of a session is shown. */
  readonly isFolded: (master: string) => boolean;
}

/** A line of the list: a session, or one of its rows. */
export type Row =
  | { readonly kind: 'control'; readonly item: Session; readonly folded: boolean }
  | { readonly kind: 'expected'; readonly item: ExpectedItem }
  | { readonly kind: 'related'; readonly item: RelatedItem };

/** The lines of the list: each session, then its expectations and its related flows. */
export function rowsOf(sessions: readonly Session[], { sort, reverse, filter, isFolded }: Selection): Row[] {
  const compare = comparison(sort, reverse);
  const wanted = filter.toLowerCase();
  const rows: Row[] = [];
  const sorted = sessions.toSorted(
    (a, b) => (sort === 'assignment' ? named(a, b, reverse) : compare(a, b)) || compareIds(a.master, b.master),
  );
  for (const session of sorted) {
    const all = wanted === '' || (session.subject !== null && searchText(session.subject).includes(wanted));
    const isWanted = ({ subject }: ExpectedItem | RelatedItem): boolean => all || searchText(subject).includes(wanted);
    const expected = session.expected.filter(isWanted);
    const related = session.related.filter(isWanted);
    if (!all && expected.length === 0 && related.length === 0) continue;
    const folded = isFolded(session.master);
    rows.push({ kind: 'control', item: session, folded });
    if (folded) continue;
    const within = (a: Figures & { subject: { id: string } }, b: Figures & { subject: { id: string } }): number =>
      compare(a, b) || compareIds(a.subject.id, b.subject.id);
    for (const item of expected.sort(within)) rows.push({ kind: 'expected', item });
    for (const item of related.sort(within)) rows.push({ kind: 'related', item });
  }
  return rows;
}

type Comparison = (a: Figures, b: Figures) => number;

/** What is not known is last, whatever the direction. */
function comparison(sort: Sort, reverse: boolean): Comparison {
  const by = (value: (figures: Figures) => number | null, most: boolean): Comparison => {
    const sign = most === reverse ? 1 : -1;
    return (a, b) => {
      const [first, second] = [value(a), value(b)];
      if (first === null || second === null) return Number(first === null) - Number(second === null);
      return sign * (first - second);
    };
  };
  switch (sort) {
    case 'rate':
      return by(({ rate }) => rate, true);
    case 'bytes':
      return by(({ bytes }) => bytes, true);
    case 'age':
      return by(({ ageSeconds }) => ageSeconds, false);
    case 'idle':
      return by(({ idleSeconds }) => idleSeconds, false);
    case 'assignment':
      return () => 0;
  }
}

function named(a: Session, b: Session, reverse: boolean): number {
  const order = Number(a.assignment > b.assignment) - Number(a.assignment < b.assignment);
  return reverse ? -order : order;
}

/** Ids are numbers of any length: the older first. */
function compareIds(a: string, b: string): number {
  return a.length - b.length || Number(a > b) - Number(a < b);
}

// SPDX-License-Identifier: Apache-2.0

export const VIEWS = ['sessions', 'charts', 'events', 'system'] as const;
export const SHOWN = ['live', 'trouble', 'all'] as const;
export const SORTS = ['started', 'source', 'destination', 'assignment', 'state', 'bytes', 'rate'] as const;

export type View = (typeof VIEWS)[number];
/** Which sessions: those that live; those that are no longer parsed or had something refused; also those that are over. */
export type Shown = (typeof SHOWN)[number];
export type Sort = (typeof SORTS)[number];

/** What the page shows: all of it stands in the address, so that it can be sent to somebody. */
export interface Place {
  readonly view: View;
  /** Words that a session or an event has to contain, separated by spaces. */
  readonly query: string;
  readonly assignment: string;
  readonly shown: Shown;
  readonly sort: Sort;
  readonly descending: boolean;
  /** Whether related flows and expectations stand below their control connection. */
  readonly tree: boolean;
  /** Id of the control connection whose detail is open; empty: none. */
  readonly session: string;
}

export const HOME: Place = {
  view: 'sessions',
  query: '',
  assignment: '',
  shown: 'live',
  sort: 'started',
  descending: true,
  tree: true,
  session: '',
};

/** Reads the query part of an address. What it does not understand is as at home. */
export function placeOf(search: string): Place {
  const parameters = new URLSearchParams(search);
  const word = <Word extends string>(name: string, words: readonly Word[], otherwise: Word): Word =>
    words.find((one) => one === parameters.get(name)) ?? otherwise;
  const text = (name: string): string => (parameters.get(name) ?? '').slice(0, 200);
  const sort = word('sort', SORTS, HOME.sort);
  return {
    view: word('view', VIEWS, HOME.view),
    query: text('q'),
    assignment: text('assignment'),
    shown: word('show', SHOWN, HOME.shown),
    sort,
    descending: word('order', ['up', 'down'], 'down') === 'down',
    tree: parameters.get('tree') !== 'no',
    session: text('session'),
  };
}

/** The query part of an address; empty at home. */
export function searchOf(place: Place): string {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string, usual: string): void => {
    if (value !== usual) parameters.set(name, value);
  };
  set('view', place.view, HOME.view);
  set('q', place.query, HOME.query);
  set('assignment', place.assignment, HOME.assignment);
  set('show', place.shown, HOME.shown);
  set('sort', place.sort, HOME.sort);
  set('order', place.descending ? 'down' : 'up', 'down');
  set('tree', place.tree ? 'yes' : 'no', 'yes');
  set('session', place.session, HOME.session);
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

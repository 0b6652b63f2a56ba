// SPDX-License-Identifier: Apache-2.0
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Filters } from './Filters.js';
import { Details } from './Details.js';
import type { Feed } from './feed.js';
import { SHOWN, type Place, type Shown } from './place.js';
import { rowsOf } from './rows.js';
import { SessionTable } from './SessionTable.js';
import { Tiles } from './Tiles.js';

const SHOWN_TITLES: Readonly<Record<Shown, string>> = { live: 'Live', trouble: 'Trouble', all: 'All' };

interface Properties {
  readonly feed: Feed;
  /** Changes whenever the feed has something new. */
  readonly version: number;
  readonly place: Place;
  readonly go: (change: Partial<Place>) => void;
}

/** Numbers, filters, the table of sessions, and the detail of one. */
export function SessionView({ feed, version, place, go }: Properties) {
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(() => rowsOf(feed.sessions.all, place, toggled), [feed, version, place, toggled]);
  const search = useRef<HTMLInputElement>(null);
  const table = useRef<HTMLDivElement>(null);
  const session = place.session === '' ? undefined : feed.sessions.get(place.session);
  const assignments = feed.counters?.assignments.map(({ name }) => name) ?? [];
  const sessions = rows.filter(({ kind }) => kind === 'control').length;

  useEffect(() => {
    const find = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener('keydown', find);
    return () => {
      removeEventListener('keydown', find);
    };
  }, []);

  const toggle = (id: string): void => {
    setToggled((before) => {
      const next = new Set(before);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  };

  return (
    <div class="view sessions">
      <Tiles feed={feed} />
      <Filters>
        <input
          ref={search}
          type="search"
          placeholder="Address, user, file …  ( / )"
          aria-label="Find sessions"
          value={place.query}
          onInput={(event) => {
            go({ query: event.currentTarget.value });
          }}
        />
        <select
          aria-label="Assignment"
          value={place.assignment}
          onChange={(event) => {
            go({ assignment: event.currentTarget.value });
          }}
        >
          <option value="">All assignments</option>
          {[...new Set([...assignments, ...(place.assignment === '' ? [] : [place.assignment])])].map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <div class="segments" role="group" aria-label="Which sessions">
          {SHOWN.map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={one === place.shown}
              onClick={() => {
                go({ shown: one });
              }}
            >
              {SHOWN_TITLES[one]}
            </button>
          ))}
        </div>
        <label class="check">
          <input
            type="checkbox"
            checked={place.tree}
            onChange={(event) => {
              setToggled(new Set());
              go({ tree: event.currentTarget.checked });
            }}
          />
          Related flows
        </label>
        <output class="soft">
          {sessions} of {feed.sessions.size} sessions
        </output>
      </Filters>
      <div class={session === undefined ? 'split' : 'split open'}>
        <SessionTable
          rows={rows}
          place={place}
          go={go}
          toggle={toggle}
          container={table}
          empty={emptyText(feed, place)}
        />
        {session !== undefined && (
          <Details
            session={session}
            close={() => {
              go({ session: '' });
              table.current?.focus();
            }}
          />
        )}
      </div>
    </div>
  );
}

function emptyText(feed: Feed, place: Place): string {
  if (feed.connection.state === 'connecting') return 'Asking the daemon …';
  if (feed.sessions.size > 0 || place.query !== '' || place.assignment !== '') return 'No session is like this.';
  return 'No control connection is open. They appear here when they begin.';
}

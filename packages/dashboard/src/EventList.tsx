// SPDX-License-Identifier: Apache-2.0
import { EVENT_TYPES, explainReason, formatDetail, formatEndpoint, type Event } from '@relatd/model';
import { useMemo } from 'preact/hooks';
import { clock } from './text.js';
import { Filters } from './Filters.js';
import { Headings } from './Headings.js';
import type { Feed } from './feed.js';
import type { Place } from './place.js';

/** Events that are drawn: nobody reads more, and each costs. */
const DRAWN = 300;

interface Properties {
  readonly feed: Feed;
  readonly version: number;
  readonly place: Place;
  readonly go: (change: Partial<Place>) => void;
}

/** What happens, the latest first, as `relatd monitor` prints it. */
export function EventList({ feed, version, place, go }: Properties) {
  const events = useMemo(() => latest(feed.events, place.query), [feed, version, place.query]);
  return (
    <div class="view">
      <Filters>
        <input
          type="search"
          list="event-types"
          placeholder="Type, address, user, reason …"
          aria-label="Find events"
          value={place.query}
          onInput={(event) => {
            go({ query: event.currentTarget.value });
          }}
        />
        <datalist id="event-types">
          {EVENT_TYPES.map((type) => (
            <option key={type} value={type} />
          ))}
        </datalist>
        <output class="soft">
          the last {events.length} of {feed.events.length} that are kept here
          {feed.lost > 0 ? `; ${String(feed.lost)} were lost` : ''}
        </output>
      </Filters>
      <div class="scroll" role="region" aria-label="Events" tabIndex={0}>
        <table class="plain events">
          <Headings titles={['Time', 'Event', 'Assignment', 'Connection', 'Detail', 'Why']} />
          <tbody>
            {events.map((event, index) => (
              <EventRow key={`${event.time} ${String(events.length - index)}`} event={event} go={go} />
            ))}
          </tbody>
        </table>
        {events.length === 0 && <p class="empty">Nothing has happened since this page was opened.</p>}
      </div>
    </div>
  );
}

function latest(events: readonly Event[], query: string): Event[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Event[] = [];
  for (let at = events.length - 1; at >= 0 && found.length < DRAWN; at--) {
    const event = events[at];
    if (event === undefined) break;
    const text = words.length === 0 ? '' : textOf(event);
    if (words.every((word) => text.includes(word))) found.push(event);
  }
  return found;
}

function textOf(event: Event): string {
  const subject = event.flow ?? event.expectation;
  const path = subject === undefined ? '' : `${formatEndpoint(subject.source)} ${formatEndpoint(subject.destination)}`;
  const detail = formatDetail(event.flow?.detail ?? null);
  return `${event.type} ${subject?.assignment ?? ''} ${path} ${detail} ${event.reason ?? ''}`.toLowerCase();
}

function EventRow({ event, go }: { event: Event; go: (change: Partial<Place>) => void }) {
  const subject = event.flow ?? event.expectation;
  const session = sessionOf(event);
  const count = event.count === undefined || event.count === 1 ? '' : ` × ${String(event.count)}`;
  return (
    <tr>
      <td class="mono nowrap" title={event.time}>
        {clock(Date.parse(event.time))}
      </td>
      <td class="nowrap">
        <span class={`badge ${toneOf(event)}`}>{event.type}</span>
        {count}
      </td>
      <td>{subject?.assignment ?? ''}</td>
      <td class="mono">
        {subject !== undefined && (
          <>
            {session === null ? (
              formatEndpoint(subject.source)
            ) : (
              <button
                type="button"
                class="link"
                title={`Session #${session}`}
                onClick={() => {
                  go({ view: 'sessions', session, shown: 'all', query: '' });
                }}
              >
                {formatEndpoint(subject.source)}
              </button>
            )}
            {' → '}
            {formatEndpoint(subject.destination)}
          </>
        )}
      </td>
      <td>{formatDetail(event.flow?.detail ?? null)}</td>
      <td class="soft" title={event.reason === undefined ? undefined : explainReason(event.reason)}>
        {event.reason ?? ''}
      </td>
    </tr>
  );
}

/** The control connection that an event is about, or null. */
function sessionOf(event: Event): string | null {
  if (event.expectation !== undefined) return event.expectation.master;
  if (event.flow === undefined || !('id' in event.flow)) return null;
  return event.flow.kind === 'control' ? event.flow.id : event.flow.master;
}

function toneOf({ type }: Event): string {
  if (type === 'expectation.refused' || type === 'guard.drop' || type === 'lost') return 'bad';
  if (type === 'related.new') return 'established';
  return type === 'expectation.new' ? 'expect' : '';
}

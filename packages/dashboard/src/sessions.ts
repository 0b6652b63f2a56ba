// SPDX-License-Identifier: Apache-2.0
import {
  bytesOf,
  type ControlFlow,
  type Event,
  type Expectation,
  type Flow,
  type Reason,
  type RelatedFlow,
} from '@relatd/model';

/** How something ended; `reason` is null where nobody told. */
export interface End {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly reason: Reason | null;
}

/** A flow and what this page knows of it beyond its last state. */
export interface Tracked<Kind extends Flow = Flow> {
  flow: Kind;
  /** Bytes per second, both directions, between the last two looks. */
  rate: number;
  end: End | null;
  /** When it was seen last, by this page's clock in milliseconds. */
  seen: number;
}

/** An expectation that is in place. */
export interface Expected {
  expectation: Expectation;
  seen: number;
}

/** A control connection, what it announced, and what came. */
export interface Session {
  readonly id: string;
  /** Null: it was over before this page knew of it, and a related flow outlives it. */
  control: Tracked<ControlFlow> | null;
  readonly related: Map<string, Tracked<RelatedFlow>>;
  readonly expected: Map<string, Expected>;
  /** What happened, oldest first; the oldest are left out beyond `EVENTS_MAX`. */
  events: Event[];
  /** Announcements that were turned down. */
  refusals: number;
}

/** Events that are kept of one session. */
export const EVENTS_MAX = 400;
/** Sessions that are over are kept so long, in milliseconds, and so many. */
export const ENDED_MS = 10 * 60_000;
export const ENDED_MAX = 1000;

/** All sessions, out of lists and events. Nothing is drawn here. */
export class Sessions {
  readonly #byId = new Map<string, Session>();
  /** When the last list of flows came, by this page's clock in milliseconds. */
  #listed = 0;

  get all(): Iterable<Session> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Session | undefined {
    return this.#byId.get(id);
  }

  /** A list of all flows and expectations that was asked for at `asked` and came at `now` (milliseconds). */
  list(flows: readonly Flow[], expectations: readonly Expectation[], asked: number, now: number): void {
    const seconds = this.#listed === 0 ? 0 : (now - this.#listed) / 1000;
    this.#listed = now;
    for (const flow of flows) this.#see(flow, now, seconds);
    for (const expectation of expectations) {
      this.#session(expectation.master).expected.set(expectation.id, { expectation, seen: now });
    }
    for (const session of this.#byId.values()) this.#compare(session, asked, now);
    this.#forget(now);
  }

  /** What happened, as it comes. */
  happened(event: Event, now: number): void {
    switch (event.type) {
      case 'control.new':
      case 'related.new':
        this.#note(event, this.#see(event.flow, now, 0));
        break;
      case 'control.end':
      case 'related.end': {
        const session = this.#see(event.flow, now, 0);
        const tracked =
          session.control?.flow.id === event.flow.id ? session.control : session.related.get(event.flow.id);
        if (tracked !== undefined) {
          tracked.end = { time: event.time, reason: event.reason };
          tracked.rate = 0;
        }
        if (event.type === 'control.end') session.expected.clear();
        this.#note(event, session);
        break;
      }
      case 'expectation.new': {
        const session = this.#session(event.expectation.master);
        session.expected.set(event.expectation.id, { expectation: event.expectation, seen: now });
        this.#note(event, session);
        break;
      }
      case 'expectation.expired': {
        const session = this.#session(event.expectation.master);
        session.expected.delete(event.expectation.id);
        this.#note(event, session);
        break;
      }
      case 'expectation.refused': {
        const session = this.#session(event.flow === undefined ? event.expectation.master : event.flow.id);
        session.refusals += event.count;
        this.#note(event, session);
        break;
      }
      case 'guard.drop':
      case 'lost':
        break;
    }
  }

  #session(id: string): Session {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const session: Session = { id, control: null, related: new Map(), expected: new Map(), events: [], refusals: 0 };
    this.#byId.set(id, session);
    return session;
  }

  #note(event: Event, session: Session): void {
    session.events.push(event);
    if (session.events.length > EVENTS_MAX) session.events = session.events.slice(-EVENTS_MAX / 2);
  }

  #see(flow: Flow, now: number, seconds: number): Session {
    if (flow.kind === 'control') {
      const session = this.#session(flow.id);
      session.control = renewed(session.control, flow, now, seconds);
      return session;
    }
    const session = this.#session(flow.master);
    const known = session.related.get(flow.id);
    session.related.set(flow.id, renewed(known ?? null, flow, now, seconds));
    if (known === undefined) matched(session, flow);
    return session;
  }

  /** What a list should have had and had not is over, unless it is newer than the list. */
  #compare(session: Session, asked: number, now: number): void {
    const flows =
      session.control === null ? [...session.related.values()] : [session.control, ...session.related.values()];
    for (const tracked of flows) {
      if (tracked.end !== null || tracked.seen >= asked) continue;
      tracked.end = { time: new Date(now).toISOString(), reason: null };
      tracked.rate = 0;
    }
    for (const [id, { seen }] of session.expected) if (seen < asked) session.expected.delete(id);
  }

  #forget(now: number): void {
    const ended = [...this.#byId.values()].filter(isOver);
    ended.sort((a, b) => endOf(a) - endOf(b));
    const surplus = ended.length - ENDED_MAX;
    for (const [index, session] of ended.entries()) {
      if (index >= surplus && endOf(session) > now - ENDED_MS) break;
      this.#byId.delete(session.id);
    }
  }
}

function renewed<Kind extends Flow>(
  known: Tracked<Kind> | null,
  flow: Kind,
  now: number,
  seconds: number,
): Tracked<Kind> {
  if (known === null) return { flow, rate: 0, end: null, seen: now };
  // The flow's last words are those of its end: a closed flow stays in the table for a while.
  if (known.end !== null && known.end.reason !== null) return known;
  if (seconds > 0) known.rate = Math.max(0, bytesOf(flow) - bytesOf(known.flow)) / seconds;
  known.flow = flow;
  known.seen = now;
  known.end = null;
  return known;
}

/** The expectation that a new related flow has used up, unless it is permanent. */
function matched(session: Session, flow: RelatedFlow): void {
  for (const [id, { expectation }] of session.expected) {
    const { destination, protocol, permanent } = expectation;
    const fits = destination.address === null || destination.address === flow.destination.address;
    const samePort = destination.port === null || destination.port === flow.destination.port;
    if (!permanent && protocol === flow.protocol && fits && samePort) {
      session.expected.delete(id);
      return;
    }
  }
}

/** Whether nothing of a session lives any more. */
export function isOver(session: Session): boolean {
  const { control, related, expected } = session;
  if (control?.end === null || expected.size > 0) return false;
  for (const { end } of related.values()) if (end === null) return false;
  return true;
}

/** When a session that is over ended, in milliseconds; 0 where nothing is known. */
function endOf({ control, related, events }: Session): number {
  let last = Date.parse(control?.end?.time ?? events.at(-1)?.time ?? '') || 0;
  for (const { end } of related.values()) last = Math.max(last, Date.parse(end?.time ?? '') || 0);
  return last;
}

/** Bytes and rate of a session with all that is related to it. */
export function traffic({ control, related }: Session): { bytes: number; rate: number } {
  let bytes = control === null ? 0 : bytesOf(control.flow);
  let rate = control?.rate ?? 0;
  for (const child of related.values()) {
    bytes += bytesOf(child.flow);
    rate += child.rate;
  }
  return { bytes, rate };
}

/** Whether an operator should look at it: it is no longer parsed, or something was turned down. */
export function isTrouble({ control, refusals }: Session): boolean {
  return refusals > 0 || (control !== null && control.flow.trust !== 'ok');
}

// SPDX-License-Identifier: Apache-2.0
import type { Counters, Event, Expectation, Flow, Status } from '@relatd/model';
import { linesOf } from './lines.js';
import { Series } from './series.js';
import { Sessions } from './sessions.js';

/** Events of all sessions that are kept for the list of events. */
const EVENTS_MAX = 2000;

/** Milliseconds between two looks at the numbers, at the state of the daemon, and at the flows if that is cheap. */
const COUNTERS_MS = 2000;
const STATUS_MS = 10_000;
const LIST_MS = 2000;
/** Each answer takes at most this share of the time: a table of tens of thousands is asked for less often. */
const SHARE = 0.05;
const RETRY_MS = 2000;
/** Between two drawings, however much happens. */
const DRAW_MS = 250;

interface History {
  readonly since: string | null;
  readonly events: readonly Event[];
}

/** Whether the daemon answers; `why` says what is wrong when it does not. */
export type Connection = { readonly state: 'connecting' | 'live' } | { readonly state: 'away'; readonly why: string };

/** Everything that the page knows, kept up to date while somebody looks at it. */
export class Feed {
  readonly sessions = new Sessions();
  readonly series = new Series();
  /** The latest events, oldest first. */
  events: Event[] = [];
  /** How many events this page was told are lost. */
  lost = 0;
  status: Status | null = null;
  counters: Counters | null = null;
  connection: Connection = { state: 'connecting' };
  /** While true, nothing is drawn; everything is still followed. */
  #paused = false;
  #stop: AbortController | null = null;
  #drawing: ReturnType<typeof setTimeout> | null = null;
  readonly #listeners = new Set<() => void>();

  /** Calls `listener` when there is something to draw, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  get paused(): boolean {
    return this.#paused;
  }

  set paused(paused: boolean) {
    this.#paused = paused;
    for (const listener of this.#listeners) listener();
  }

  /** Begins to ask. A page that nobody sees should not: it costs the daemon. */
  start(): void {
    if (this.#stop !== null) return;
    const stop = new AbortController();
    this.#stop = stop;
    void this.#follow(stop.signal);
    void this.#repeat(stop.signal, COUNTERS_MS, async () => {
      this.counters = await ask<Counters>('/v1/counters', stop.signal);
      this.series.add(this.counters, Date.now() / 1000);
    });
    void this.#repeat(stop.signal, STATUS_MS, async () => {
      this.status = await ask<Status>('/v1/status', stop.signal);
    });
  }

  stop(): void {
    this.#stop?.abort();
    this.#stop = null;
  }

  #changed(): void {
    if (this.#paused || this.#drawing !== null) return;
    this.#drawing = setTimeout(() => {
      this.#drawing = null;
      if (!this.#paused) for (const listener of this.#listeners) listener();
    }, DRAW_MS);
  }

  /** Calls `work` again and again, with at least `pause` milliseconds between; that it fails is told by the stream of events. */
  async #repeat(signal: AbortSignal, pause: number, work: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      const begin = performance.now();
      await work().catch(() => undefined);
      this.#changed();
      await sleep(Math.max(pause, (performance.now() - begin) / SHARE), signal);
    }
  }

  /** Reads events until told to stop, and begins anew when the daemon does. */
  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const round = new AbortController();
      const both = AbortSignal.any([signal, round.signal]);
      try {
        await this.#stream(both);
        this.connection = { state: 'away', why: 'the daemon has stopped' };
      } catch (error) {
        if (isAborted(signal)) return;
        this.connection = { state: 'away', why: error instanceof Error ? error.message : String(error) };
      } finally {
        round.abort();
      }
      this.#changed();
      await sleep(RETRY_MS, signal);
    }
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const response = await request('/v1/events', signal);
    if (response.body === null) throw new Error('no events came');
    // An object, because a check of a variable would be taken to hold while others change it.
    const early: { events: Event[] | null } = { events: [] };
    // Lists are asked for once no event can be missed; what happens meanwhile comes after them.
    const lists = (async () => {
      const history = await ask<History>('/v1/history', signal);
      const list = await this.#ask(signal);
      // Older than the list: what is not in it is over.
      this.#take(this.#unknown(history.events), 0);
      this.sessions.list(...list, Date.now());
      const known = new Set(history.events.map((event) => JSON.stringify(event)));
      this.#take((early.events ?? []).filter((event) => !known.has(JSON.stringify(event))));
      early.events = null;
      this.connection = { state: 'live' };
      this.#changed();
      await this.#keepListing(signal);
    })();
    const read = async (body: ReadableStream<Uint8Array>): Promise<void> => {
      for await (const lines of linesOf(body)) {
        const events = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Event);
        if (early.events === null) this.#take(events);
        else early.events.push(...events);
      }
    };
    // Lists go on for ever, so what ends first is the stream, or a failure of either.
    await Promise.race([read(response.body), lists]);
  }

  /** Of a history, what this page has not been told. */
  #unknown(events: readonly Event[]): Event[] {
    const last = this.events.at(-1)?.time;
    if (last === undefined) return [...events];
    const latest = new Set(this.events.filter(({ time }) => time === last).map((event) => JSON.stringify(event)));
    return events.filter((event) => event.time > last || (event.time === last && !latest.has(JSON.stringify(event))));
  }

  /** `now`: by this page's clock, in milliseconds. */
  #take(events: readonly Event[], now = Date.now()): void {
    if (events.length === 0) return;
    for (const event of events) {
      this.sessions.happened(event, now);
      if (event.type === 'lost') this.lost += event.count;
    }
    this.events = [...this.events, ...events].slice(-EVENTS_MAX);
    this.#changed();
  }

  async #keepListing(signal: AbortSignal): Promise<never> {
    for (let cost = 0; ;) {
      await sleep(Math.max(LIST_MS, cost / SHARE), signal);
      signal.throwIfAborted();
      const begin = performance.now();
      this.sessions.list(...(await this.#ask(signal)), Date.now());
      cost = performance.now() - begin;
      this.#changed();
    }
  }

  /** All flows and expectations, and when they were asked for, by this page's clock in milliseconds. */
  async #ask(signal: AbortSignal): Promise<[Flow[], Expectation[], number]> {
    const asked = Date.now();
    const [flows, expectations] = await Promise.all([
      ask<Flow[]>('/v1/flows', signal),
      ask<Expectation[]>('/v1/expectations', signal),
    ]);
    return [flows, expectations, asked];
  }
}

async function request(path: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(path, { signal, cache: 'no-store' });
  // The daemon has started anew, and asks for the token again.
  if (response.status === 401) location.reload();
  if (response.ok) return response;
  const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
  throw new Error(body?.error?.message ?? `the daemon answered ${String(response.status)}`);
}

async function ask<T>(path: string, signal: AbortSignal): Promise<T> {
  return (await (await request(path, signal)).json()) as T;
}

// A function, because a check of the property itself would be taken to hold for the rest of the loop.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Resolves early when the signal is aborted. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

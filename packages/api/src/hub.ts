// SPDX-License-Identifier: Apache-2.0
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { EngineView, Event } from '@relatd/model';

/**
 * Bytes that may wait for one reader; beyond it the reader loses events, counted. The engine hands over events in batches:
 * this is as many as wait in the datapath's ring when it is full.
 */
export const BACKLOG_BYTES = 8 * 1024 * 1024;

/** Events that are kept for who comes later. */
const HISTORY_MAX = 2000;

/** The last events; from `since` on (ISO 8601, UTC) none is missing. Null: nobody has asked for events lately. */
export interface History {
  readonly since: string | null;
  readonly events: Event[];
}

/**
 * Hands the engine's events to any number of readers. Each event is serialised once. A slow reader costs at most
 * `BACKLOG_BYTES` and never holds up the engine or another reader.
 */
export class EventHub {
  readonly #view: EngineView;
  readonly #readers = new Set<Reader>();
  readonly #lingerMs: number;
  #unsubscribe: (() => void) | null = null;
  #lingering: NodeJS.Timeout | undefined;
  /** The last events with their JSON, oldest first. */
  #recent: { readonly time: string; readonly text: string }[] = [];
  #since: string | null = null;
  /** Whether older ones than `#recent` are gone. */
  #trimmed = false;

  /** `lingerMs`: how long events are kept after the last reader has left, for the next one. */
  constructor(view: EngineView, lingerMs = 0) {
    this.#view = view;
    this.#lingerMs = lingerMs;
  }

  get size(): number {
    return this.#readers.size;
  }

  /** `History` as JSON. */
  history(): string {
    const events = this.#recent.slice(-HISTORY_MAX);
    const complete = events.length === this.#recent.length && !this.#trimmed;
    const since = complete ? this.#since : (events[0]?.time ?? null);
    return `{"since":${JSON.stringify(since)},"events":[${events.map(({ text }) => text).join(',')}]}`;
  }

  /** Streams the events that are `wanted` to `response` as NDJSON until either side closes. The headers go out at once. */
  add(response: ServerResponse, wanted: (event: Event) => boolean, headers: OutgoingHttpHeaders = {}): void {
    const reader = new Reader(response, wanted);
    this.#readers.add(reader);
    response.once('close', () => {
      this.#remove(reader);
    });
    response.on('error', () => {
      this.#remove(reader);
    });
    response.writeHead(200, { ...headers, 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    response.flushHeaders();
    this.#subscribe();
  }

  /** Ends every stream; readers get what already waits for them. */
  close(): void {
    for (const reader of this.#readers) reader.end();
    this.#readers.clear();
    this.#leave();
  }

  /** Nobody listens, nothing is subscribed: an idle daemon formats no event. */
  #subscribe(): void {
    clearTimeout(this.#lingering);
    if (this.#unsubscribe !== null) return;
    this.#since = new Date().toISOString();
    this.#unsubscribe = this.#view.subscribe((event) => {
      this.#publish(event);
    });
  }

  #leave(): void {
    clearTimeout(this.#lingering);
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    this.#recent = [];
    this.#since = null;
    this.#trimmed = false;
  }

  #remember(time: string, text: string): void {
    this.#recent.push({ time, text });
    // Not with each event: a shift moves them all.
    if (this.#recent.length < HISTORY_MAX * 2) return;
    this.#recent = this.#recent.slice(-HISTORY_MAX);
    this.#trimmed = true;
  }

  #publish(event: Event): void {
    // A `lost` event speaks of many: `count` of them are gone before it reaches us.
    const text = JSON.stringify(event);
    this.#remember(event.time, text);
    const line = `${text}\n`;
    const weight = event.type === 'lost' ? event.count : 1;
    for (const reader of this.#readers) {
      if (reader.wanted(event)) reader.push(line, weight);
    }
  }

  #remove(reader: Reader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    if (this.#lingerMs === 0) this.#leave();
    else {
      this.#lingering = setTimeout(() => {
        this.#leave();
      }, this.#lingerMs).unref();
    }
  }
}

/** One client of the stream: what waits for it, and how many events it has lost. */
class Reader {
  readonly wanted: (event: Event) => boolean;
  readonly #response: ServerResponse;
  #pending: string[] = [];
  #pendingBytes = 0;
  #lost = 0;
  #scheduled = false;

  constructor(response: ServerResponse, wanted: (event: Event) => boolean) {
    this.wanted = wanted;
    this.#response = response;
    response.on('drain', () => {
      this.#flush();
    });
  }

  push(line: string, weight: number): void {
    if (this.#pendingBytes + this.#response.writableLength + line.length > BACKLOG_BYTES) {
      this.#lost += weight;
      return;
    }
    this.#reportLoss();
    this.#pending.push(line);
    this.#pendingBytes += line.length;
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Events come in batches; one write per batch.
    setImmediate(() => {
      this.#flush();
    });
  }

  end(): void {
    this.#flush();
    this.#response.end();
  }

  #reportLoss(): void {
    if (this.#lost === 0) return;
    const event = { time: new Date().toISOString(), type: 'lost', count: this.#lost };
    const line = `${JSON.stringify(event)}\n`;
    this.#lost = 0;
    this.#pending.push(line);
    this.#pendingBytes += line.length;
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#response.destroyed || this.#response.writableEnded) return;
    // Once the reader has caught up it must learn of the loss, even if no further event ever comes.
    if (this.#response.writableLength < BACKLOG_BYTES / 2) this.#reportLoss();
    if (this.#pending.length === 0) return;
    this.#response.write(this.#pending.join(''));
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

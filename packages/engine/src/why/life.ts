// SPDX-License-Identifier: Apache-2.0
import type { Evidence } from './evidence.js';

/** Losses that are remembered one by one. */
const LOSSES = 64;

/** The daemon before. */
export interface Before {
  /** Null: it was killed. */
  readonly stopped: number | null;
  /** When it was last known to live, within a second; null: not known. */
  readonly alive: number | null;
}

/** What a daemon knows of its own life: when it was there, and what it missed. Times in milliseconds since 1970. */
export class Life {
  readonly #started: number;
  readonly #before: Before | null;
  readonly #lost: Evidence['lost'][number][] = [];
  #asked: number | null;

  constructor(started: number, before: Before | null) {
    this.#started = started;
    this.#before = before;
    this.#asked = before === null ? started : (before.stopped ?? before.alive);
  }

  /** Events were lost since this was called last; it is called again and again. */
  lost(count: number, now: number): void {
    const from = this.#asked;
    this.#asked = now;
    if (count === 0) return;
    this.#lost.push({ from, to: now, count });
    const [first, second] = this.#lost;
    if (this.#lost.length <= LOSSES || first === undefined || second === undefined) return;
    this.#lost.splice(0, 2, { from: first.from, to: second.to, count: first.count + second.count });
  }

  /** `oldest`: of the history's records; `complete`: it has everything that came. */
  evidence(oldest: number | null, complete: boolean): Pick<Evidence, 'started' | 'loaded' | 'since' | 'away' | 'lost'> {
    const before = this.#before;
    const began = before?.stopped ?? Math.min(oldest ?? this.#started, this.#started);
    return {
      started: this.#started,
      loaded: before === null ? this.#started : null,
      since: complete ? began : (oldest ?? began),
      away: before === null ? [] : [{ from: before.stopped ?? before.alive, to: this.#started }],
      lost: [...this.#lost],
    };
  }
}

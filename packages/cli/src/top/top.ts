// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Output } from '../context.js';
import { firstChoices, press, scrolled, type Choices, type Key } from './choices.js';
import { rowsOf, type Row } from './rows.js';
import { Screen } from './screen.js';
import { sessionsOf, type Session, type Snapshot } from './sessions.js';
import { linesOf, pageOf } from './view.js';

export interface TopOptions {
  readonly input: ReadStream;
  readonly output: WriteStream;
  /** Whether to colour. */
  readonly colours: Output;
  /** Asks for what is tracked now; rejects soon when the signal is aborted. */
  readonly read: (end: AbortSignal) => Promise<Snapshot>;
  /** Milliseconds between an answer and the next question. */
  readonly interval: number;
  /** What the options restrict the view to; empty: nothing. */
  readonly scope: string;
}

/** The live view: one snapshot after the other, until the person or a signal ends it. */
export class Top {
  readonly #options: TopOptions;
  readonly #screen: Screen;
  readonly #ended = new AbortController();
  #failure: Error | null = null;
  #snapshot: Snapshot;
  #sessions: readonly Session[];
  #rows: readonly Row[] = [];
  #choices: Choices = firstChoices;
  #complaint: string | null = null;
  #scheduled = false;

  constructor(options: TopOptions, first: Snapshot) {
    this.#options = options;
    this.#snapshot = first;
    this.#sessions = sessionsOf(first, null);
    this.#screen = new Screen(options.input, options.output, {
      key: (key) => this.#guarded(() => this.#press(key)),
      resize: () => this.#schedule(),
      hangup: () => this.#ended.abort(),
    });
  }

  /** Resolves when it is over and the terminal is as before, also when it throws. */
  async run(stop: AbortSignal): Promise<void> {
    const end = AbortSignal.any([stop, this.#ended.signal]);
    const { interval } = this.#options;
    this.#screen.open();
    try {
      this.#select();
      this.#schedule();
      while (await sleep(interval, true, { signal: end }).catch(() => false)) {
        if (!this.#choices.paused) await this.#refresh(end);
      }
    } finally {
      this.#screen.close();
    }
    if (this.#failure !== null) throw this.#failure;
  }

  async #refresh(end: AbortSignal): Promise<void> {
    try {
      const snapshot = await this.#options.read(end);
      if (this.#choices.paused) return;
      this.#sessions = sessionsOf(snapshot, this.#snapshot);
      this.#snapshot = snapshot;
      this.#complaint = null;
    } catch (error) {
      this.#complaint = error instanceof Error ? error.message : String(error);
    }
    this.#select();
    this.#schedule();
  }

  #press(key: Key): void {
    const pressed = press(this.#choices, key, this.#rows, this.#page);
    if (pressed === 'quit') {
      this.#ended.abort();
      return;
    }
    const before = this.#choices;
    this.#choices = pressed;
    const { sort, reverse, filter, folds } = pressed;
    const same = sort === before.sort && reverse === before.reverse && filter === before.filter;
    if (!same || folds !== before.folds) this.#select();
    this.#schedule();
  }

  #select(): void {
    this.#rows = rowsOf(this.#sessions, this.#choices);
  }

  /** Many keys and snapshots of one turn are one picture. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#guarded(() => this.#draw());
    });
  }

  #draw(): void {
    const { scope, colours } = this.#options;
    this.#choices = scrolled(this.#choices, this.#rows, this.#page);
    const [snapshot, sessions, rows, choices] = [this.#snapshot, this.#sessions, this.#rows, this.#choices];
    const picture = { snapshot, sessions, rows, choices, scope, notice: this.#notice };
    this.#screen.draw(linesOf(picture, this.#screen.size, colours));
  }

  get #page(): number {
    return pageOf(this.#screen.size, { notice: this.#notice });
  }

  get #notice(): string | null {
    if (this.#complaint !== null) return `waiting, this is what was: ${this.#complaint}`;
    return this.#snapshot.status === null ? 'no daemon runs: this is what its pinned datapath holds' : null;
  }

  /** What fails while a key is handled ends the view, and is told on the restored terminal. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      this.#ended.abort();
    }
  }
}

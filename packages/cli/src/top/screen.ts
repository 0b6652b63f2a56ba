// SPDX-License-Identifier: Apache-2.0
import { emitKeypressEvents, type Key as ReadlineKey } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Key } from './choices.js';
import type { Size } from './view.js';

/** The screen beside the shell's, without cursor; lines that are too long are cut. */
const OPEN = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const CLOSE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

/** Terminals that know it show what is between at once; others ignore it. */
const BEGIN_UPDATE = '\x1b[?2026h';
const END_UPDATE = '\x1b[?2026l';

export interface ScreenListener {
  readonly key: (key: Key) => void;
  readonly resize: () => void;
  /** The terminal is gone. */
  readonly hangup: () => void;
}

/** A terminal that is drawn on as a whole. What it was before is restored by `close`, and whenever the process exits. */
export class Screen {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  readonly #listener: ScreenListener;
  #drawn: readonly string[] = [];
  #open = false;

  constructor(input: ReadStream, output: WriteStream, listener: ScreenListener) {
    this.#input = input;
    this.#output = output;
    this.#listener = listener;
  }

  get size(): Size {
    // A terminal that does not know its size says 0.
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 };
  }

  open(): void {
    this.#open = true;
    process.once('exit', this.#restore);
    // What kills the process is told on the restored screen.
    process.once('uncaughtExceptionMonitor', this.#restore);
    process.on('SIGHUP', this.#listener.hangup);
    this.#output.on('resize', this.#resized);
    emitKeypressEvents(this.#input);
    this.#input.on('keypress', this.#pressed).on('end', this.#listener.hangup).on('error', this.#listener.hangup);
    this.#input.setRawMode(true).resume();
    this.#output.write(OPEN);
  }

  /** Shows these lines, from the first row on; writes only those that have changed. */
  draw(lines: readonly string[]): void {
    if (!this.#open) return;
    const changes = lines.map((line, index) =>
      line === this.#drawn[index] ? '' : `\x1b[${String(index + 1)};1H\x1b[K${line}`,
    );
    const rest = lines.length < this.#drawn.length ? `\x1b[${String(lines.length + 1)};1H\x1b[J` : '';
    const text = changes.join('') + rest;
    if (text !== '') this.#output.write(BEGIN_UPDATE + text + END_UPDATE);
    this.#drawn = lines;
  }

  close(): void {
    this.#restore();
    process.off('exit', this.#restore);
    process.off('uncaughtExceptionMonitor', this.#restore);
    process.off('SIGHUP', this.#listener.hangup);
    this.#output.off('resize', this.#resized);
    this.#input.off('keypress', this.#pressed).off('end', this.#listener.hangup).off('error', this.#listener.hangup);
    this.#input.pause();
  }

  readonly #restore = (): void => {
    if (!this.#open) return;
    this.#open = false;
    // A terminal that has gone can be restored no more.
    if (this.#input.destroyed) return;
    this.#input.setRawMode(false);
    this.#output.write(CLOSE);
  };

  readonly #resized = (): void => {
    this.#drawn = [];
    if (this.#open) this.#output.write('\x1b[2J');
    this.#listener.resize();
  };

  readonly #pressed = (text: string | undefined, { name, ctrl, meta, sequence }: ReadlineKey): void => {
    // Escape with another key right behind it looks like that key with Alt, which no key here needs.
    if (meta !== true || name === 'escape') return this.#listener.key({ name, ctrl, text });
    this.#listener.key({ name: 'escape' });
    this.#listener.key({ name, ctrl, text: sequence?.slice(1) });
  };
}

// SPDX-License-Identifier: Apache-2.0
import type { Resumption } from './helper.js';

/** One line without its end. */
export interface TextLine {
  /** One character per byte (Latin-1). Never empty where `truncated`. */
  readonly text: string;
  /** Stream offsets of the raw line, its LF included. */
  readonly start: number;
  readonly end: number;
  /** Bytes of the line are missing from `text`: nothing may be concluded from its end. */
  readonly truncated: boolean;
  /** Whether the line contains a NUL byte, be it in `text` or not. */
  readonly nul: boolean;
}

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

const NOTHING = new Uint8Array(0);

/**
 * Cuts one direction of a text protocol into lines. A line ends with LF; all CRs directly before it belong to the end. Any other
 * CR is part of the line: who takes it for an end reads something else than we do.
 */
export class LineCutter {
  readonly #limit: number;
  #chunk: Uint8Array = NOTHING;
  #position = 0;
  /** Stream offset of the chunk's first byte. */
  #offset = 0;
  /** Stream offset of the line's first byte. */
  #start = 0;
  #kept: Uint8Array = NOTHING;
  #length = 0;
  /** CRs behind what is kept, not known yet to belong to the end. */
  #returns = 0;
  #truncated = false;
  #nul = false;
  #skipping = false;

  /** @param limit bytes of a line that are kept, its end not counted */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The first byte of the line that is not complete yet, or -1. */
  get firstByte(): number {
    if (this.#length > 0) return this.#kept[0] ?? -1;
    return this.#returns > 0 ? CR : -1;
  }

  /** Bytes that are kept for the line that is not complete yet. */
  get buffered(): number {
    return this.#kept.length;
  }

  /** Gives the next bytes. `next` must have returned null before, and reads them from here: they must not change meanwhile. */
  push(chunk: Uint8Array): void {
    this.#offset += this.#chunk.length;
    this.#chunk = chunk;
    this.#position = 0;
  }

  /** The next complete line, or null when more bytes are needed. */
  next(): TextLine | null {
    const chunk = this.#chunk;
    while (this.#position < chunk.length) {
      const at = chunk.indexOf(LF, this.#position);
      const piece = chunk.subarray(this.#position, at < 0 ? chunk.length : at);
      this.#position = at < 0 ? chunk.length : at + 1;
      if (!this.#skipping) this.#take(piece);
      if (at < 0) break;
      if (!this.#skipping) return this.#finish();
      this.#skipping = false;
      this.#start = this.#offset + this.#position;
    }
    // The caller may use its buffer again.
    this.#offset += chunk.length;
    this.#chunk = NOTHING;
    return null;
  }

  /** Forgets the line that is not complete, and goes on elsewhere in the stream. */
  resume({ offset, lineStart = true }: Resumption = {}): void {
    this.#offset = offset ?? this.#offset + this.#chunk.length;
    this.#chunk = NOTHING;
    this.#position = 0;
    this.#start = this.#offset;
    this.#reset();
    this.#skipping = !lineStart;
  }

  #take(piece: Uint8Array): void {
    let end = piece.length;
    while (end > 0 && piece[end - 1] === CR) end--;
    if (end > 0) {
      this.#keepReturns();
      this.#keep(piece.subarray(0, end));
      this.#nul ||= piece.includes(NUL);
    }
    this.#returns += piece.length - end;
  }

  /** Something follows them: they are no end. There may have been more of them than memory. */
  #keepReturns(): void {
    const count = Math.min(this.#returns, this.#limit);
    this.#returns = 0;
    if (count > 0) this.#keep(new Uint8Array(count).fill(CR));
  }

  #keep(bytes: Uint8Array): void {
    const count = Math.min(bytes.length, this.#limit - this.#length);
    if (count < bytes.length) this.#truncated = true;
    if (count === 0) return;
    const length = this.#length + count;
    if (length > this.#kept.length) {
      const grown = new Uint8Array(Math.min(this.#limit, Math.max(64, 2 * length)));
      grown.set(this.#kept.subarray(0, this.#length));
      this.#kept = grown;
    }
    this.#kept.set(bytes.subarray(0, count), this.#length);
    this.#length = length;
  }

  #finish(): TextLine {
    const text = Buffer.from(this.#kept.buffer, this.#kept.byteOffset, this.#length).toString('latin1');
    const end = this.#offset + this.#position;
    const line = { text, start: this.#start, end, truncated: this.#truncated, nul: this.#nul };
    this.#start = end;
    this.#reset();
    return line;
  }

  #reset(): void {
    this.#length = 0;
    this.#returns = 0;
    this.#truncated = false;
    this.#nul = false;
    // An idle connection keeps little.
    if (this.#kept.length > 128) this.#kept = NOTHING;
  }
}

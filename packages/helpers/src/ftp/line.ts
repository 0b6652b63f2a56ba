// SPDX-License-Identifier: Apache-2.0
import type { Resumption } from '../helper.js';

/** One line without its end and without Telnet commands. */
export interface Line {
  /** One character per byte (Latin-1). */
  readonly text: string;
  /** Stream offsets of the raw line, its LF included. */
  readonly start: number;
  readonly end: number;
  /** Bytes of the line are missing from `text`: nothing may be concluded from its end. */
  readonly truncated: boolean;
}

/** Bytes of a line that are kept. The longest honest announcement has about 70, paths of 255 fit with room. */
export const LINE_LIMIT = 1024;

/** A subnegotiation that does not end within this many bytes is not waited for. */
export const SUBNEGOTIATION_LIMIT = 256;

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

// RFC 854, "TELNET command structure".
const SE = 240;
const SB = 250;
const WILL = 251;
const IAC = 255;

/** Where the reader stands within a Telnet command. */
type Telnet = 'data' | 'command' | 'option' | 'subnegotiation' | 'subnegotiation-command';

/**
 * Cuts one direction of a control connection into lines. RFC 959, 4.1.3 makes it a Telnet connection: IAC IAC is a byte 255, other
 * commands are left out, wherever segments cut them. A line ends with LF, whether CR stands before it or not. A lone CR is
 * part of the line: who takes it for an end reads something else than we do, and gets no announcement.
 *
 * NUL is Telnet's no-operation (RFC 854): left out behind CR and where a line begins. Elsewhere it stays, because C
 * programs would end the line there; no announcement can contain it.
 */
export class LineReader {
  #chunk: Uint8Array = NOTHING;
  #position = 0;
  /** Stream offset of the chunk's first byte. */
  #offset = 0;
  /** Stream offset of the line's first byte. */
  #start = 0;
  #kept: Uint8Array = NOTHING;
  #length = 0;
  #truncated = false;
  #skipping = false;
  #telnet: Telnet = 'data';
  #subnegotiated = 0;

  /** The first byte of the line that is not complete yet, or -1. */
  get firstByte(): number {
    return this.#length === 0 ? -1 : (this.#kept[0] ?? -1);
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
  next(): Line | null {
    const chunk = this.#chunk;
    while (this.#position < chunk.length) {
      if (this.#skipping) {
        const at = chunk.indexOf(LF, this.#position);
        this.#position = at < 0 ? chunk.length : at + 1;
        if (at < 0) break;
        this.#skipping = false;
        this.#start = this.#offset + this.#position;
      } else if (this.#telnet !== 'data') {
        this.#telnetByte(chunk[this.#position] ?? 0);
      } else {
        const from = this.#position;
        let to = from;
        let byte = -1;
        for (; to < chunk.length; to++) {
          byte = chunk[to] ?? 0;
          if (byte === LF || byte === IAC || byte === NUL) break;
        }
        this.#keep(chunk, from, to);
        this.#position = to + 1;
        if (to === chunk.length) break;
        if (byte === LF) return this.#finish();
        if (byte === IAC) this.#telnet = 'command';
        else this.#nul(chunk, to);
      }
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
    this.#telnet = 'data';
    this.#skipping = !lineStart;
  }

  #telnetByte(byte: number): void {
    switch (this.#telnet) {
      case 'command':
        this.#telnet = 'data';
        if (byte === IAC) this.#keep(DATA_IAC, 0, 1);
        else if (byte === SB) {
          this.#telnet = 'subnegotiation';
          this.#subnegotiated = 0;
        } else if (byte >= WILL) this.#telnet = 'option';
        else if (byte < SE) {
          // No Telnet command: a name in Latin-1 whose sender does not double the byte. Swallowing an LF would join two lines.
          this.#keep(DATA_IAC, 0, 1);
          return;
        }
        break;
      case 'option':
        this.#telnet = 'data';
        break;
      case 'subnegotiation-command':
        this.#telnet = byte === SE ? 'data' : 'subnegotiation';
        break;
      case 'subnegotiation':
      default:
        if (byte === IAC) this.#telnet = 'subnegotiation-command';
        else if (++this.#subnegotiated > SUBNEGOTIATION_LIMIT) {
          this.#telnet = 'data';
          this.#truncated = true;
        }
    }
    this.#position++;
  }

  #nul(chunk: Uint8Array, at: number): void {
    if (this.#length > 0 && this.#kept[this.#length - 1] !== CR) this.#keep(chunk, at, at + 1);
  }

  #keep(from: Uint8Array, start: number, end: number): void {
    const count = Math.min(end - start, LINE_LIMIT - this.#length);
    if (count < end - start) this.#truncated = true;
    if (count === 0) return;
    const length = this.#length + count;
    if (length > this.#kept.length) {
      const grown = new Uint8Array(Math.min(LINE_LIMIT, Math.max(64, 2 * length)));
      grown.set(this.#kept.subarray(0, this.#length));
      this.#kept = grown;
    }
    this.#kept.set(from.subarray(start, start + count), this.#length);
    this.#length = length;
  }

  #finish(): Line {
    let length = this.#length;
    // Some send CR CR LF.
    while (length > 0 && this.#kept[length - 1] === CR) length--;
    const text = Buffer.from(this.#kept.buffer, this.#kept.byteOffset, length).toString('latin1');
    const end = this.#offset + this.#position;
    const line = { text, start: this.#start, end, truncated: this.#truncated };
    this.#start = end;
    this.#reset();
    return line;
  }

  #reset(): void {
    this.#length = 0;
    this.#truncated = false;
    // An idle connection keeps little.
    if (this.#kept.length > 128) this.#kept = NOTHING;
  }
}

const NOTHING = new Uint8Array(0);
const DATA_IAC = Uint8Array.of(IAC);

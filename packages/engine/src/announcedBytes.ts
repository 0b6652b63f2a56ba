// SPDX-License-Identifier: Apache-2.0
import { sequenceDistance } from './segments.js';

/** Bytes of an unfinished line that are kept: an announcement may have begun in an earlier segment. */
const TAIL = 4096;
const LF = 0x0a;
const NOTHING = new Uint8Array(0);

/**
 * The bytes of a direction's last announcement, to see whether a retransmission carries others: whoever reads that
 * one learns of another connection than the one that is expected.
 */
export class AnnouncedBytes {
  /** What was read since the last complete line, the bytes being read included. */
  #recent: Uint8Array = NOTHING;
  #recentStart = 0;
  #bytes: Uint8Array = NOTHING;
  #start = 0;

  /** Sequence number of its first byte; null: there was none. */
  get start(): number | null {
    return this.#bytes.length === 0 ? null : this.#start;
  }

  /** Before bytes are read that begin at `seq`. They are not kept beyond {@link finish}. */
  begin(bytes: Uint8Array, seq: number): void {
    const tail = this.#recent;
    if (tail.length === 0) {
      this.#recent = bytes;
      this.#recentStart = seq;
      return;
    }
    this.#recent = new Uint8Array(tail.length + bytes.length);
    this.#recent.set(tail);
    this.#recent.set(bytes, tail.length);
  }

  /** What was found between two sequence numbers of the bytes being read is an announcement. */
  announce(start: number, end: number): void {
    const from = Math.max(0, sequenceDistance(start, this.#recentStart));
    const to = Math.max(from, sequenceDistance(end, this.#recentStart));
    this.#bytes = new Uint8Array(this.#recent.subarray(from, to));
    this.#start = (this.#recentStart + from) >>> 0;
  }

  /** After bytes were read. */
  finish(): void {
    const recent = this.#recent;
    const from = Math.max(recent.lastIndexOf(LF) + 1, recent.length - TAIL);
    this.#recent = from === recent.length ? NOTHING : new Uint8Array(recent.subarray(from));
    this.#recentStart = (this.#recentStart + from) >>> 0;
  }

  /** The stream goes on elsewhere; what was announced before still counts. */
  interrupt(): void {
    this.#recent = NOTHING;
  }

  /** Whether the first `length` bytes of a payload that begins at `seq` say anything else at the announcement's place. */
  contradicts(seq: number, payload: Uint8Array, length: number): boolean {
    const offset = sequenceDistance(seq, this.#start);
    const from = Math.max(0, -offset);
    const to = Math.min(length, this.#bytes.length - offset);
    for (let index = from; index < to; index++) if (payload[index] !== this.#bytes[offset + index]) return true;
    return false;
  }
}

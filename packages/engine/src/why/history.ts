// SPDX-License-Identifier: Apache-2.0
import { RingRecord, recordMemory, type RecordMemory } from '@relatd/datapath';

/** Bytes of records that are kept: some thousands of sessions. */
const BYTES = 8 << 20;
/** Before each record: its length in four bytes; 0: the records go on at the beginning. Records begin at multiples of 8. */
const HEADER = 8;

/**
 * What happened, as the bytes that came: the newest records, and nothing of them is decoded before somebody asks. A new record
 * takes the place of the oldest ones.
 */
export class History {
  readonly #memory: RecordMemory;
  readonly #bytes: number;
  /** Where the next record goes. */
  #head = 0;
  /** Where the oldest one stands. */
  #tail = 0;
  #count = 0;
  #complete = true;

  constructor(bytes = BYTES) {
    this.#bytes = bytes;
    this.#memory = recordMemory(new ArrayBuffer(bytes));
  }

  /** How many records there are. */
  get size(): number {
    return this.#count;
  }

  /** Whether it still has everything that it was ever given. */
  get complete(): boolean {
    return this.#complete;
  }

  keep(record: RingRecord): void {
    const room = HEADER + ((record.length + 7) & ~7);
    if (room > this.#bytes) {
      this.#complete = false;
      return;
    }
    if (this.#head + room > this.#bytes) {
      this.#forget(this.#head, this.#bytes);
      if (this.#head < this.#bytes) this.#memory.words[this.#head >>> 2] = 0;
      this.#head = 0;
    }
    this.#forget(this.#head, this.#head + room);
    this.#memory.words[this.#head >>> 2] = record.length;
    record.copyTo(this.#memory, this.#head + HEADER);
    if (this.#count === 0) this.#tail = this.#head;
    this.#head += room;
    this.#count++;
  }

  /** Calls `look` with each record, the oldest first. What it is given is valid until it returns; it must not keep records. */
  each(look: (record: RingRecord) => void): void {
    const record = new RingRecord(this.#memory);
    for (let at = this.#tail, left = this.#count; left > 0; left--) {
      at = this.#from(at);
      const length = this.#memory.words[at >>> 2] ?? 0;
      record.place(this.#memory, at + HEADER, length);
      look(record);
      at += HEADER + ((length + 7) & ~7);
    }
  }

  /** Boot time of the oldest record, ns; null: there is none. */
  get since(): bigint | null {
    if (this.#count === 0) return null;
    const record = new RingRecord(this.#memory);
    const at = this.#from(this.#tail);
    record.place(this.#memory, at + HEADER, this.#memory.words[at >>> 2] ?? 0);
    return record.time;
  }

  /** Forgets the oldest records as far as they stand in these bytes. */
  #forget(start: number, end: number): void {
    while (this.#count > 0) {
      const at = this.#from(this.#tail);
      if (at < start || at >= end) return;
      this.#tail = at + HEADER + (((this.#memory.words[at >>> 2] ?? 0) + 7) & ~7);
      this.#count--;
      this.#complete = false;
    }
  }

  /** Where the record stands that is looked for here. */
  #from(at: number): number {
    return at >= this.#bytes || this.#memory.words[at >>> 2] === 0 ? 0 : at;
  }
}

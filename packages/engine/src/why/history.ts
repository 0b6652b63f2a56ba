// SPDX-License-Identifier: Apache-2.0
import { RingRecord, eachRecord, recordMemory, type RecordBatch, type RecordMemory } from '@relatd/datapath';

/** Where a record stands. */
interface Place {
  readonly at: number;
  readonly length: number;
}

/** Records as they were at one moment, the oldest first: whoever reads them in many steps is not disturbed by new ones. */
export class Snapshot {
  readonly #memory: RecordMemory;
  readonly #places: readonly Place[];

  constructor(memory: RecordMemory, places: readonly Place[]) {
    this.#memory = memory;
    this.#places = places;
  }

  get size(): number {
    return this.#places.length;
  }

  /** Puts `record` where one of them stands. */
  place(index: number, record: RingRecord): void {
    const { at, length } = this.#places[index] ?? { at: 0, length: 0 };
    record.place(this.#memory, at, length);
  }

  /** A record to be put where they stand. */
  record(): RingRecord {
    return new RingRecord(this.#memory);
  }
}

/** Bytes of records that are kept: some thousands of sessions. */
const BYTES = 8 << 20;
/** Before each batch: its length in four bytes; 0: batches go on at the beginning. Batches begin at multiples of 8. */
const HEADER = 8;

/**
 * What happened, as the batches of records that came: the newest ones, copied whole, and nothing of them is looked at before
 * somebody asks. A new batch takes the place of the oldest.
 */
export class History {
  readonly #memory: RecordMemory;
  readonly #bytes: number;
  /** Where the next batch goes. */
  #head = 0;
  /** Where the oldest one stands. */
  #tail = 0;
  /** How many there are. */
  #batches = 0;
  #complete = true;

  constructor(bytes = BYTES) {
    this.#bytes = bytes;
    this.#memory = recordMemory(new ArrayBuffer(bytes));
  }

  /** Whether it still has everything that it was ever given. */
  get complete(): boolean {
    return this.#complete;
  }

  keep({ memory, bytes }: RecordBatch): void {
    const padded = (bytes + 7) & ~7;
    const room = HEADER + padded;
    if (bytes === 0) return;
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
    this.#memory.words[this.#head >>> 2] = bytes;
    this.#memory.words.set(memory.words.subarray(0, padded >>> 2), (this.#head + HEADER) >>> 2);
    if (this.#batches === 0) this.#tail = this.#head;
    this.#head += room;
    this.#batches++;
  }

  /** What there is now. Takes some milliseconds and as much memory again. */
  snapshot(): Snapshot {
    const memory = recordMemory(this.#memory.view.buffer.slice(0) as ArrayBuffer);
    const places: Place[] = [];
    const record = new RingRecord(memory);
    for (let at = this.#tail, left = this.#batches; left > 0; left--) {
      eachRecord(memory, at + HEADER, at + HEADER + this.#length(at), record, ({ at, length }) => {
        places.push({ at, length });
      });
      at = this.#from(this.#behind(at));
    }
    return new Snapshot(memory, places);
  }

  /** Boot time of the oldest record, ns; null: there is none. */
  get since(): bigint | null {
    if (this.#batches === 0) return null;
    const at = this.#tail;
    let oldest: bigint | null = null;
    eachRecord(
      this.#memory,
      at + HEADER,
      at + HEADER + this.#length(at),
      new RingRecord(this.#memory),
      ({ type, time }) => {
        // Not one that was erased.
        if (type !== 0) oldest ??= time;
      },
    );
    return oldest;
  }

  /** Forgets the oldest batches as far as they stand in these bytes. */
  #forget(start: number, end: number): void {
    while (this.#batches > 0) {
      const at = this.#tail;
      if (at < start || at >= end) return;
      this.#batches--;
      this.#complete = false;
      // Now, while what says that they go on at the beginning still stands there.
      if (this.#batches > 0) this.#tail = this.#from(this.#behind(at));
    }
  }

  #length(at: number): number {
    return this.#memory.words[at >>> 2] ?? 0;
  }

  #behind(at: number): number {
    return at + HEADER + ((this.#length(at) + 7) & ~7);
  }

  /** Where the batch stands that follows one that ends here. */
  #from(at: number): number {
    return at >= this.#bytes || this.#length(at) === 0 ? 0 : at;
  }
}

// SPDX-License-Identifier: Apache-2.0
import { RingRecord, recordMemory, type RecordMemory } from '@relatd/datapath';

/** A page takes a short session whole, and the largest record in any case. */
const PAGE_BYTES = 2560;
/** What may wait of one connection, and of all together. Beyond that it is read, asked for or not. */
const PAGES_PER_CONNECTION = 2;
const PAGES_IN_TOTAL = 25_000;
/** Unused pages that are kept for the next connections. */
const SPARE_PAGES = 4096;
/** Before each record: its length, in four bytes. Records begin at multiples of 8. */
const HEADER = 8;

/** Records in the order in which they came. */
class Journal {
  pages: RecordMemory[] = [];
  /** Bytes of the last page. */
  used = PAGE_BYTES;
  /** When it ended, or its last related flow did; null: it lives. Milliseconds. */
  over: number | null = null;
  /** Related flows that live. */
  related = 0;
}

/**
 * What happened to control connections and nobody has asked about yet. Most of it nobody ever asks about: so it is kept as the
 * bytes that came, and read in order when somebody does. Without limits on memory the two would look the same.
 */
export class Backlog {
  readonly #play: (record: RingRecord) => void;
  readonly #journals = new Map<bigint, Journal>();
  /** Those that are over, the earliest first. */
  readonly #over = new Map<bigint, Journal>();
  readonly #spare: RecordMemory[] = [];
  /** In use. */
  #pages = 0;

  /** `play` takes records that are read now; it must not throw. */
  constructor(play: (record: RingRecord) => void) {
    this.#play = play;
  }

  /** Connections that have something to be read or live. */
  get size(): number {
    return this.#journals.size;
  }

  has(connection: bigint): boolean {
    return this.#journals.has(connection);
  }

  /** Keeps a record of a connection until it is read. */
  keep(connection: bigint, record: RingRecord): void {
    let journal = this.#journals.get(connection);
    if (journal === undefined) {
      journal = new Journal();
      this.#journals.set(connection, journal);
    }
    const room = HEADER + ((record.length + 7) & ~7);
    let page = journal.pages.at(-1);
    if (page === undefined || journal.used + room > PAGE_BYTES) {
      if (journal.pages.length === PAGES_PER_CONNECTION || this.#pages >= PAGES_IN_TOTAL) this.read(connection);
      page = this.#spare.pop() ?? recordMemory(new ArrayBuffer(PAGE_BYTES));
      this.#pages++;
      journal.pages.push(page);
      journal.used = 0;
      // Where its records end.
      page.words[0] = 0;
    }
    const at = journal.used;
    record.copyTo(page, at + HEADER);
    page.words[at >>> 2] = record.length;
    journal.used = at + room;
    if (journal.used < PAGE_BYTES) page.words[journal.used >>> 2] = 0;
  }

  /** Reads what is kept of a connection. */
  read(connection: bigint): void {
    const journal = this.#journals.get(connection);
    if (journal === undefined || journal.pages.length === 0) return;
    // Empty from here on: what is asked while it is read is not to read it again.
    const pages = journal.pages;
    journal.pages = [];
    journal.used = PAGE_BYTES;
    for (const page of pages) this.#readPage(page);
    this.#release(pages);
    if (journal.over !== null && journal.pages.length === 0) this.#forget(connection);
  }

  readAll(): void {
    for (const connection of [...this.#journals.keys()]) this.read(connection);
  }

  /** A connection has a related flow from here on. */
  relatedBegan(connection: bigint): void {
    const journal = this.#journals.get(connection);
    if (journal !== undefined) journal.related++;
  }

  relatedEnded(connection: bigint, now = performance.now()): void {
    const journal = this.#journals.get(connection);
    if (journal === undefined) return;
    journal.related--;
    if (journal.over !== null) this.#isOver(connection, journal, now);
  }

  /** A connection has ended; nothing comes of it any more but the ends of related flows. */
  ended(connection: bigint, now = performance.now()): void {
    const journal = this.#journals.get(connection);
    if (journal === undefined) return;
    if (journal.pages.length === 0) this.#forget(connection);
    else this.#isOver(connection, journal, now);
  }

  /**
   * Forgets connections that have been over for so long that nobody can ask about them or their related flows. Where a
   * related flow lives on they are read.
   */
  forget(milliseconds: number, now = performance.now()): void {
    for (const [connection, journal] of this.#over) {
      if (now - (journal.over ?? now) < milliseconds) return;
      if (journal.related > 0) this.read(connection);
      else this.#forget(connection);
    }
  }

  /** The connections known now, to be compared with a table that is read later. */
  known(): bigint[] {
    return [...this.#journals.keys()].filter((connection) => !this.#over.has(connection));
  }

  /** Of those of `known` that the table no longer has the end was lost: what is there is read. */
  prune(known: readonly bigint[], flows: ReadonlySet<bigint>): void {
    for (const connection of known) {
      if (flows.has(connection) || this.#over.has(connection)) continue;
      this.read(connection);
      this.#forget(connection);
    }
  }

  #isOver(connection: bigint, journal: Journal, now: number): void {
    journal.over = now;
    // To the end of the order.
    this.#over.delete(connection);
    this.#over.set(connection, journal);
  }

  #forget(connection: bigint): void {
    const journal = this.#journals.get(connection);
    if (journal === undefined) return;
    this.#release(journal.pages);
    this.#journals.delete(connection);
    this.#over.delete(connection);
  }

  #release(pages: readonly RecordMemory[]): void {
    this.#pages -= pages.length;
    for (const page of pages) if (this.#spare.length < SPARE_PAGES) this.#spare.push(page);
  }

  #readPage(page: RecordMemory): void {
    const record = new RingRecord(page);
    for (let at = 0; at < PAGE_BYTES;) {
      const length = page.words[at >>> 2] ?? 0;
      if (length === 0) return;
      record.place(page, at + HEADER, length);
      this.#play(record);
      at += HEADER + ((length + 7) & ~7);
    }
  }
}

// SPDX-License-Identifier: Apache-2.0

/** A segment of one direction. `Carrier` travels with it: the held frame, or nothing for a sample. */
export interface Segment<Carrier> {
  /** Sequence number of the first payload byte. */
  readonly seq: number;
  readonly payload: Uint8Array;
  readonly carrier: Carrier;
}

/** What the queue does with a segment, in stream order. */
export interface SegmentSink<Carrier> {
  /** Bytes that continue the stream. */
  read(bytes: Uint8Array, segment: Segment<Carrier>): void;
  /** Payload that was read before, in full or in part: `old` of its bytes. */
  again(segment: Segment<Carrier>, old: number): void;
  /** The segment may go on. */
  release(segment: Segment<Carrier>): void;
  /** The segment has to wait: returns what can be kept beyond this call. */
  keep(segment: Segment<Carrier>): Segment<Carrier>;
}

/** What may wait behind a gap of one direction. Two full windows of a slow sender; more is for TCP to repeat. */
const WAITING_SEGMENTS = 64;
const WAITING_BYTES = 64 * 1024;
/** What may wait in all directions of all connections together. */
const WAITING_BYTES_IN_TOTAL = 32 * 1024 * 1024;

/** The distance from `b` to `a` in sequence space, signed. */
export const sequenceDistance = (a: number, b: number): number => (a - b) | 0;

/** Bytes that queues share. Who finds it empty drops, which TCP repairs: a flood costs others time, not memory. */
export class Budget {
  #left: number;

  constructor(bytes = WAITING_BYTES_IN_TOTAL) {
    this.#left = bytes;
  }

  get left(): number {
    return this.#left;
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/**
 * One direction of a TCP stream, followed by sequence numbers. Segments behind a gap wait until it closes and are
 * released then; a segment is never released before the bytes in front of it were read.
 */
export class SegmentQueue<Carrier> {
  readonly #sink: SegmentSink<Carrier>;
  readonly #budget: Budget;
  #next: number;
  #waiting: Segment<Carrier>[] = [];
  #waitingBytes = 0;

  constructor(next: number, sink: SegmentSink<Carrier>, budget: Budget = new Budget()) {
    this.#next = next >>> 0;
    this.#sink = sink;
    this.#budget = budget;
  }

  /** Sequence number of the next byte to be read. */
  get next(): number {
    return this.#next;
  }

  /** How many segments wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Sequence number at which the gap ends: of the first byte that waits. Null: nothing waits. */
  get gapEnd(): number | null {
    let end: number | null = null;
    for (const { seq } of this.#waiting) if (end === null || sequenceDistance(seq, end) < 0) end = seq;
    return end;
  }

  /**
   * Takes a segment in the order in which it arrived. One that finds no room to wait in is thrown away: its sender
   * will repeat it.
   */
  push(segment: Segment<Carrier>): void {
    if (sequenceDistance(segment.seq, this.#next) > 0) this.#wait(segment);
    else {
      this.#read(segment);
      this.#drain();
    }
  }

  /** Goes on at `next`: what lies before it was not seen and will not come. */
  skip(next: number): void {
    if (sequenceDistance(next, this.#next) > 0) this.#next = next >>> 0;
    this.#drain();
  }

  /** Releases everything that waits, unread, in stream order: the stream is no longer followed. */
  flush(): void {
    const waiting = this.#waiting.sort((a, b) => sequenceDistance(a.seq, b.seq));
    this.forget();
    for (const segment of waiting) this.#sink.release(segment);
  }

  /** Throws away what waits: the connection is over. */
  forget(): void {
    this.#budget.give(this.#waitingBytes);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #read(segment: Segment<Carrier>): void {
    const old = Math.min(sequenceDistance(this.#next, segment.seq), segment.payload.length);
    if (old > 0) this.#sink.again(segment, old);
    if (old < segment.payload.length) {
      this.#next = (this.#next + segment.payload.length - old) >>> 0;
      this.#sink.read(segment.payload.subarray(old), segment);
    }
    this.#sink.release(segment);
  }

  #wait(segment: Segment<Carrier>): void {
    const { seq, payload } = segment;
    const bytes = payload.length;
    // Of those without payload one may be a FIN and the next an RST, which nobody repeats.
    const known = bytes > 0 && this.#waiting.some((other) => other.seq === seq && other.payload.length === bytes);
    if (known || this.#waiting.length >= WAITING_SEGMENTS || this.#waitingBytes + bytes > WAITING_BYTES) return;
    if (!this.#budget.take(bytes)) return;
    this.#waitingBytes += bytes;
    this.#waiting.push(this.#sink.keep(segment));
  }

  #drain(): void {
    while (this.#waiting.length > 0) {
      const index = this.#waiting.findIndex(({ seq }) => sequenceDistance(seq, this.#next) <= 0);
      const segment = this.#waiting[index];
      if (segment === undefined) return;
      this.#waiting.splice(index, 1);
      this.#waitingBytes -= segment.payload.length;
      this.#budget.give(segment.payload.length);
      this.#read(segment);
    }
  }
}

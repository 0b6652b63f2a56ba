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
  /** The segment was thrown away: its sender will repeat it. */
  drop(segment: Segment<Carrier>): void;
}

/** What may wait behind a gap. Two full windows of a slow sender; more is for TCP to repeat. */
const WAITING_SEGMENTS = 64;
const WAITING_BYTES = 64 * 1024;

/** The distance from `b` to `a` in sequence space, signed. */
export const sequenceDistance = (a: number, b: number): number => (a - b) | 0;

/**
 * One direction of a TCP stream, followed by sequence numbers. Segments behind a gap wait until it closes and are
 * released then; a segment is never released before the bytes in front of it were read.
 */
export class SegmentQueue<Carrier> {
  /** Sequence number of the next byte to be read. */
  next: number;
  readonly #sink: SegmentSink<Carrier>;
  #waiting: Segment<Carrier>[] = [];
  #waitingBytes = 0;

  constructor(next: number, sink: SegmentSink<Carrier>) {
    this.next = next >>> 0;
    this.#sink = sink;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes a segment in the order in which it arrived. */
  push(segment: Segment<Carrier>): void {
    if (sequenceDistance(segment.seq, this.next) > 0) this.#wait(segment);
    else {
      this.#read(segment);
      this.#drain();
    }
  }

  /** Goes on at `next`: what lies before it was not seen and will not come. */
  skip(next: number): void {
    if (sequenceDistance(next, this.next) > 0) this.next = next >>> 0;
    this.#drain();
  }

  /** Releases everything that waits, unread: the stream is no longer followed. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const segment of waiting) this.#sink.release(segment);
  }

  #read(segment: Segment<Carrier>): void {
    const old = Math.min(-sequenceDistance(segment.seq, this.next), segment.payload.length);
    if (old > 0) this.#sink.again(segment, old);
    if (old < segment.payload.length) {
      this.next = (this.next + segment.payload.length - old) >>> 0;
      this.#sink.read(segment.payload.subarray(old), segment);
    }
    this.#sink.release(segment);
  }

  #wait(segment: Segment<Carrier>): void {
    const { seq, payload } = segment;
    const known = this.#waiting.some((other) => other.seq === seq && other.payload.length === payload.length);
    if (known || this.#waiting.length >= WAITING_SEGMENTS || this.#waitingBytes + payload.length > WAITING_BYTES) {
      this.#sink.drop(segment);
      return;
    }
    this.#waiting.push(this.#sink.keep(segment));
    this.#waitingBytes += payload.length;
  }

  #drain(): void {
    for (;;) {
      const index = this.#waiting.findIndex(({ seq }) => sequenceDistance(seq, this.next) <= 0);
      const segment = this.#waiting[index];
      if (segment === undefined) return;
      this.#waiting.splice(index, 1);
      this.#waitingBytes -= segment.payload.length;
      this.#read(segment);
    }
  }
}

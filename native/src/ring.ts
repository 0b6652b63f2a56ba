// SPDX-License-Identifier: Apache-2.0
import { binding, type NativeRing } from './binding.js';
import { handle } from './handle.js';
import type { BpfMap } from './map.js';

/** How a ring is read. */
export interface RingOptions {
  /**
   * Also look at the ring this often, in milliseconds: producers that submit with NO_WAKEUP cause no poll event.
   * Default 20.
   */
  intervalMs?: number;
}

/**
 * Reads a BPF ring buffer in batches on the event loop.
 *
 * Framing in the buffer (hold devices use the same): each record is `u32 length` (header included, padding not), `u32 0`,
 * the payload, zero to seven bytes of padding; the next record begins at the next multiple of 8. Host byte order.
 *
 * A full buffer ends a batch; what is left stays in the ring and comes with the next batch. Nothing is lost here: a ring that is
 * full loses on the producer's side, which must count it.
 */
export class EventRing {
  /** @internal */
  readonly [handle]: NativeRing;

  /**
   * Begins to read. `onBatch` gets the number of bytes in `buffer`; they are valid until it returns. What it throws is an
   * uncaught exception, and reading goes on. Keeps the process alive until {@link close} or {@link unref}.
   */
  constructor(map: BpfMap, buffer: ArrayBuffer, onBatch: (bytes: number) => void, options: RingOptions = {}) {
    this[handle] = new binding.EventRing(map[handle], buffer, options.intervalMs ?? 20, onBatch);
  }

  /** Reads now, into the buffer, without the callback. Returns the bytes; 0 when the ring is empty. Call again while it returns more than 0. */
  drain(): number {
    return this[handle].drain();
  }

  /** Bytes in the ring, headers included. */
  get pending(): number {
    return this[handle].pending;
  }

  /** Records passed over because they are larger than the whole buffer. */
  get oversized(): number {
    return this[handle].oversized;
  }

  ref(): void {
    this[handle].ref();
  }

  unref(): void {
    this[handle].unref();
  }

  close(): void {
    this[handle].close();
  }
}

/** The records of a batch: offset and length of each payload in the buffer. */
export function* records(buffer: ArrayBuffer, bytes: number): Generator<{ offset: number; length: number }> {
  const words = new Uint32Array(buffer, 0, bytes >>> 2);
  for (let at = 0; at + recordHeader <= bytes;) {
    const length = words[at >>> 2] ?? 0;
    if (length < recordHeader) return;
    yield { offset: at + recordHeader, length: length - recordHeader };
    at = (at + length + 7) & ~7;
  }
}

/** Bytes before each payload in a batch. */
export const recordHeader = 8;

// SPDX-License-Identifier: Apache-2.0

/** Lets one of a kind through per interval and key, and tells the next one how many it stands for. Bounded. */
export class Limiter {
  readonly #intervalMs: number;
  readonly #capacity: number;
  readonly #entries = new Map<string, { until: number; suppressed: number }>();

  constructor(intervalMs = 1000, capacity = 4096) {
    this.#intervalMs = intervalMs;
    this.#capacity = capacity;
  }

  /** How many occurrences to report now: 0 is none, 1 is this one. */
  take(key: string, now = performance.now()): number {
    const entry = this.#entries.get(key);
    if (entry !== undefined && now < entry.until) {
      entry.suppressed++;
      return 0;
    }
    const count = 1 + (entry?.suppressed ?? 0);
    this.#entries.delete(key);
    if (this.#entries.size >= this.#capacity) {
      // The oldest entry: a Map keeps the order of insertion.
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, { until: now + this.#intervalMs, suppressed: 0 });
    return count;
  }
}

// SPDX-License-Identifier: Apache-2.0

interface Entry<Item> {
  until: number;
  /** The last one that was not reported, and how many there were. */
  item: Item | null;
  suppressed: number;
}

/**
 * Lets one item through per interval, kind and source. What is suppressed is counted: the next one that gets through
 * stands for them too, or, when none comes, the last one of them, which {@link due} gives. Bounded: when there are
 * too many sources, further ones share. No occurrence is lost.
 */
export class Limiter<Item> {
  readonly #intervalMs: number;
  readonly #capacity: number;
  readonly #entries = new Map<string, Entry<Item>>();

  constructor(intervalMs = 1000, capacity = 4096) {
    this.#intervalMs = intervalMs;
    this.#capacity = capacity;
  }

  /** How many occurrences the item stands for if it is reported now; 0: it is not to be reported. */
  take(kind: string, source: string, item: Item, occurrences = 1, now = performance.now()): number {
    const own = `${kind} ${source}`;
    const key = this.#entries.has(own) || this.#entries.size < this.#capacity ? own : kind;
    const entry = this.#entries.get(key);
    if (entry !== undefined && now < entry.until) {
      entry.item = item;
      entry.suppressed += occurrences;
      return 0;
    }
    this.#entries.set(key, { until: now + this.#intervalMs, item: null, suppressed: 0 });
    return occurrences + (entry?.suppressed ?? 0);
  }

  /** What was suppressed in intervals that are over, with its count. To be asked about once per interval. */
  due(now = performance.now()): { item: Item; count: number }[] {
    const due: { item: Item; count: number }[] = [];
    for (const [key, entry] of this.#entries) {
      if (now < entry.until) continue;
      if (entry.item === null) this.#entries.delete(key);
      else {
        due.push({ item: entry.item, count: entry.suppressed });
        this.#entries.set(key, { until: now + this.#intervalMs, item: null, suppressed: 0 });
      }
    }
    return due;
  }
}

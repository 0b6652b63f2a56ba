// SPDX-License-Identifier: Apache-2.0

/**
 * What is to be looked at when a time has passed. Few different durations are in use, and within one of them what was set
 * last is due last: so there is a queue for each, and no more is kept than what is set.
 */
export class Timeouts<Item> {
  /** By duration: when each was set, the earliest first. */
  readonly #queues = new Map<number, Map<Item, number>>();
  readonly #durations = new Map<Item, number>();
  /** Nothing is due before. */
  #earliest = Infinity;

  get size(): number {
    return this.#durations.size;
  }

  /** `item` is due after `duration` milliseconds from `now` on, and not when it was to be before. `now` never goes back. */
  set(item: Item, duration: number, now: number): void {
    this.delete(item);
    let queue = this.#queues.get(duration);
    if (queue === undefined) {
      queue = new Map();
      this.#queues.set(duration, queue);
    }
    queue.set(item, now);
    this.#durations.set(item, duration);
    this.#earliest = Math.min(this.#earliest, now + duration);
  }

  delete(item: Item): void {
    const duration = this.#durations.get(item);
    if (duration === undefined) return;
    this.#durations.delete(item);
    const queue = this.#queues.get(duration);
    queue?.delete(item);
    if (queue?.size === 0) this.#queues.delete(duration);
  }

  /** Takes out what is due first, if it is due by `now`. */
  take(now: number): { readonly item: Item; readonly due: number } | null {
    if (now < this.#earliest) return null;
    let first: { item: Item; due: number } | null = null;
    for (const [duration, queue] of this.#queues) {
      const [head] = queue;
      if (head === undefined) continue;
      const [item, since] = head;
      if (first === null || since + duration < first.due) first = { item, due: since + duration };
    }
    this.#earliest = first?.due ?? Infinity;
    if (first === null || now < first.due) return null;
    this.delete(first.item);
    return first;
  }
}

// SPDX-License-Identifier: Apache-2.0

/** Wakes those who wait for something to become true. */
export class Signal {
  readonly #waiting = new Set<() => void>();

  /** What is waited for may have become true. */
  raise(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Waits until `look` gives something; rejects after `timeoutMs` with what `complaint` says. */
  async until<T>(look: () => T | undefined, timeoutMs: number, complaint: () => string): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = look();
        if (found === undefined) return;
        this.#waiting.delete(check);
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`${complaint()} (within ${timeoutMs} ms)`));
      }, timeoutMs);
      this.#waiting.add(check);
      check();
    });
  }
}

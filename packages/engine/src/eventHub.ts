// SPDX-License-Identifier: Apache-2.0
import type { Event } from '@relatd/model';

/** Hands events to whoever listens. */
export class EventHub {
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #failed: (error: unknown) => void;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Whether anybody listens. */
  get listened(): boolean {
    return this.#listeners.size > 0;
  }

  /** Returns how to stop listening. */
  subscribe(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** A listener that throws harms nobody else. */
  emit(event: Event): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#failed(error);
      }
    }
  }
}

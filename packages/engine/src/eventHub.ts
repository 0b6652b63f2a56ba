// SPDX-License-Identifier: Apache-2.0
import type { Event } from '@relatd/model';

/** Hands events to whoever listens. */
export class EventHub {
  readonly #listeners = new Set<(event: Event) => void>();

  /** Returns how to stop listening. */
  subscribe(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  emit(event: Event): void {
    for (const listener of this.#listeners) listener(event);
  }
}

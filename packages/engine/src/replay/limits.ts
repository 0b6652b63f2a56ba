// SPDX-License-Identifier: Apache-2.0

/** How many things each owner has, up to a limit. */
export class Quota {
  readonly #limit: number;
  readonly #used = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  take(owner: string): boolean {
    const used = this.#used.get(owner) ?? 0;
    if (used >= this.#limit) return false;
    this.#used.set(owner, used + 1);
    return true;
  }

  give(owner: string): void {
    const used = this.#used.get(owner) ?? 0;
    if (used > 1) this.#used.set(owner, used - 1);
    else this.#used.delete(owner);
  }
}

/** How many things use a port on their listening side, by protocol: a packet of which neither port is in use is of no interest. */
export class PortsInUse {
  readonly #counts = new Map<number, Uint32Array>();

  take(protocol: number, port: number): void {
    this.#add(protocol, port, 1);
  }

  give(protocol: number, port: number): void {
    this.#add(protocol, port, -1);
  }

  /** Whether either port is in use. */
  any(protocol: number, one: number, other: number): boolean {
    const counts = this.#counts.get(protocol);
    return counts !== undefined && (counts[one] !== 0 || counts[other] !== 0);
  }

  #add(protocol: number, port: number, by: number): void {
    let counts = this.#counts.get(protocol);
    if (counts === undefined) {
      counts = new Uint32Array(0x10000);
      this.#counts.set(protocol, counts);
    }
    counts[port] = (counts[port] ?? 0) + by;
  }
}

// SPDX-License-Identifier: Apache-2.0

/** A connection between SYN-ACK and the ACK that completes its handshake. */
export interface Embryo {
  /** Sequence numbers that the last ACK has to have. */
  readonly client: number;
  readonly server: number;
  /** Hop limit of the SYN-ACK. */
  readonly ttl: number;
  readonly seen: number;
  /**
   * `syn-data`: only a SYN was seen, and it has data. `fast-open`: the server has taken some of it. `never`: both sides open at
   * once.
   */
  readonly kind: 'plain' | 'syn-data' | 'fast-open' | 'never';
}

/** Handshakes that are not complete, as the datapath keeps them (bpf/lib/handshake.h); when there are too many the oldest go. */
export class Handshakes {
  readonly #limit: number;
  /** Milliseconds after which one does not count any more. */
  readonly #patience: number;
  /** By the connection's sorted tuple; the oldest first. */
  readonly #embryos = new Map<string, Embryo>();

  constructor(limit: number, patience: number) {
    this.#limit = limit;
    this.#patience = patience;
  }

  put(key: string, embryo: Embryo): void {
    const known = this.#embryos.get(key);
    let { kind } = embryo;
    if (known !== undefined) {
      // Not for good: a forged SYN-ACK would close these addresses and ports for all time.
      if (known.kind === 'never' && !this.#isOld(known, embryo.seen)) return;
      // The same SYN-ACK once more: what was known first stays.
      const same = known.client === embryo.client && known.server === embryo.server;
      if (known.kind !== 'syn-data' && same && kind !== 'never') return;
      // The SYN's data counts as sent if the server acknowledges any of it (RFC 7413).
      if (known.kind === 'syn-data' && kind === 'plain' && known.client !== embryo.client) kind = 'fast-open';
      this.#embryos.delete(key);
    } else if (this.#embryos.size >= this.#limit) {
      const [oldest] = this.#embryos.keys();
      if (oldest !== undefined) this.#embryos.delete(oldest);
    }
    this.#embryos.set(key, { ...embryo, kind });
  }

  has(key: string): boolean {
    return this.#embryos.has(key);
  }

  /** What an ACK completes. `handshake`: it is not the one. Null: nothing is known of this connection. */
  completedBy(key: string, seq: number, ack: number, now: number): Embryo | 'handshake' | null {
    const embryo = this.#embryos.get(key);
    if (embryo === undefined) return null;
    const { kind, client, server } = embryo;
    if (kind === 'never' || kind === 'syn-data' || client !== seq || server !== ack) return 'handshake';
    return this.#isOld(embryo, now) ? null : embryo;
  }

  delete(key: string): void {
    this.#embryos.delete(key);
  }

  #isOld(embryo: Embryo, now: number): boolean {
    return now - embryo.seen > this.#patience;
  }
}

// SPDX-License-Identifier: Apache-2.0
import { header } from './header.js';
import { CLIENT_NEXT, SERVER_NEXT } from './loadedDatapath.js';
import type { Connection } from './plan.js';
import type { Piece, Ring, Target, Turn } from './ring.js';

/** How many packets go through before the events are read: what they tell of fits in the ring. */
const CHUNK = 2048;

/** What each side's packets are sent through. */
export interface Sides {
  readonly client: Target;
  readonly server: Target;
}

/** Which connections speak, and how often. */
export interface Speech {
  /** The first so many; default all. */
  readonly count?: number;
  readonly times?: number;
  readonly turn?: Turn;
}

/**
 * Many control connections whose two sides say the same lines, in stream order: every line goes on where the side's last one
 * has ended.
 */
export class CrowdOfLines {
  readonly #ring: Ring;
  readonly #sides: Sides;
  readonly #drain: () => void;
  readonly #pieces: Readonly<Record<'client' | 'server', Piece>>;

  private constructor(ring: Ring, pieces: Record<'client' | 'server', Piece>, sides: Sides, drain: () => void) {
    this.#ring = ring;
    this.#pieces = pieces;
    this.#sides = sides;
    this.#drain = drain;
  }

  /** `drain` reads the events that have come. */
  static of(ring: Ring, connections: readonly Connection[], sides: Sides, drain: () => void): CrowdOfLines {
    const piece = (reply: boolean): Piece => {
      const [seq, ack] = reply ? [SERVER_NEXT, CLIENT_NEXT] : [CLIENT_NEXT, SERVER_NEXT];
      return ring.add(connections.map((one) => header(one, { reply, seq, ack, offloaded: true })));
    };
    return new CrowdOfLines(ring, { client: piece(false), server: piece(true) }, sides, drain);
  }

  /** The same packets through something else, which must not mind where a stream stands. */
  through(sides: Sides): CrowdOfLines {
    return new CrowdOfLines(this.#ring, this.#pieces, sides, this.#drain);
  }

  /** Nanoseconds per line. */
  say(
    who: 'client' | 'server',
    text: string,
    { count = this.#pieces[who].count, times = 1, turn }: Speech = {},
  ): number {
    const payload = new TextEncoder().encode(text);
    const piece = { ...this.#pieces[who], count, payload, advances: true };
    const total = count * times;
    let nanoseconds = 0;
    for (let done = 0; done < total;) {
      const packets = Math.min(CHUNK, total - done);
      const options = { next: done % count, ...(turn === undefined ? {} : { turn }) };
      nanoseconds += packets * this.#ring.run(piece, this.#sides[who], packets, options);
      this.#drain();
      done += packets;
    }
    return nanoseconds / total;
  }
}

// SPDX-License-Identifier: Apache-2.0
import { concat, type Bytes } from './packet.js';
import type { Endpoint, Peer } from './peer.js';
import { Signal } from './signal.js';

/** What a {@link PeerSocket} got. */
export interface Datagram {
  /** Latin-1. */
  readonly data: string;
  readonly from: Endpoint;
}

/** A UDP socket of a {@link Peer}. */
export class PeerSocket {
  readonly local: Endpoint;
  /** All that came. {@link receive} takes nothing away. */
  readonly received: Datagram[] = [];
  readonly #peer: Peer;
  readonly #id: number;
  readonly #signal = new Signal();
  #next = 0;

  /** Used by {@link Peer}. */
  constructor(peer: Peer, id: number, local: Endpoint) {
    this.#peer = peer;
    this.#id = id;
    this.local = local;
  }

  /** Sends one datagram; resolves when the kernel has it. */
  async send(to: Endpoint, data: Bytes): Promise<void> {
    await this.#peer.ask('send', { datagrams: this.#id, to, data: Buffer.from(concat(data)).toString('base64') });
  }

  /** The next datagram; rejects when none comes within `timeoutMs` (default 5,000). */
  async receive(timeoutMs = 5000): Promise<Datagram> {
    const datagram = await this.#signal.until(
      () => this.received[this.#next],
      timeoutMs,
      () => `nothing came to UDP port ${this.local.port}`,
    );
    this.#next++;
    return datagram;
  }

  /** Gives the port back. */
  async close(): Promise<void> {
    await this.#peer.ask('unbind', { datagrams: this.#id });
  }

  /** Used by {@link Peer}. */
  report(message: { data?: string; remote?: Endpoint }): void {
    const data = Buffer.from(message.data ?? '', 'base64').toString('latin1');
    this.received.push({ data, from: message.remote ?? { address: '', port: 0 } });
    this.#signal.raise();
  }
}

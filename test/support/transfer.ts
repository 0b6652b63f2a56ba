// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerConnection } from '@relatd/lab';
import type { Session } from './dialogue.js';
import { eventually } from './gateway.js';

/** A data connection that moves bytes both ways, for as long as the test wants. */
export class Transfer {
  readonly near: PeerConnection;
  readonly far: PeerConnection;
  /** Id of its control connection. */
  readonly master: string;
  #moved = 0;

  private constructor(near: PeerConnection, far: PeerConnection, master: string) {
    this.near = near;
    this.far = far;
    this.master = master;
  }

  /** Announced by a 227, opened by the client. */
  static async begin(session: Session): Promise<Transfer> {
    const port = session.stage.newPort();
    await session.passive(port);
    return Transfer.open(session, port);
  }

  /** To a port of the server that is expected already. */
  static async open({ stage, here, there, id }: Session, port: number): Promise<Transfer> {
    const listener = await stage.server.listen(port);
    const near = await stage.client.connect(there, port, { localAddress: here });
    const far = await listener.accept();
    await listener.close();
    const transfer = new Transfer(near, far, id);
    await transfer.goesOn();
    return transfer;
  }

  /** 100,000 bytes in each direction. */
  async goesOn(): Promise<void> {
    this.#moved += 100_000;
    const block = 'x'.repeat(100_000);
    await Promise.all([this.near.write(block), this.far.write(block)]);
    await eventually(
      () => (this.near.received.length === this.#moved && this.far.received.length === this.#moved ? true : undefined),
      () => `the transfer stands at ${this.near.received.length} and ${this.far.received.length} of ${this.#moved}`,
    );
  }

  /** Goes on without a pause as long as something else takes. Returns the bytes of each direction meanwhile. */
  async goesOnWhile(what: () => Promise<void>): Promise<number> {
    const before = this.#moved;
    const over = new AbortController();
    const moving = (async (): Promise<void> => {
      while (!over.signal.aborted) {
        await this.goesOn();
        await sleep(2);
      }
    })();
    try {
      await what();
    } finally {
      over.abort();
      await moving;
    }
    return this.#moved - before;
  }

  async end(): Promise<void> {
    await this.near.end();
    await this.far.end();
  }
}

// SPDX-License-Identifier: Apache-2.0
import type { FlowDetail } from '@relatd/model';

/** A command whose reply has not come. */
export interface PendingCommand {
  readonly verb: string;
  /** The code that announces a place in answer to it: 227 for PASV, 229 for EPSV, else 0. */
  readonly asks: 0 | 227 | 229;
  /** EPSV 1 and EPSV 2: the family asked for. */
  readonly family: 4 | 6 | null;
  /** PORT, EPRT: number of the announcement; else 0. */
  readonly announcement: number;
  /** USER: who the user was before. */
  readonly userBefore: string | null;
  /** PASV, EPSV: what the connection is for, when the transfer command did not wait for the reply. */
  purpose: FlowDetail | null;
}

/** Commands in flight that are remembered. lftp, the keenest of pipelining clients, sends fewer than ten. */
export const PENDING_LIMIT = 64;

/**
 * Commands in the order in which the server has to answer them (RFC 959, 5.4). Some servers leave a reply out or send one too
 * many, above all around ABOR. So that one slip does not shift all pairs to come, a reply that can answer only one kind of command is
 * given to the first of that kind, and the commands before it are taken for answered.
 */
export class PendingCommands {
  readonly #queue: PendingCommand[] = [];

  get size(): number {
    return this.#queue.length;
  }

  /** The command that asks for a place and has nothing newer that announces one behind it. */
  get lastAsking(): PendingCommand | undefined {
    const last = this.#queue.findLast(({ asks, announcement }) => asks !== 0 || announcement !== 0);
    return last?.asks === 0 ? undefined : last;
  }

  /** A flood without replies is no dialogue: all of it is forgotten, and none of the replies will pair. */
  push(command: PendingCommand): void {
    if (this.#queue.length === PENDING_LIMIT) this.clear();
    this.#queue.push(command);
  }

  /** The first command that fits, and forgets those before it; undefined and no change if none fits. */
  take(fits: (command: PendingCommand) => boolean): PendingCommand | undefined {
    const at = this.#queue.findIndex(fits);
    return at < 0 ? undefined : this.#queue.splice(0, at + 1)[at];
  }

  /** Forgets the commands before the first that fits, which goes on waiting. */
  reach(fits: (command: PendingCommand) => boolean): void {
    const at = this.#queue.findIndex(fits);
    if (at > 0) this.#queue.splice(0, at);
  }

  /** The command that a final reply answers. */
  answered(code: number): PendingCommand | undefined {
    // ABOR is answered by 225, 226 or an error (RFC 959, 5.4). A server that ends the transfer with one reply for both owes none.
    if (code === 225) return this.take(isAbort) ?? this.#queue.shift();
    if (code !== 226 && code < 400) while (this.#queue[0] !== undefined && isAbort(this.#queue[0])) this.#queue.shift();
    return this.#queue.shift();
  }

  clear(): void {
    this.#queue.length = 0;
  }
}

function isAbort({ verb }: PendingCommand): boolean {
  return verb === 'ABOR';
}

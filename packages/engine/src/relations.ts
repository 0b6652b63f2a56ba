// SPDX-License-Identifier: Apache-2.0
import { isNativeError, type Datapath, type TupleRecord } from '@relatd/datapath';
import type { ConntrackStatus } from '@relatd/model';
import { messageOf } from './failure.js';

/** What making entries in connection tracking needs of the rest. */
export interface RelationsContext {
  readonly datapath: Pick<Datapath, 'relate'>;
  /** The control connection of an id, from who opened it; null when it is not known. */
  master(id: bigint): TupleRecord | null;
}

/**
 * `related: conntrack`: related connections get an entry of netfilter's connection tracking before their first packet goes on, so
 * that `ct state related` is true of it. What cannot be told has the mark alone.
 */
export class Relations {
  readonly #context: RelationsContext;
  #made = 0;
  #withoutMaster = 0;
  #failed = 0;
  #problem: string | null = null;

  constructor(context: RelationsContext) {
    this.#context = context;
  }

  /** A connection that the datapath expected is being opened. Never throws: its packet goes on in any case. */
  opened(connection: TupleRecord, masterId: bigint): void {
    const master = this.#context.master(masterId);
    if (master === null) {
      this.#withoutMaster++;
      return;
    }
    try {
      if (this.#context.datapath.relate(connection, master) === 'no-master') this.#withoutMaster++;
      else this.#made++;
    } catch (error) {
      this.#failed++;
      this.#problem = problemOf(error);
    }
  }

  get status(): ConntrackStatus {
    return {
      made: this.#made,
      withoutMaster: this.#withoutMaster,
      failed: this.#failed,
      problems: [
        ...(this.#withoutMaster === 0
          ? []
          : [
              `${String(this.#withoutMaster)} related connections have the mark alone: connection tracking does not know their control connection; no rule of this network namespace uses it, a rule exempts the connection (notrack), or it has a zone of connection tracking`,
            ]),
        ...(this.#problem === null
          ? []
          : [`${String(this.#failed)} related connections have the mark alone: ${this.#problem}`]),
      ],
    };
  }
}

function problemOf(error: unknown): string {
  if (isNativeError(error) && error.code === 'RELATD_NO_PERMISSION')
    return 'the daemon may not change connection tracking; it needs CAP_NET_ADMIN';
  return messageOf(error);
}

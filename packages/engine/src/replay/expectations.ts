// SPDX-License-Identifier: Apache-2.0
import { tupleId, type TupleRecord } from '@relatd/datapath';
import { formatAddress, type Reason } from '@relatd/model';
import type { DetailBox } from '../connection.js';
import type { TrackedControl } from './flow.js';
import { Quota, type PortsInUse } from './limits.js';

/** What is asked of the table. */
export interface ExpectOrder {
  /** Source address zero: anybody. Source port 0: any. */
  readonly tuple: TupleRecord;
  readonly master: TrackedControl;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  readonly created: number;
  /** It counted before, and its connection did not come about. */
  readonly givenBack: boolean;
  /** What it is for; null: not known yet. */
  readonly box: DetailBox | null;
}

/** A connection that is expected. */
export interface Expected extends ExpectOrder {
  readonly id: bigint;
  readonly key: string;
  deadline: number;
  box: DetailBox | null;
}

const ANYBODY = new Uint8Array(16);

/** What becomes of a tuple where it need not say everything of who opens the connection, most specific first. */
const SHAPES: readonly ((tuple: TupleRecord) => TupleRecord)[] = [
  (tuple) => tuple,
  (tuple) => ({ ...tuple, source: ANYBODY }),
  (tuple) => ({ ...tuple, sourcePort: 0 }),
  (tuple) => ({ ...tuple, source: ANYBODY, sourcePort: 0 }),
];

export interface ExpectationsOptions {
  /** In all, and of the opener of one address. */
  readonly limits: { readonly expectations: number; readonly perSource: number };
  readonly ports: PortsInUse;
  readonly newId: () => bigint;
  /** One is over without a connection. */
  readonly ended: (expected: Expected, reason: Reason) => void;
}

/** The connections that are expected, under the rules of the datapath (bpf/lib/expect.h, master.h). What is in it has not expired. */
export class Expectations {
  readonly #options: ExpectationsOptions;
  readonly #sources: Quota;
  readonly #byKey = new Map<string, Expected>();

  constructor(options: ExpectationsOptions) {
    this.#options = options;
    this.#sources = new Quota(options.limits.perSource);
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The most specific that a packet, or another expectation, matches. */
  find(tuple: TupleRecord): Expected | null {
    if (this.#byKey.size === 0) return null;
    for (const widen of SHAPES) {
      const found = this.#byKey.get(tupleId(widen(tuple)));
      if (found !== undefined) return found;
    }
    return null;
  }

  /** Whether this one still counts. */
  has(expected: Expected): boolean {
    return this.#byKey.get(expected.key) === expected;
  }

  /**
   * Expects what was announced. One that is there already gets the new deadline. A reason: why not. At its master's limit the
   * oldest goes.
   */
  announce(order: ExpectOrder): { readonly expected: Expected; readonly isNew: boolean } | Reason {
    const overlapping = this.find(order.tuple);
    if (overlapping !== null) {
      if (overlapping.master !== order.master) return 'clash';
      if (overlapping.key === tupleId(order.tuple)) {
        overlapping.deadline = order.deadline;
        return { expected: overlapping, isNew: false };
      }
    }
    const { expectations, assignment } = order.master;
    const [oldest] = expectations;
    if (expectations.size >= assignment.limits.perMaster && oldest !== undefined) this.end(oldest, 'evicted');
    const expected = this.#insert(order);
    return typeof expected === 'string' ? expected : { expected, isNew: true };
  }

  /** Expects again what did not come about. Nothing makes room for it. Null: there is none. */
  giveBack(order: ExpectOrder): Expected | null {
    const { expectations, assignment } = order.master;
    if (expectations.size >= assignment.limits.perMaster) return null;
    const expected = this.#insert(order);
    return typeof expected === 'string' ? null : expected;
  }

  /** It is over without a connection. */
  end(expected: Expected, reason: Reason): void {
    this.take(expected);
    this.#options.ended(expected, reason);
  }

  /** Takes it out: its connection came. */
  take(expected: Expected): void {
    const { key, tuple, master } = expected;
    this.#byKey.delete(key);
    master.expectations.delete(expected);
    this.#sources.give(openerOf(master));
    this.#options.ports.give(tuple.protocol, tuple.destinationPort);
  }

  #insert(order: ExpectOrder): Expected | Reason {
    const { limits, newId, ports } = this.#options;
    const key = tupleId(order.tuple);
    if (this.#byKey.size >= limits.expectations) return 'expectations-full';
    if (this.#byKey.has(key)) return 'busy';
    if (!this.#sources.take(openerOf(order.master))) return 'per-source';
    const expected: Expected = { ...order, id: newId(), key };
    this.#byKey.set(key, expected);
    order.master.expectations.add(expected);
    ports.take(order.tuple.protocol, order.tuple.destinationPort);
    return expected;
  }
}

/** Who opened a control connection: limits per source go by that. */
export const openerOf = ({ tuple }: Pick<TrackedControl, 'tuple'>): string => formatAddress(tuple.source);

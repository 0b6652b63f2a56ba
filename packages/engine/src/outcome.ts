// SPDX-License-Identifier: Apache-2.0
import type { RequestAnswer, RequestRecord } from '@relatd/datapath';
import type { Reason } from '@relatd/model';
import type { ControlConnection } from './connection.js';
import type { Verdict } from './policy.js';

/** A request to the datapath and what to do with its answer. */
export interface Pending {
  readonly request: RequestRecord;
  readonly answered?: (answer: RequestAnswer) => void;
}

/** An announcement that was turned down. */
export interface Refusal {
  readonly connection: ControlConnection;
  /** Null: it could not be read. */
  readonly expect: Verdict['expect'] | null;
  readonly reason: Reason;
}

/** What comes of a batch of segments, in the order in which it must happen: requests first, then frames go on. */
export interface Outcome {
  readonly requests: Pending[];
  readonly refusals: Refusal[];
  readonly frames: Uint8Array[];
}

export const emptyOutcome = (): Outcome => ({ requests: [], refusals: [], frames: [] });

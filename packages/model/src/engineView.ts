// SPDX-License-Identifier: Apache-2.0
import type { Event } from './event.js';
import type { Expectation } from './expectation.js';
import type { Explanation, WhyQuestion } from './explanation.js';
import type { Flow } from './flow.js';
import type { Reason } from './generated/reasons.js';
import type { HoldStatus, Status, TableStatus } from './status.js';

/** Numbers of one assignment. `flows` is the present state, the others only grow. */
export interface AssignmentCounters {
  readonly name: string;
  readonly helper: string;
  readonly flows: { readonly control: number; readonly related: number };
  readonly expectations: number;
  /** How many of them each control connection may have. */
  readonly perMaster: number;
  readonly controlTotal: number;
  readonly relatedTotal: number;
  readonly expectationTotal: number;
  /** Announcements that were turned down, by reason. */
  readonly refused: Readonly<Partial<Record<Reason, number>>>;
  /** Control connections that are no longer parsed, by reason. */
  readonly distrusted: Readonly<Partial<Record<Reason, number>>>;
}

/** Numbers of one interface. */
export interface InterfaceCounters {
  readonly name: string;
  readonly watched: boolean;
  /** How many things do not work here; `status` has the sentences. */
  readonly problems: number;
}

/** What metrics are made of. Never per address or port of a flow: such labels grow without bound. */
export interface Counters {
  /** Version of the daemon. */
  readonly version: string;
  /** When the daemon started: ISO 8601, UTC. */
  readonly started: string;
  readonly reasons: Readonly<Record<Reason, number>>;
  readonly assignments: readonly AssignmentCounters[];
  readonly interfaces: readonly InterfaceCounters[];
  readonly tables: readonly TableStatus[];
  /** What one address may hold: control connections that it opened, and expectations on those. */
  readonly limits: { readonly perSource: number };
  readonly losses: Status['losses'];
  readonly hold: HoldStatus;
}

/** What a reload did. */
export interface ReloadResult {
  /** False: the file says what was in force already. */
  readonly changed: boolean;
  /** Sentences: what changed, what takes effect only later. */
  readonly messages: readonly string[];
}

/** The engine as the API and the command see it. Every method rejects with `RelatdError`. */
export interface EngineView {
  flows(): Promise<readonly Flow[]>;
  expectations(): Promise<readonly Expectation[]>;
  status(): Promise<Status>;
  counters(): Promise<Counters>;
  /** Why a connection was RELATED, or why not. */
  why(question: WhyQuestion): Promise<Explanation>;
  /** Calls `listener` with each event until the returned function is called. The listener must not throw. */
  subscribe(listener: (event: Event) => void): () => void;
  /** Reads the configuration again and applies it. A bad file changes nothing: `CONFIG_INVALID`, with its problems. */
  reload(): Promise<ReloadResult>;
}

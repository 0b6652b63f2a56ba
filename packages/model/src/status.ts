// SPDX-License-Identifier: Apache-2.0
import type { Protocol } from './flow.js';
import type { Reason } from './generated/reasons.js';

/** A program in an interface's chain, in the order in which the kernel runs them. */
export interface ChainProgram {
  readonly id: number;
  readonly name: string;
  readonly ours: boolean;
}

/** One interface that relatd knows of. */
export interface InterfaceStatus {
  readonly name: string;
  readonly ifindex: number;
  readonly watched: boolean;
  /** How the programs are attached; null where they are not. */
  readonly mode: 'tcx' | 'clsact' | null;
  readonly zone: number;
  readonly neighbours: { readonly ingress: readonly ChainProgram[]; readonly egress: readonly ChainProgram[] };
  /** Sentences: what does not work here, and what to do. */
  readonly problems: readonly string[];
}

/** One assignment and what it has to do at present. */
export interface AssignmentStatus {
  readonly name: string;
  readonly helper: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** Null: by any interface. */
  readonly interface: string | null;
  /** Prefixes; empty: anybody. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly mark: string;
  readonly flows: { readonly control: number; readonly related: number };
}

/** How full a table is; `bytes` is its memory when full. */
export interface TableStatus {
  readonly name: string;
  readonly used: number;
  readonly size: number;
  readonly bytes: number;
}

/** The device in which control packets wait for the control plane. */
export interface HoldStatus {
  /** Its name; null when there is none. */
  readonly device: string | null;
  readonly unavailablePolicy: 'pass' | 'drop';
  readonly held: number;
  readonly released: number;
  readonly unattended: number;
}

/** The programs that mark connections which this host opens, for OUTPUT. */
export interface OutputStatus {
  /** To the root of the cgroup hierarchy. */
  readonly attached: boolean;
  /** A sentence: why not, and what to do. */
  readonly problem: string | null;
}

/** `related: conntrack`: what connection tracking was told since the daemon started. */
export interface ConntrackStatus {
  /** Entries made. */
  readonly made: number;
  /** Connections whose control connection connection tracking does not know: they have the mark alone. */
  readonly withoutMaster: number;
  /** Connections of which the kernel would not be told: they have the mark alone. */
  readonly failed: number;
  /** Sentences: what is missing, and what to do. */
  readonly problems: readonly string[];
}

/** What `relatd status --json` prints. */
export interface Status {
  readonly version: string;
  /** Null when no daemon runs. */
  readonly pid: number | null;
  readonly uptimeSeconds: number;
  readonly running: boolean;
  /** ISO 8601, UTC: since when no daemon runs, within a second if it was killed. Null while one does, or when it is not known. */
  readonly daemonGoneSince: string | null;
  /** Name, path or cookie of the network namespace. */
  readonly namespace: string;
  /** Release of the kernel. */
  readonly kernel: string;
  readonly interfaces: readonly InterfaceStatus[];
  readonly output: OutputStatus;
  /** Null with `related: mark`, and without a daemon. */
  readonly conntrack: ConntrackStatus | null;
  readonly assignments: readonly AssignmentStatus[];
  readonly tables: readonly TableStatus[];
  readonly counters: Readonly<Record<Reason, number>>;
  /** What could not be delivered to the control plane. */
  readonly losses: { readonly events: number; readonly samples: number };
  readonly hold: HoldStatus;
  /** Sentences about what an operator should look at. */
  readonly warnings: readonly string[];
}

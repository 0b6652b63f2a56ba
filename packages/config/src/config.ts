// SPDX-License-Identifier: Apache-2.0
import type { HelperDefinition } from '@relatd/grammar';
import type { Family, PortRange, Prefix, Protocol } from '@relatd/model';
import type { Listen } from '@relatd/document';

/** One assignment, everything resolved. */
export interface Assignment {
  readonly name: string;
  readonly helper: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** Null: any. */
  readonly interface: string | null;
  /** Never empty; `[ANY]` when the file says nothing. */
  readonly from: readonly Prefix[];
  readonly to: readonly Prefix[];
  readonly data: {
    readonly ports: PortRange;
    readonly thirdParty: boolean;
    /** Of the connections that the helper announces. */
    readonly protocols: readonly Protocol[];
  };
  readonly mark: number;
  readonly limits: {
    readonly perMaster: number;
    /** Milliseconds. */
    readonly expectation: number;
  };
  readonly detail: 'none' | 'command' | 'full';
  /** Rank among the assignments of the same protocol and port: 0 is asked first. */
  readonly order: number;
  /** Where it stands in the file, from 1. */
  readonly line: number;
}

/** New TCP connections to these are dropped unless RELATED. */
export interface Guard {
  readonly to: Prefix;
  readonly ports: PortRange;
}

/** The configuration, everything resolved. Times are milliseconds. */
export interface Config {
  /** The file it came from. */
  readonly file: string;
  readonly interfaces: 'auto' | readonly string[];
  /** Interfaces that are not in it are in zone 0. */
  readonly zones: ReadonlyMap<string, number>;
  readonly order: { readonly ingress: 'first' | 'last'; readonly egress: 'first' | 'last' };
  readonly attach: 'auto' | 'tcx' | 'clsact';
  /** Helpers from files that the configuration names. */
  readonly helpers: readonly HelperDefinition[];
  /** By protocol and port; among those of one port the more specific first. */
  readonly assignments: readonly Assignment[];
  readonly mark: { readonly mask: number; readonly related: number };
  readonly idle: {
    readonly control: number;
    readonly related: number;
    readonly halfOpen: number;
    readonly closed: number;
  };
  readonly limits: {
    readonly flows: number;
    readonly expectations: number;
    readonly perSource: number;
    readonly control: number;
    readonly embryonic: number;
  };
  readonly hold: { readonly unavailable: 'pass' | 'drop'; readonly deadline: number };
  readonly guard: readonly Guard[];
  /** How rules see RELATED: by the mark alone, or by `ct state related` as well. */
  readonly related: 'mark' | 'conntrack';
  readonly listen: {
    readonly socket: string;
    /** Whose members may use the socket; null: `relatd`, where the host has that group. */
    readonly group: string | null;
    readonly metrics: Listen | null;
    /** Null: the dashboard asks for no token, and is served on loopback only. */
    readonly tokenFile: string | null;
  };
}

/** A pair of prefixes that an assignment covers. Family 0: both families. */
export interface AssignmentPair {
  readonly from: Prefix;
  readonly to: Prefix;
  readonly family: Family;
}

/**
 * What goes into the datapath's table for one assignment: every source with every destination of the same family. A
 * prefix of an IPv6 pair may reach around the mapped IPv4 addresses (`::/0`): the pair's family keeps those out.
 */
export function assignmentPairs(assignment: Pick<Assignment, 'from' | 'to'>): AssignmentPair[] {
  const pairs: AssignmentPair[] = [];
  for (const from of assignment.from) {
    for (const to of assignment.to) {
      if (from.family !== 0 && to.family !== 0 && from.family !== to.family) continue;
      pairs.push({ from, to, family: from.family === 0 ? to.family : from.family });
    }
  }
  return pairs;
}

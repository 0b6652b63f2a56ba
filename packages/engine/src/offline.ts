// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import {
  Datapath,
  HoldPolicy,
  Tables,
  attachedMode,
  boottimeNs,
  chainPrograms,
  connectsAttached,
  isNativeError,
  pinDirectory,
  pinMatches,
  type Namespace,
} from '@relatd/datapath';
import {
  RelatdError,
  formatMark,
  type Expectation,
  type Explanation,
  type Flow,
  type Status,
  type WhyQuestion,
} from '@relatd/model';
import { pinnedAssignment } from './assignments.js';
import { bootTimeToIso, bootTimeToMs, expectationsOf, flowsOf, type Names } from './convert.js';
import { explained } from './failure.js';
import { openNamespace } from './namespace.js';
import { inspectRuleset } from './ruleset.js';
import { countFlows, counterWarnings, holdStatus, lossesOf, tableStatus, version } from './status.js';
import { collectEvidence } from './why/collect.js';
import { explain } from './why/explain.js';

/** Which network namespace; null: the caller's. */
export interface Where {
  readonly netns: string | null;
}

/** Runs with the tables that are pinned for a namespace. @throws NOT_RUNNING when there are none */
async function withPins<T>(
  { netns }: Where,
  use: (tables: Tables, names: Names, namespace: Namespace) => Promise<T>,
): Promise<T> {
  try {
    const namespace = openNamespace(netns);
    try {
      return await withTables(namespace, use);
    } finally {
      namespace.close();
    }
  } catch (error) {
    throw explained(error, netns);
  }
}

async function withTables<T>(
  namespace: Namespace,
  use: (tables: Tables, names: Names, namespace: Namespace) => Promise<T>,
): Promise<T> {
  const directory = pinDirectory(namespace);
  if (!existsSync(`${directory}/maps/config`)) throw RelatdError.of('NOT_RUNNING');
  const tables = Tables.pinned(directory);
  const interfaces = new Map(namespace.interfaces().map(({ index, name }) => [index, name]));
  const names: Names = {
    assignment: (id) => tables.assignmentName(id) ?? { name: `#${String(id)}`, helper: 'unknown' },
    interface: (ifindex) => interfaces.get(ifindex) ?? `#${String(ifindex)}`,
    detail: () => null,
  };
  try {
    return await use(tables, names, namespace);
  } finally {
    tables.close();
  }
}

/** Flows from the pins, when no daemon runs. */
export function offlineFlows(where: Where): Promise<Flow[]> {
  return withPins(where, async (tables, names) => {
    return flowsOf(await tables.flows(), names);
  });
}

export function offlineExpectations(where: Where): Promise<Expectation[]> {
  return withPins(where, async (tables, names) => {
    return expectationsOf(await tables.expectations(), names);
  });
}

/** Status from the pins: what goes on without a daemon, and since when. */
export function offlineStatus(where: Where): Promise<Status> {
  return withPins(where, async (tables, names, namespace) => {
    const config = tables.config();
    const counters = tables.counters();
    const flows = await flowsOf(await tables.flows(), names);
    const known = tables.interfaces();
    const interfaces = namespace.interfaces().flatMap(({ index, name }) => {
      const mode = attachedMode(namespace, index);
      if (mode === null) return [];
      const neighbours = {
        ingress: chainPrograms(namespace, index, 'ingress'),
        egress: chainPrograms(namespace, index, 'egress'),
      };
      const zone = known.get(`${String(index)}/0`)?.zone ?? 0;
      return [{ name, ifindex: index, watched: true, mode, zone, neighbours, problems: [] }];
    });
    // An orderly stop says when. Without one there is a daemon whose socket was not asked, or one that was killed.
    const orderly = config.stopped !== 0n;
    const { warnings, notes } = await inspectRuleset(where.netns, config.markMask);
    const gone = goneAt(tables);
    const pid = orderly ? null : Datapath.holder(namespace);
    const running = pid !== null;
    return {
      version,
      pid,
      uptimeSeconds: running ? Math.round(Number(boottimeNs() - config.started) / 1e9) : 0,
      running,
      daemonGoneSince: running || gone === 0n ? null : bootTimeToIso(gone),
      namespace: where.netns ?? 'current',
      kernel: release(),
      interfaces,
      output: { attached: connectsAttached(pinDirectory(namespace)), problem: null },
      conntrack: null,
      assignments: tables.assignments().map(({ name, helper, protocol, port, mark }) => ({
        ...{ name, helper, protocol, port },
        interface: null,
        from: [],
        to: [],
        mark: formatMark(mark),
        flows: countFlows(flows, name),
      })),
      tables: tableStatus(tables),
      counters,
      losses: lossesOf(counters),
      hold: holdStatus(null, config.holdPolicy === HoldPolicy.pass ? 'pass' : 'drop', counters),
      warnings: [...warningsOf(running, orderly, gone !== 0n), ...counterWarnings(counters), ...warnings, ...notes],
    };
  });
}

/** Why a connection was RELATED, or why not, as far as the pins tell. */
export function offlineWhy(where: Where, question: WhyQuestion): Promise<Explanation> {
  return withPins(where, async (tables, names, namespace) => {
    const gone = goneAt(tables);
    const now = Date.now();
    const pinned = tables.assignments();
    const watched = namespace.interfaces().filter(({ index }) => attachedMode(namespace, index) !== null);
    const evidence = await collectEvidence(question, {
      history: null,
      drain: () => undefined,
      tables,
      names,
      assignment: () => null,
      helper: () => null,
      itself: () => ({
        ...{ now, started: null, loaded: null, since: null, lost: [], guards: [] },
        away: [{ from: gone === 0n ? null : bootTimeToMs(gone), to: now }],
        watched: watched.map(({ name }) => name),
        assignments: pinned.map((assignment) => pinnedAssignment(assignment, names)),
      }),
    });
    return explain(question, evidence);
  });
}

/** Boot time at which the last daemon stopped, or was last known to live; ns, 0: not known. */
function goneAt(tables: Tables): bigint {
  const { stopped } = tables.config();
  return stopped === 0n ? tables.heartbeat() : stopped;
}

function warningsOf(running: boolean, orderly: boolean, known: boolean): string[] {
  if (running) return ['a daemon runs, but not at the socket that was asked: give --socket'];
  const killed = 'the last daemon did not stop in an orderly way';
  const ended = orderly ? [] : [known ? killed : `${killed}; since when it is gone is not known`];
  return [...ended, 'interfaces that come up meanwhile are neither watched nor guarded'];
}

/**
 * Detaches everything and removes the pins of a namespace; the programs for `iptables -m bpf` only with `purge`. Returns what
 * was done, a line each.
 */
export async function takeDown({ netns, purge }: Where & { readonly purge: boolean }): Promise<string[]> {
  try {
    const namespace = openNamespace(netns);
    try {
      return await Promise.resolve(Datapath.remove(namespace, purge));
    } finally {
      namespace.close();
    }
  } catch (error) {
    throw explained(error, netns);
  }
}

/**
 * Makes the programs for `iptables -m bpf` of these assignments without a datapath. Returns where they are pinned; null: a daemon
 * serves this namespace, and keeps them itself.
 */
export async function pinMatchPrograms({
  netns,
  names,
}: Where & { readonly names: readonly string[] }): Promise<string[] | null> {
  try {
    const namespace = openNamespace(netns);
    try {
      return await Promise.resolve(pinMatches(namespace, names));
    } finally {
      namespace.close();
    }
  } catch (error) {
    if (isNativeError(error) && error.code === 'RELATD_LOCKED') return null;
    throw explained(error, netns);
  }
}

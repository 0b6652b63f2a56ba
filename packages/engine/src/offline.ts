// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { Datapath, Namespace, Tables, chainPrograms, pinDirectory } from '@relatd/datapath';
import { RelatdError, formatMark, type Expectation, type Flow, type Status } from '@relatd/model';
import { bootTimeToIso, expectationOf, flowOf, openerTuple, type Names } from './convert.js';
import { counterWarnings, holdStatus, tableStatus, version } from './status.js';

/** Which network namespace; null: the caller's. */
export interface Where {
  readonly netns: string | null;
}

/** Runs with the tables that are pinned for a namespace. @throws NOT_RUNNING when there are none */
async function withPins<T>(
  { netns }: Where,
  use: (tables: Tables, names: Names, namespace: Namespace) => Promise<T>,
): Promise<T> {
  const namespace = netns === null ? Namespace.current() : Namespace.open(netns);
  const directory = pinDirectory(namespace);
  if (!existsSync(`${directory}/maps/config`)) {
    namespace.close();
    throw RelatdError.of('NOT_RUNNING');
  }
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
    namespace.close();
  }
}

/** Flows from the pins, when no daemon runs. */
export function offlineFlows(where: Where): Promise<Flow[]> {
  return withPins(where, async (tables, names) => {
    const entries = await tables.flows();
    return entries.filter(({ flow }) => flow.state !== 0).map((entry) => flowOf(openerTuple(entry), entry.flow, names));
  });
}

export function offlineExpectations(where: Where): Promise<Expectation[]> {
  return withPins(where, async (tables, names) => {
    const records = await tables.expectations();
    return records.map((record) => expectationOf(record, names)).filter(({ expiresSeconds }) => expiresSeconds !== 0);
  });
}

/** Status from the pins: what goes on without a daemon, and since when. */
export function offlineStatus(where: Where): Promise<Status> {
  return withPins(where, async (tables, names, namespace) => {
    const config = tables.config();
    const counters = tables.counters();
    const flows = (await tables.flows()).map((entry) => flowOf(openerTuple(entry), entry.flow, names));
    const interfaces = namespace.interfaces().flatMap(({ index, name }) => {
      const neighbours = {
        ingress: chainPrograms(namespace, index, 'ingress'),
        egress: chainPrograms(namespace, index, 'egress'),
      };
      if (![...neighbours.ingress, ...neighbours.egress].some(({ ours }) => ours)) return [];
      return [{ name, ifindex: index, watched: true, mode: null, zone: 0, neighbours, problems: [] }];
    });
    const gone = config.stopped === 0n ? null : bootTimeToIso(config.stopped);
    return {
      version,
      pid: null,
      uptimeSeconds: 0,
      running: false,
      daemonGoneSince: gone,
      namespace: where.netns ?? 'current',
      kernel: release(),
      interfaces,
      assignments: tables.assignments().map(({ mark, ...assignment }) => ({
        ...assignment,
        interface: null,
        from: [],
        to: [],
        mark: formatMark(mark),
        flows: {
          control: flows.filter(({ assignment: name, kind }) => name === assignment.name && kind === 'control').length,
          related: flows.filter(({ assignment: name, kind }) => name === assignment.name && kind === 'related').length,
        },
      })),
      tables: tableStatus(tables),
      counters,
      losses: { events: counters['event-lost'], samples: counters['sample-lost'] },
      hold: holdStatus(null, config.holdPolicy === 0 ? 'pass' : 'drop', counters),
      warnings: [
        gone === null ? 'no daemon runs; it did not stop in an orderly way' : `no daemon runs since ${gone}`,
        'interfaces that come up meanwhile are neither watched nor guarded',
        ...counterWarnings(counters),
      ],
    };
  });
}

/** Detaches everything and removes the pins of a namespace. Returns what was done, a line each. */
export function takeDown({ netns }: Where): Promise<string[]> {
  const namespace = netns === null ? Namespace.current() : Namespace.open(netns);
  try {
    return Promise.resolve(Datapath.remove(namespace));
  } finally {
    namespace.close();
  }
}

// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Config } from '@relatd/config';
import type { Datapath, Tables } from '@relatd/datapath';
import {
  formatMark,
  formatPrefix,
  type ConntrackStatus,
  type Flow,
  type HoldStatus,
  type OutputStatus,
  type Reason,
  type Status,
  type TableStatus,
} from '@relatd/model';
import type { InterfaceKeeper } from './interfaceKeeper.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export { version };

export function tableStatus(tables: Tables): TableStatus[] {
  return tables.fill().map(({ name, used, size, bytes }) => ({ name, used, size, bytes }));
}

export function holdStatus(
  device: string | null,
  unavailablePolicy: 'pass' | 'drop',
  reasons: Readonly<Record<Reason, number>>,
): HoldStatus {
  return {
    device,
    unavailablePolicy,
    held: reasons.held,
    released: reasons.released,
    unattended: reasons['hold-unattended'],
  };
}

/** Present flows of an assignment, by kind. */
export function countFlows(flows: readonly Flow[], assignment: string): { control: number; related: number } {
  const own = flows.filter((flow) => flow.assignment === assignment);
  const control = own.filter(({ kind }) => kind === 'control').length;
  return { control, related: own.length - control };
}

/** What could not be delivered to the control plane, since the tables were made. */
export function lossesOf(reasons: Readonly<Record<Reason, number>>): Status['losses'] {
  return { events: reasons['event-lost'], samples: reasons['sample-lost'] };
}

/** Sentences about what the counters tell an operator to look at. */
export function counterWarnings(reasons: Readonly<Record<Reason, number>>): string[] {
  const warnings: string[] = [];
  if (reasons.late > 0)
    warnings.push(
      `${String(reasons.late)} related connections entered by an interface that is not watched: FORWARD saw no mark; add it to \`interfaces\``,
    );
  for (const [reason, table] of [
    ['flows-full', 'flows'],
    ['controls-full', 'control'],
    ['expectations-full', 'expectations'],
  ] as const)
    if (reasons[reason] > 0)
      warnings.push(`${String(reasons[reason])} entries were refused because a table was full: raise limits.${table}`);
  if (reasons['event-lost'] > 0)
    warnings.push(`${String(reasons['event-lost'])} events were lost because they were not read in time`);
  return warnings;
}

/** What a running daemon says of itself. */
export function daemonStatus(parts: {
  datapath: Datapath;
  namespace: string;
  config: Config;
  flows: readonly Flow[];
  interfaces: InterfaceKeeper;
  output: OutputStatus;
  conntrack: ConntrackStatus | null;
  started: number;
  warnings: readonly string[];
}): Status {
  const { datapath, config, flows } = parts;
  const counters = datapath.tables.counters();
  return {
    version,
    pid: process.pid,
    uptimeSeconds: Math.round((Date.now() - parts.started) / 1000),
    running: true,
    daemonGoneSince: null,
    namespace: parts.namespace,
    kernel: release(),
    interfaces: parts.interfaces.status(),
    output: parts.output,
    conntrack: parts.conntrack,
    assignments: config.assignments.map((assignment) => ({
      name: assignment.name,
      helper: assignment.helper,
      protocol: assignment.protocol,
      port: assignment.port,
      interface: assignment.interface,
      from: assignment.from.filter(({ family }) => family !== 0).map(formatPrefix),
      to: assignment.to.filter(({ family }) => family !== 0).map(formatPrefix),
      mark: formatMark(assignment.mark),
      flows: countFlows(flows, assignment.name),
    })),
    tables: tableStatus(datapath.tables),
    counters,
    losses: lossesOf(counters),
    hold: holdStatus(datapath.holdDevice, config.hold.unavailable, counters),
    warnings: [
      ...parts.warnings,
      ...(parts.output.problem === null ? [] : [parts.output.problem]),
      ...(parts.conntrack?.problems ?? []),
      ...counterWarnings(counters),
    ],
  };
}

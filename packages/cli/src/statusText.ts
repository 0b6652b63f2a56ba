// SPDX-License-Identifier: Apache-2.0
import {
  explainReason,
  formatBytes,
  formatDuration,
  isReason,
  printable,
  type AssignmentStatus,
  type ChainProgram,
  type InterfaceStatus,
  type Status,
} from '@relatd/model';
import { paint } from './colour.js';
import type { Output } from './context.js';
import { tableText, type Column } from './table.js';

/** A status as people read it: what needs attention first, then tables of what there is. */
export function statusText(status: Status, output: Output): string {
  const parts = [
    headline(status, output),
    ...attention(status).map((line) => `${paint(output, 'yellow', 'warning:')} ${printable(line)}`),
    ...section(output, interfaceColumns, status.interfaces.map(interfaceRow)),
    ...section(output, assignmentColumns, status.assignments.map(assignmentRow)),
    ...section(
      output,
      tableColumns,
      status.tables.map(({ name, used, size, bytes }) => [
        name,
        String(used),
        String(size),
        size === 0 ? '-' : `${((used / size) * 100).toFixed(1)} %`,
        formatBytes(bytes),
      ]),
    ),
    ...section(output, counterColumns, counterRows(status.counters)),
    '',
    holdLine(status),
    ...conntrackLine(status),
    `output: connections that this host opens are ${status.output.attached ? '' : 'not '}marked`,
    `losses: ${String(status.losses.events)} events, ${String(status.losses.samples)} samples`,
  ];
  return parts.join('\n');
}

function headline(status: Status, output: Output): string {
  const where = `network namespace ${printable(status.namespace)}, kernel ${printable(status.kernel)}`;
  if (!status.running) {
    const since = status.daemonGoneSince === null ? '' : ` since ${status.daemonGoneSince}`;
    const title = paint(output, 'red', `relatd ${status.version}: no daemon runs${since}`);
    return `${title}; this is what is pinned (${where})`;
  }
  const pid = status.pid === null ? '' : `, pid ${String(status.pid)}`;
  const title = paint(output, 'green', `relatd ${status.version}: running for ${formatDuration(status.uptimeSeconds)}`);
  return `${title}${pid} (${where})`;
}

function conntrackLine({ conntrack }: Status): string[] {
  if (conntrack === null) return [];
  const { made, withoutMaster, failed } = conntrack;
  return [
    `conntrack: ${String(made)} related connections told, ${String(withoutMaster)} of control connections it does not know, ${String(failed)} failed`,
  ];
}

/** Everything that an operator should look at, wherever in the status it stands. */
function attention(status: Status): string[] {
  const problems = status.interfaces.flatMap(({ name, problems }) => problems.map((text) => `${name}: ${text}`));
  return [...status.warnings, ...problems];
}

const interfaceColumns: readonly Column[] = [
  { title: 'INTERFACE' },
  { title: 'INDEX', right: true },
  { title: 'WATCHED' },
  { title: 'MODE' },
  { title: 'ZONE', right: true },
  { title: 'INGRESS' },
  { title: 'EGRESS' },
];

function interfaceRow({ name, ifindex, watched, mode, zone, neighbours }: InterfaceStatus): string[] {
  return [
    printable(name),
    String(ifindex),
    watched ? 'yes' : 'no',
    mode ?? '-',
    String(zone),
    chain(neighbours.ingress),
    chain(neighbours.egress),
  ];
}

/** The programs of a hook in the kernel's order; ours in brackets. */
function chain(programs: readonly ChainProgram[]): string {
  return programs
    .map(({ id, name, ours }) => {
      const label = `${printable(name)}#${String(id)}`;
      return ours ? `[${label}]` : label;
    })
    .join(' ');
}

const assignmentColumns: readonly Column[] = [
  { title: 'ASSIGNMENT' },
  { title: 'HELPER' },
  { title: 'PORT' },
  { title: 'INTERFACE' },
  { title: 'FROM' },
  { title: 'TO' },
  { title: 'MARK' },
  { title: 'CONTROL', right: true },
  { title: 'RELATED', right: true },
];

function assignmentRow(assignment: AssignmentStatus): string[] {
  const { name, helper, protocol, port, from, to, mark, flows } = assignment;
  return [
    printable(name),
    printable(helper),
    `${protocol}/${String(port)}`,
    printable(assignment.interface ?? 'any'),
    from.length === 0 ? 'any' : from.join(','),
    to.length === 0 ? 'any' : to.join(','),
    mark,
    String(flows.control),
    String(flows.related),
  ];
}

const tableColumns: readonly Column[] = [
  { title: 'TABLE' },
  { title: 'USED', right: true },
  { title: 'SIZE', right: true },
  { title: 'FILL', right: true },
  { title: 'MEMORY', right: true },
];

const counterColumns: readonly Column[] = [{ title: 'REASON' }, { title: 'COUNT', right: true }, { title: 'MEANING' }];

function counterRows(counters: Status['counters']): string[][] {
  return (
    Object.entries(counters)
      .filter(([reason, count]) => count > 0 && reason !== 'none')
      // A newer daemon may know reasons that this command does not.
      .map(([reason, count]) => [printable(reason), String(count), isReason(reason) ? explainReason(reason) : ''])
  );
}

function holdLine({ hold }: Status): string {
  const { device, unavailablePolicy, held, released, unattended } = hold;
  const counts = `${String(held)} held, ${String(released)} released, ${String(unattended)} unattended`;
  const where = device === null ? 'no device' : printable(device);
  return `hold: ${where}, ${counts}; when no daemon answers: ${unavailablePolicy}`;
}

function section(output: Output, columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [] : ['', tableText(columns, rows, output)];
}

// SPDX-License-Identifier: Apache-2.0
import { viewOf } from './bytes.js';
import {
  ASSIGNMENT_PORT_SIZE,
  ASSIGNMENT_SIZE,
  Limit,
  PORT_BITS_SIZE,
  type RequestOp,
  writeAssignment,
  writeAssignmentPort,
  type AssignmentRecord,
  type RequestRecord,
} from './generated/layout.js';
import { requestOf } from './requests.js';
import { numberKey, type Tables } from './tables.js';
import { tupleOf } from './tuple.js';

/** One assignment's port, for {@link Datapath.assign}. */
export interface PortAssignments {
  readonly protocol: number;
  readonly port: number;
  /** Most specific first. */
  readonly entries: readonly AssignmentRecord[];
}

interface AssignedPort {
  readonly key: number;
  readonly protocol: number;
  readonly port: number;
}

const portKey = (bank: number, protocol: number, port: number): number =>
  ((bank << 24) | (protocol << 16) | port) >>> 0;

/** The ports that have assignments in one of the two banks. */
export function assignedPorts(tables: Tables, bank: number): AssignedPort[] {
  const { count, keys } = tables.map('assignment_ports').entriesSync();
  const view = viewOf(keys);
  return Array.from({ length: count }, (_, index) => view.getUint32(index * 4, true))
    .filter((key) => key >>> 24 === bank)
    .map((key) => ({ key, protocol: (key >> 16) & 0xff, port: key & 0xffff }));
}

/** @throws RangeError when there are more assignments than the tables take */
export function assertFits(ports: readonly PortAssignments[]): void {
  const total = ports.reduce((count, { entries }) => count + entries.length, 0);
  if (total > Limit.assignments)
    throw new RangeError(
      `the assignments have ${String(total)} pairs of prefixes, ${String(Limit.assignments)} fit: use fewer or wider prefixes`,
    );
  const crowded = ports.find(({ entries }) => entries.length > Limit.assignmentsPerPort);
  if (crowded !== undefined)
    throw new RangeError(
      `port ${String(crowded.port)} has ${String(crowded.entries.length)} pairs of prefixes, ${String(Limit.assignmentsPerPort)} fit: use fewer or wider prefixes`,
    );
}

/** Fills a bank that is not in use. */
export function writeBank(tables: Tables, bank: number, ports: readonly PortAssignments[]): void {
  const portMap = tables.map('assignment_ports');
  for (const { key } of assignedPorts(tables, bank)) portMap.delete(numberKey(key));
  let first = 0;
  for (const { protocol, port, entries } of ports) {
    for (const [index, entry] of entries.entries()) {
      const bytes = new Uint8Array(ASSIGNMENT_SIZE);
      writeAssignment(viewOf(bytes), 0, entry);
      tables.map('assignments').update(numberKey(bank * Limit.assignments + first + index), bytes);
    }
    const bytes = new Uint8Array(ASSIGNMENT_PORT_SIZE);
    writeAssignmentPort(viewOf(bytes), 0, { first, count: entries.length });
    portMap.update(numberKey(portKey(bank, protocol, port)), bytes);
    first += entries.length;
  }
}

const UDP = 17;

/** Says by a bit per port which ones have assignments in a bank. Bits that stay the same may be written while they are read. */
export function writePortBits(
  tables: Tables,
  bank: number,
  ports: readonly { readonly protocol: number; readonly port: number }[],
): void {
  for (const udp of [0, 1]) {
    const bits = new Uint8Array(PORT_BITS_SIZE);
    for (const { protocol, port } of ports)
      if ((protocol === UDP ? 1 : 0) === udp) bits[port >> 3] = (bits[port >> 3] ?? 0) | (1 << (port & 7));
    tables.map('assigned_ports').update(numberKey(2 * bank + udp), bits);
  }
}

/** Requests that say which ports are in use, or no longer. */
export function portRequests(
  op: typeof RequestOp.portTake | typeof RequestOp.portGive,
  ports: readonly { readonly protocol: number; readonly port: number }[],
): RequestRecord[] {
  return ports.map(({ protocol, port }) => requestOf({ op, tuple: tupleOf({ protocol, destinationPort: port }) }));
}

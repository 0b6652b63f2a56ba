// SPDX-License-Identifier: Apache-2.0
import { assignmentPairs, type Assignment, type Guard } from '@relatd/config';
import {
  Limit,
  type AssignmentRecord,
  type AssignmentName,
  type GuardRecord,
  type PinnedAssignment,
  type PolicyRecord,
  type PortAssignments,
} from '@relatd/datapath';
import { ANY, RelatdError, type Prefix, type Protocol } from '@relatd/model';
import type { AssignmentEvidence } from './why/evidence.js';

/** IP protocol numbers. */
export const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17 };

/** An ifindex that no interface has: an assignment whose interface is not there matches nothing. */
const NO_INTERFACE = 0xffffffff;

/**
 * The numbers by which the datapath knows assignments. A name keeps its number as long as the pinned tables live, so that
 * flows keep their name over reloads and restarts.
 */
export class AssignmentIds {
  readonly #names = new Map<number, AssignmentName>();

  constructor(read: (id: number) => AssignmentName | null) {
    for (let id = 0; id < Limit.assignments; id++) {
      const name = read(id);
      if (name !== null) this.#names.set(id, name);
    }
  }

  name(id: number): AssignmentName {
    return this.#names.get(id) ?? { name: `#${String(id)}`, helper: 'unknown' };
  }

  /**
   * Numbers for all assignments. A name that has one keeps it; a new name takes one that was never used, or else that of
   * a name that is neither asked for nor in `inUse`, to which flows still refer.
   */
  assign<Named extends AssignmentName>(
    wanted: readonly Named[],
    inUse: ReadonlySet<number>,
    write: (id: number, name: AssignmentName) => void,
  ): Map<number, Named> {
    const byName = new Map([...this.#names].map(([id, name]) => [nameKey(name), id]));
    const kept = new Set(wanted.flatMap((one) => byName.get(nameKey(one)) ?? []));
    const all = Array.from({ length: Limit.assignments }, (_, id) => id);
    const free = [
      ...all.filter((id) => !this.#names.has(id)),
      ...all.filter((id) => this.#names.has(id) && !inUse.has(id) && !kept.has(id)),
    ].values();
    const assigned = new Map<number, Named>();
    for (const one of wanted) {
      let id = byName.get(nameKey(one));
      if (id === undefined) {
        id = free.next().value;
        if (id === undefined) throw RelatdError.of('TABLE_FULL', 'assignments', Limit.assignments);
        const { name, helper } = one;
        this.#names.set(id, { name, helper });
        write(id, { name, helper });
      }
      assigned.set(id, one);
    }
    return assigned;
  }
}

const nameKey = ({ name, helper }: AssignmentName): string => `${helper} ${name}`;

/** The netmask of a prefix in its 16 byte form. */
export function prefixMask(prefix: Prefix): Uint8Array {
  const mask = new Uint8Array(16);
  for (let bit = 0; bit < prefix.length; bit += 8) mask[bit >> 3] = (0xff00 >> Math.min(8, prefix.length - bit)) & 0xff;
  return mask;
}

/** What the datapath gets for a list of assignments: grouped by port, most specific first. */
export function portAssignments(
  assignments: readonly Assignment[],
  idOf: (assignment: Assignment) => number,
  ifindexOf: (name: string) => number | undefined,
): PortAssignments[] {
  const groups = new Map<string, { protocol: number; port: number; entries: AssignmentRecord[] }>();
  for (const assignment of assignments) {
    const protocol = PROTOCOL_NUMBER[assignment.protocol];
    const key = `${assignment.protocol}/${String(assignment.port)}`;
    const group = groups.get(key) ?? { protocol, port: assignment.port, entries: [] };
    groups.set(key, group);
    for (const { from, to, family } of assignmentPairs(assignment)) {
      group.entries.push({
        from: from.bytes,
        fromMask: prefixMask(from),
        to: to.bytes,
        toMask: prefixMask(to),
        family,
        ifindex: assignment.interface === null ? 0 : (ifindexOf(assignment.interface) ?? NO_INTERFACE),
        mark: assignment.mark,
        id: idOf(assignment),
      });
    }
  }
  return [...groups.values()];
}

/** What the tables of the datapath say that an assignment covers, for {@link AssignmentEvidence}; what it admits is not looked up. */
export function pinnedAssignment(
  { name, protocol, port, pairs }: PinnedAssignment,
  names: { interface(ifindex: number): string },
): AssignmentEvidence {
  const ifindex = pairs[0]?.ifindex ?? 0;
  return {
    ...{ name, protocol, port, data: null },
    interface: ifindex === 0 ? null : names.interface(ifindex),
    from: pairs.map(({ from, fromMask, family }) => maskedPrefix(from, fromMask, family)),
    to: pairs.map(({ to, toMask, family }) => maskedPrefix(to, toMask, family)),
  };
}

/** The reverse of {@link prefixMask}. */
function maskedPrefix(bytes: Uint8Array, mask: Uint8Array, family: number): Prefix {
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const length = bits.indexOf('0') < 0 ? bits.length : bits.indexOf('0');
  return length === 0 ? ANY : { bytes, length, family: family === 4 ? 4 : 6 };
}

/** What the datapath gets of an assignment, whichever packets it covers. */
export function policyRecord({ data, limits }: Assignment, machine: number): PolicyRecord {
  return {
    timeout: BigInt(limits.expectation) * 1_000_000n,
    fromPort: data.ports.from,
    toPort: data.ports.to,
    machine,
    limit: limits.perMaster,
    thirdParty: data.thirdParty ? 1 : 0,
  };
}

/** What the datapath gets for the guards. */
export function guardRecords(guards: readonly Guard[]): GuardRecord[] {
  return guards.map(({ to, ports }) => ({
    to: to.bytes,
    mask: prefixMask(to),
    fromPort: ports.from,
    toPort: ports.to,
    family: to.family,
  }));
}

/** @throws RangeError when there are more guards than the table takes */
export function assertGuardsFit(guards: readonly Guard[]): void {
  if (guards.length > Limit.guards)
    throw new RangeError(`${String(guards.length)} guards, ${String(Limit.guards)} fit: use wider prefixes or ranges`);
}

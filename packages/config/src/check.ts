// SPDX-License-Identifier: Apache-2.0
import { formatMark, formatPorts, formatPrefix, isLoopback, parseAddress, type PortRange } from '@relatd/model';
import { assignmentPairs, type Assignment, type Guard } from './config.js';
import { familiesOf, relate, sharedPacket } from './coverage.js';
import { common, ofFamily } from './prefixSet.js';
import type { ConfigInput } from './schema.js';

/** Bounds of the datapath's tables: bpf/lib/types.h. */
const PAIRS_MAX = 512;
const PAIRS_PER_PORT = 64;
const GUARDS_MAX = 64;

/** Says that the value at `path` is wrong, or (`warn`) deserves a look. */
export type Finding = (path: PropertyKey[], message: string) => void;

/** A valid entry and where it stands in its list. */
export interface Entry<Item> {
  readonly item: Item;
  readonly index: number;
}

/** Whether both ranges have a port. */
function portsMeet(a: PortRange, b: PortRange): boolean {
  return a.from <= b.to && b.from <= a.to;
}

/** Names, coverage, and room in the datapath's tables. */
export function checkAssignments(entries: readonly Entry<Assignment>[], wrong: Finding, warn: Finding): void {
  const first = new Map<string, Assignment>();
  const pairs = new Map<string, number>();
  let total = 0;
  for (const [position, { item, index }] of entries.entries()) {
    const namesake = first.get(item.name);
    if (namesake === undefined) first.set(item.name, item);
    else {
      const hint = item.name === item.helper ? `${item.helper}-${String(item.port)}` : `${item.name}-2`;
      wrong(
        ['assignments', index, 'name'],
        `the name ${item.name} is taken by line ${String(namesake.line)}; give each its own, like \`name: ${hint}\``,
      );
    }
    const families = familiesOf(item);
    if (families.length === 0) {
      wrong(
        ['assignments', index, 'to'],
        'covers no connection: `from` and `to` have no address family in common; a connection has both ends in one family',
      );
      continue;
    }
    warnOfLostFamily(item, index, families, warn);
    // Beyond the bound there is an error already, and comparing each with each takes too long.
    if (position < PAIRS_MAX) checkPairs(entries.slice(0, position), { item, index }, wrong);

    const key = `${item.protocol} port ${String(item.port)}`;
    const size = assignmentPairs(item).length;
    const before = pairs.get(key) ?? 0;
    pairs.set(key, before + size);
    if (before <= PAIRS_PER_PORT && before + size > PAIRS_PER_PORT) {
      wrong(
        ['assignments', index],
        `${key} has more than ${String(PAIRS_PER_PORT)} pairs of source and destination here; join prefixes, or leave \`from\` or \`to\` out`,
      );
    }
    if (total <= PAIRS_MAX && total + size > PAIRS_MAX) {
      wrong(
        ['assignments', index],
        `more than ${String(PAIRS_MAX)} pairs of source and destination in all; join prefixes, or leave \`from\` or \`to\` out`,
      );
    }
    total += size;
  }
}

function warnOfLostFamily(item: Assignment, index: number, families: readonly (4 | 6)[], warn: Finding): void {
  for (const key of ['from', 'to'] as const) {
    for (const [at, prefix] of item[key].entries()) {
      if (prefix.family === 0 || families.includes(prefix.family)) continue;
      const other = key === 'from' ? 'to' : 'from';
      warn(
        ['assignments', index, key, at],
        `${formatPrefix(prefix)} has no effect: \`${other}\` has no IPv${String(prefix.family)} prefix`,
      );
    }
  }
}

function checkPairs(earlier: readonly Entry<Assignment>[], later: Entry<Assignment>, wrong: Finding): void {
  // What has an equal crosses the same others, and they were told.
  const equal = earlier.find(({ item }) => relate(item, later.item) === 'equal');
  for (const other of equal === undefined ? earlier : [equal]) checkPair(other, later, wrong);
}

function checkPair(earlier: Entry<Assignment>, later: Entry<Assignment>, wrong: Finding): void {
  const [a, b] = [earlier.item, later.item];
  const relation = relate(a, b);
  const names = `${a.name} (line ${String(a.line)})`;
  if (relation === 'equal') {
    wrong(
      ['assignments', later.index],
      `covers the same connections as ${names}; remove one of them, or give them different port, interface, from or to`,
    );
  } else if (relation === 'crossing') {
    const packet = sharedPacket(a, b);
    if (packet === null) return;
    const by = packet.interface === null ? '' : ` by ${packet.interface}`;
    wrong(
      ['assignments', later.index],
      `crosses ${names}: both cover ${a.protocol} from ${packet.source} to ${packet.destination} port ${String(a.port)}${by}, ` +
        'and neither lies inside the other; narrow one of them until it does, or until they share nothing',
    );
  }
}

/** Marks inside the mask. `markPath`: where the mask and the default mark were written, if they were. */
export function checkMarks(
  mark: { readonly mask: number; readonly related: number },
  written: { readonly mask: boolean; readonly related: boolean },
  marks: readonly { readonly value: number; readonly path: PropertyKey[] }[],
  wrong: Finding,
): void {
  const outside = (value: number): boolean => (value & ~mark.mask) !== 0;
  if (outside(mark.related)) {
    if (written.related) wrong(['mark', 'related'], outsideMessage(mark.related, mark.mask));
    else {
      wrong(
        ['mark', 'mask'],
        `the default mark.related, ${formatMark(mark.related)}, lies outside ${formatMark(mark.mask)}; add \`related:\` with bits of the mask, like ${formatMark(mark.mask)}`,
      );
    }
  }
  for (const { value, path } of marks) if (outside(value)) wrong(path, outsideMessage(value, mark.mask));
}

function outsideMessage(value: number, mask: number): string {
  const inside = (value & mask) >>> 0;
  const right = inside === 0 ? formatMark(mask) : formatMark(inside);
  return `${formatMark(value)} has bits outside mark.mask ${formatMark(mask)}; use bits inside it, like ${right}, or widen the mask`;
}

/**
 * Guards that nobody can pass, that shut out control connections, or that are too many. `complete`: no assignment was
 * left out for errors of its own; it might be the one that can pass.
 */
export function checkGuards(
  guards: readonly Entry<Guard>[],
  assignments: readonly Entry<Assignment>[],
  complete: boolean,
  wrong: Finding,
  warn: Finding,
): void {
  const all = assignments.map(({ item }) => item);
  for (const [position, { item: guard, index }] of guards.entries()) {
    if (position === GUARDS_MAX)
      wrong(['guard', index], `more than ${String(GUARDS_MAX)} entries; join prefixes or ports`);
    shutOut(guard, index, all, wrong);
    if (complete) passable(guard, index, all, wrong, warn);
  }
}

/** A control connection is not RELATED: a guard on its port drops it. */
function shutOut(guard: Guard, index: number, assignments: readonly Assignment[], wrong: Finding): void {
  const said = new Set<number>();
  for (const assignment of assignments) {
    const { port, name } = assignment;
    if (said.has(port)) continue;
    if (assignment.protocol !== 'tcp' || port < guard.ports.from || port > guard.ports.to) continue;
    if (!meets(guard, assignment, 'to')) continue;
    said.add(port);
    const parts = [
      { from: guard.ports.from, to: port - 1 },
      { from: port + 1, to: guard.ports.to },
    ].filter(({ from, to }) => from <= to);
    const right =
      parts.length === 0
        ? 'guard the data ports instead'
        : `leave it out: ${parts.map((part) => `\`ports: ${formatPorts(part)}\``).join(' and ')}${parts.length > 1 ? ' in two entries' : ''}`;
    wrong(
      ['guard', index, 'ports'],
      `${formatPorts(guard.ports)} contains port ${String(port)}, and would drop the control connections of ${name} to ${formatPrefix(guard.to)}; ${right}`,
    );
  }
}

/** Whether the guarded destination is among the ends of what the assignment covers. */
function meets(guard: Guard, assignment: Assignment, end: 'from' | 'to'): boolean {
  return familiesOf(assignment).some(
    (family) => common(ofFamily(assignment[end], family), ofFamily([guard.to], family)).length > 0,
  );
}

/**
 * A data connection goes to one end of its control connection (passive: to who was called; active: to who called), or,
 * with third-party, anywhere.
 */
function passable(
  guard: Guard,
  index: number,
  assignments: readonly Assignment[],
  wrong: Finding,
  warn: Finding,
): void {
  const to = formatPrefix(guard.to);
  if (assignments.length === 0) {
    wrong(
      ['guard', index],
      'nobody can pass: there is no assignment, so nothing is ever RELATED; add one, or remove the guard',
    );
    return;
  }
  const byPorts = assignments.filter(({ data }) => portsMeet(data.ports, guard.ports));
  if (byPorts.length === 0) {
    const theirs = assignments.map(({ name, data }) => `${name} announces ${formatPorts(data.ports)}`);
    wrong(
      ['guard', index, 'ports'],
      `nobody can pass: no assignment may announce a port of ${formatPorts(guard.ports)} (${some(theirs)}); guard ports inside \`data.ports\`, or widen those`,
    );
    return;
  }
  const passive = byPorts.some((item) => item.data.thirdParty || meets(guard, item, 'to'));
  if (passive) return;
  if (byPorts.some((item) => meets(guard, item, 'from'))) {
    warn(
      ['guard', index, 'to'],
      `only clients in active mode can pass: ${to} is in \`from\` of an assignment, and in \`to\` of none`,
    );
    return;
  }
  const theirs = byPorts.map(
    ({ name, from, to: called }) =>
      `${name} is from ${some(from.map(formatPrefix))} to ${some(called.map(formatPrefix))}`,
  );
  wrong(
    ['guard', index, 'to'],
    `nobody can pass: data connections go to an end of their control connection, and ${to} is none (${some(theirs)}); correct the address, or add it to \`to\` of an assignment`,
  );
}

/** The first few of a list. */
function some(words: readonly string[]): string {
  const shown = words.slice(0, 4).join(', ');
  return words.length > 4 ? `${shown} and ${String(words.length - 4)} more` : shown;
}

/** Interfaces that are named and not in the list. */
export function checkInterfaces(
  watched: 'auto' | readonly string[],
  named: readonly { readonly name: string; readonly path: PropertyKey[] }[],
  warn: Finding,
): void {
  if (watched === 'auto') return;
  if (watched.includes('lo')) {
    warn(['interfaces', watched.indexOf('lo')], 'connections over loopback are not tracked in this version');
  }
  for (const { name, path } of named) {
    // eth0.100 on a watched eth0 is seen by its tag.
    if (watched.includes(name) || watched.includes(name.replace(/\.\d+$/, ''))) continue;
    // Not an error: a bridge is named by routing while its ports are what is watched.
    warn(path, `${name} is not in \`interfaces\`; add it, unless it is a bridge, bond or VLAN on one that is`);
  }
}

/** Who may see the dashboard. */
export function checkListen(listen: ConfigInput['listen'], warn: Finding): void {
  const { metrics, 'token-file': tokenFile } = listen;
  if (metrics === null) {
    if (tokenFile !== undefined) warn(['listen', 'token-file'], 'has no effect: `metrics` is off');
    return;
  }
  const bytes = parseAddress(metrics.address);
  if (tokenFile === undefined && bytes !== null && !isLoopback(bytes)) {
    warn(
      ['listen', 'metrics'],
      `others than this host reach ${metrics.address}, and no \`token-file\` is named: only /metrics is served there, not the dashboard; add \`token-file: /etc/relatd/token\``,
    );
  }
}

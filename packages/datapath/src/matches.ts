// SPDX-License-Identifier: Apache-2.0
import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { MATCH_DIRECTORY, matchName } from '@relatd/model';
import { BpfMap, BpfObject, lockDirectory, mountBpffs, pinMatch, removePins, type Namespace } from '@relatd/native';
import { fieldText, viewOf } from './bytes.js';
import { MATCH_SIZE, Limit, readMatch, writeMatch, zeroMatch, type MatchRecord } from './generated/layout.js';
import { OBJECT, pinDirectory } from './pins.js';
import { numberKey } from './tables.js';

/**
 * The programs that `iptables -m bpf --object-pinned` names: one per assignment, each a stub that tail-calls the datapath.
 * They outlive `relatd down`, and then match nothing: were a pin missing, the next change of that table would fail, and at
 * boot iptables-restore would refuse the whole firewall.
 */
const MAPS = ['match_programs', 'matches'] as const;

type MatchMap = (typeof MAPS)[number];

/** An assignment and its number in the datapath; null: only the pin is wanted, nothing matches yet. */
export interface MatchedAssignment {
  readonly name: string;
  readonly id: number | null;
}

/**
 * The directory of the programs of one network namespace, beside that of the datapath, which goes at `relatd down`. Rules of the
 * host's own namespace look in a place that does not depend on the namespace's cookie.
 */
export function matchDirectory(namespace: Namespace): string {
  return isHost(namespace) ? MATCH_DIRECTORY : `${MATCH_DIRECTORY}-${namespace.cookie.toString(16)}`;
}

/** Where the tables are pinned that the programs need. */
function tablePin(namespace: Namespace, map: MatchMap): string {
  return `${tableDirectory(namespace)}/maps/${map}`;
}

function tableDirectory(namespace: Namespace): string {
  return `${matchDirectory(namespace)}-tables`;
}

/**
 * Whether it is the network namespace of the machine's first process. Who may not look at that one is a service in a
 * sandbox, and a service is where the first process is, unless told to serve another namespace.
 */
function isHost(namespace: Namespace): boolean {
  return inodeOf('1') === namespace.inode;
}

function inodeOf(process: '1' | 'self'): bigint | null {
  try {
    return statSync(`/proc/${process}/ns/net`, { bigint: true }).ino;
  } catch {
    return process === '1' ? inodeOf('self') : null;
  }
}

/**
 * Makes every assignment's program answer for it, and those of other names match nothing. A name keeps its place for as long as
 * the pins live, since a rule holds a program that knows only its place.
 * @throws RangeError when more names were used than there is room for
 */
export function setMatches(
  namespace: Namespace,
  map: (name: MatchMap) => BpfMap,
  assignments: readonly MatchedAssignment[],
): void {
  const directory = matchDirectory(namespace);
  const table = map('matches');
  const records = readAll(table);
  const wanted = new Map(assignments.map(({ name, id }) => [name, id === null ? 0 : id + 1]));
  const write = (place: number, record: MatchRecord): void => {
    const bytes = new Uint8Array(MATCH_SIZE);
    writeMatch(viewOf(bytes), 0, record);
    table.update(numberKey(place), bytes);
    records[place] = record;
  };
  for (const [place, record] of records.entries()) {
    const assignment = wanted.get(fieldText(record.name)) ?? 0;
    if (record.assignment !== assignment) write(place, { ...record, assignment });
  }
  for (const [name, assignment] of wanted) {
    let place = records.findIndex((record) => fieldText(record.name) === name);
    if (place < 0) {
      place = records.findIndex((record) => fieldText(record.name) === '');
      if (place < 0)
        throw new RangeError(
          `${String(Limit.matches)} names of assignments have a program for iptables; make room with \`relatd down --purge\``,
        );
      const record = { ...zeroMatch(), assignment };
      new TextEncoder().encodeInto(name, record.name);
      write(place, record);
    }
    const path = `${directory}/${matchName(name)}`;
    if (!existsSync(path)) pinMatch({ programs: map('match_programs'), number: place, path });
  }
}

/**
 * Pins the programs of these assignments without a datapath: they match nothing until a daemon comes. For the time before the
 * firewall is restored at boot. Those that are there stay. Returns the paths for rules.
 * @throws RELATD_LOCKED when a daemon serves this namespace
 */
export function pinMatches(namespace: Namespace, names: readonly string[]): string[] {
  const directory = pinDirectory(namespace);
  const tables = tableDirectory(namespace);
  mountBpffs();
  mountBpffs(directory);
  mountBpffs(tables);
  const lock = lockDirectory(directory);
  try {
    const object = new BpfObject({ file: OBJECT, pins: tables, namespace, onlyMaps: MAPS });
    try {
      setMatches(
        namespace,
        (name) => object.map(name),
        names.map((name) => ({ name, id: null })),
      );
      return names.map((name) => `${matchDirectory(namespace)}/${matchName(name)}`);
    } finally {
      object.close();
    }
  } finally {
    if (!existsSync(`${directory}/maps`)) removePins(directory);
    lock.close();
  }
}

/** Before the datapath is loaded: it takes over the tables of programs that have outlived another. */
export function adoptMatchTables(namespace: Namespace, directory: string): void {
  for (const map of MAPS) {
    const pin = `${directory}/maps/${map}`;
    if (!existsSync(tablePin(namespace, map)) || existsSync(pin)) continue;
    const table = BpfMap.openPinned(tablePin(namespace, map));
    table.pin(pin);
    table.close();
  }
}

/** After it was loaded: its tables outlive it. */
export function keepMatchTables(namespace: Namespace, map: (name: MatchMap) => BpfMap): void {
  for (const name of MAPS) {
    const pin = tablePin(namespace, name);
    if (!existsSync(pin)) map(name).pin(pin);
  }
}

/** Whether a network namespace has such programs. */
export function hasMatches(namespace: Namespace): boolean {
  return existsSync(tableDirectory(namespace));
}

/** Takes the datapath away from the programs, which match nothing then. */
export function stopMatching(namespace: Namespace): void {
  const pin = tablePin(namespace, 'match_programs');
  if (!existsSync(pin)) return;
  const programs = BpfMap.openPinned(pin);
  programs.delete(numberKey(0));
  programs.close();
}

/** Removes the programs; returns how many pins. Rules that name them keep what they hold, and can no longer be restored. */
export function removeMatches(namespace: Namespace): number {
  return removePins(matchDirectory(namespace)) + removePins(tableDirectory(namespace));
}

/** The same of a namespace that is gone, by the directory of its datapath. */
export function removeDeadMatches(directory: string): void {
  const base = `${MATCH_DIRECTORY}-${basename(directory)}`;
  removePins(base);
  removePins(`${base}-tables`);
}

function readAll(table: BpfMap): MatchRecord[] {
  const { count, values } = table.entriesSync();
  const view = viewOf(values);
  return Array.from({ length: count }, (_, place) => readMatch(view, place * MATCH_SIZE));
}

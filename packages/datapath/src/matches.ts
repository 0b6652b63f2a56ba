// SPDX-License-Identifier: Apache-2.0
import { existsSync, lstatSync, readdirSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import { BpfMap, BpfObject, lockDirectory, mountBpffs, pinMatch, removePins, type Namespace } from '@relatd/native';
import { MATCH_SIZE, Limit, readMatch, writeMatch, zeroMatch, type MatchRecord } from './generated/layout.js';
import { BPFFS, OBJECT, matchName, pinDirectory } from './pins.js';
import { numberKey, viewOf } from './tables.js';

/**
 * The programs that `iptables -m bpf --object-pinned` names: one per assignment, each a stub that tail-calls the datapath.
 * They outlive `relatd down`, and then match nothing: were a pin missing, the next change of that table would fail, and at
 * boot iptables-restore would refuse the whole firewall.
 */
const MAPS = ['match_programs', 'matches'] as const;

/** Where rules of the host's own network namespace look, whatever its cookie is. */
const HOST = `${BPFFS}/relatd/match`;

/** An assignment and its number in the datapath; null: only the pin is wanted, nothing matches yet. */
export interface MatchedAssignment {
  readonly name: string;
  readonly id: number | null;
}

/** The directory of the programs of one network namespace. */
export function matchDirectory(namespace: Namespace): string {
  return isHost(namespace) ? HOST : `${pinDirectory(namespace)}/match`;
}

/** Whether it is the network namespace of the machine's first process. */
function isHost(namespace: Namespace): boolean {
  try {
    return BigInt(statSync('/proc/1/ns/net').ino) === namespace.inode;
  } catch {
    return false;
  }
}

/**
 * Makes every assignment's program answer for it, and those of other names match nothing. A name keeps its place for as long as
 * the pins live, since a rule holds a program that knows only its place.
 * @throws RangeError when more names were used than there is room for
 */
export function setMatches(
  namespace: Namespace,
  map: (name: (typeof MAPS)[number]) => BpfMap,
  assignments: readonly MatchedAssignment[],
): void {
  const directory = `${pinDirectory(namespace)}/match`;
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
    const assignment = wanted.get(nameOf(record)) ?? 0;
    if (record.assignment !== assignment) write(place, { ...record, assignment });
  }
  for (const [name, assignment] of wanted) {
    let place = records.findIndex((record) => nameOf(record) === name);
    if (place < 0) {
      place = records.findIndex((record) => nameOf(record) === '');
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
  linkHost(namespace, directory);
}

/**
 * Pins the programs of these assignments without a datapath: they match nothing until a daemon comes. For the time before the
 * firewall is restored at boot. Those that are there stay. Returns the paths for rules.
 * @throws RELATD_LOCKED when a daemon serves this namespace
 */
export function pinMatches(namespace: Namespace, names: readonly string[]): string[] {
  const directory = pinDirectory(namespace);
  mountBpffs();
  mountBpffs(directory);
  const lock = lockDirectory(directory);
  try {
    const object = new BpfObject({ file: OBJECT, pins: directory, namespace, onlyMaps: MAPS });
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
    lock.close();
  }
}

/** Takes the datapath away from the programs; they and their table stay. Returns the names in `maps` that must stay. */
export function stopMatching(directory: string): readonly string[] {
  const path = `${directory}/maps/match_programs`;
  if (!existsSync(path)) return [];
  const programs = BpfMap.openPinned(path);
  programs.delete(numberKey(0));
  programs.close();
  return MAPS;
}

/** Removes the programs. Rules that name them keep what they hold, and can no longer be restored. */
export function removeMatches(namespace: Namespace, directory: string): void {
  removePins(`${directory}/match`);
  if (isHost(namespace) && existsLink(HOST)) unlinkSync(HOST);
}

function readAll(table: BpfMap): MatchRecord[] {
  const { count, values } = table.entriesSync();
  const view = viewOf(values);
  return Array.from({ length: count }, (_, place) => readMatch(view, place * MATCH_SIZE));
}

function nameOf({ name }: MatchRecord): string {
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

/** Puts the name that rules use in the place where they look. */
function linkHost(namespace: Namespace, directory: string): void {
  if (!isHost(namespace) || !existsSync(directory) || readdirSync(directory).length === 0) return;
  if (existsLink(HOST)) unlinkSync(HOST);
  symlinkSync(directory, HOST);
}

function existsLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import {
  detach,
  isNativeError,
  linkInterface,
  lockDirectory,
  removePins,
  type Namespace,
  type Side,
} from '@relatd/native';
import { SIDES, attachedSides } from './chain.js';
import { Limit } from './generated/layout.js';
import { hasMatches, removeMatches, stopMatching } from './matches.js';
import { canTakeOver } from './migrate.js';
import { CONNECT_PINS, linkPin } from './pins.js';
import { Tables } from './tables.js';

/** The pinned state has another layout than this version reads. */
export class LayoutError extends Error {
  readonly code = 'RELATD_LAYOUT';
  /** Null: it cannot even be told. */
  readonly found: number | null;

  constructor(message: string, found: number | null) {
    super(message);
    this.found = found;
  }
}

const WHAT_TO_DO = 'remove it with `relatd down`, or start with --discard-state (running transfers stall)';

/** Why pinned state cannot be taken over; null when it can or there is none. */
export function layoutTrouble(directory: string): LayoutError | null {
  if (!existsSync(`${directory}/maps/config`)) return null;
  const tables = Tables.pinned(directory);
  try {
    const { layout } = tables.config();
    if (canTakeOver(layout)) return null;
    return new LayoutError(
      `the pinned state has layout ${String(layout)}, this version reads ${String(Limit.layoutVersion)}: ${WHAT_TO_DO}`,
      layout,
    );
  } catch (error) {
    // What the kernel refuses is no question of layout.
    if (isNativeError(error) && error.code === 'RELATD_NO_PERMISSION') throw error;
    return new LayoutError(`the pinned state is of another version: ${WHAT_TO_DO}`, null);
  } finally {
    tables.close();
  }
}

/** Whether a namespace's pins are of no use any more: nobody holds the lock, the interface of every link has vanished. */
export function isDead(directory: string): boolean {
  try {
    const links = readdirSync(`${directory}/links`).filter(isInterfaceLink);
    if (links.length === 0 || links.some((link) => linkInterface(`${directory}/links/${link}`) !== 0)) return false;
    lockDirectory(directory).close();
    return true;
  } catch {
    // Locked, without links (clsact), or going away at this moment: not ours to judge.
    return false;
  }
}

/** A link of an interface, and not one of the programs on the cgroup. */
function isInterfaceLink(pin: string): boolean {
  return /^\d+-/.test(pin);
}

/** Interfaces that have link pins. */
export function pinnedInterfaces(directory: string): number[] {
  if (!existsSync(`${directory}/links`)) return [];
  const links = readdirSync(`${directory}/links`).filter(isInterfaceLink);
  const indexes = links.map((name) => Number.parseInt(name, 10));
  return [...new Set(indexes)];
}

/** Whether the programs that mark connections of this host are attached. */
export function connectsAttached(directory: string): boolean {
  return Object.values(CONNECT_PINS).every((name) => existsSync(`${directory}/links/${name}`));
}

/** Takes the programs off an interface, which may be gone already. */
export function detachInterface(namespace: Namespace, directory: string, ifindex: number): void {
  for (const side of SIDES) detachSide(namespace, directory, ifindex, side, 'auto');
}

/** Takes the program off one hook. */
export function detachSide(
  namespace: Namespace,
  directory: string,
  ifindex: number,
  side: Side,
  mode: 'auto' | 'tcx' | 'clsact',
): void {
  const pin = linkPin(directory, ifindex, side);
  try {
    detach({ namespace, ifindex, side, mode, pin });
  } catch {
    // The interface is gone, and the hook with it.
  }
  if (mode !== 'clsact' && existsSync(pin)) unlinkSync(pin);
}

/**
 * Detaches everything and removes the pins; the programs for iptables, which then match nothing, only with `purge`. Returns
 * what was done, a line each.
 */
export function removeState(namespace: Namespace, directory: string, purge: boolean): string[] {
  const lines: string[] = [];
  for (const { index, name } of namespace.interfaces()) {
    if (attachedSides(namespace, index).length === 0) continue;
    detachInterface(namespace, directory, index);
    lines.push(`detached from ${name}`);
  }
  for (const ifindex of pinnedInterfaces(directory)) detachInterface(namespace, directory, ifindex);
  stopMatching(namespace);
  const pins = removePins(directory) + (purge ? removeMatches(namespace) : 0);
  if (pins > 0) lines.push(`removed ${String(pins)} pins`);
  if (lines.length > 0 && hasMatches(namespace))
    lines.push('kept the programs for iptables, which match nothing now; remove them with `relatd down --purge`');
  return lines;
}

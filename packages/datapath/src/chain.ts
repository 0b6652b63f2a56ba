// SPDX-License-Identifier: Apache-2.0
import { readdirSync } from 'node:fs';
import { BpfProgram, query, type ChainProgram, type Namespace, type Side } from '@relatd/native';
import { pinDirectory } from './pins.js';

/** The hooks of an interface. */
export const SIDES = ['ingress', 'egress'] as const;

/** A program on a hook. */
export interface HookProgram {
  readonly id: number;
  /** '' where the kernel does not tell: to look at others' programs takes CAP_SYS_ADMIN. */
  readonly name: string;
  readonly ours: boolean;
}

/** The programs on a hook in the order in which packets meet them; empty when the interface is gone. */
export function chainPrograms(namespace: Namespace, ifindex: number, side: Side): HookProgram[] {
  return named(namespace, ifindex, side).map(({ id, name }) => ({ id, name, ours: isOurs(name) }));
}

/** The kernel cuts program names to 15 characters. */
function isOurs(name: string): boolean {
  return /^relatd_(ingress|egress|hold)/.test(name);
}

/** A hook's chain. What the kernel tells no name of, without CAP_SYS_ADMIN, may still be ours: pins can always be opened. */
function named(namespace: Namespace, ifindex: number, side: Side): readonly ChainProgram[] {
  try {
    const { programs } = query({ namespace, ifindex, side });
    if (programs.every(({ name }) => name !== '')) return programs;
    const pinned = pinnedPrograms(namespace);
    return programs.map((program) => ({ ...program, name: program.name || (pinned.get(program.id) ?? '') }));
  } catch {
    return [];
  }
}

/** The names of this namespace's pinned programs, by their numbers. */
function pinnedPrograms(namespace: Namespace): Map<number, string> {
  const folder = `${pinDirectory(namespace)}/programs`;
  const infos = readdirSync(folder).map((pin) => {
    const program = BpfProgram.openPinned(`${folder}/${pin}`);
    try {
      return program.info();
    } finally {
      program.close();
    }
  });
  return new Map(infos.map(({ id, name }) => [id, name]));
}

/** The hooks of an interface on which our programs are. */
export function attachedSides(namespace: Namespace, ifindex: number): Side[] {
  return SIDES.filter((side) => chainPrograms(namespace, ifindex, side).some(({ ours }) => ours));
}

/** Whether a program of ours is on a hook in this way. */
export function hasOurs(namespace: Namespace, ifindex: number, side: Side, mode: 'tcx' | 'clsact'): boolean {
  return named(namespace, ifindex, side).some((one) => isOurs(one.name) && one.mode === mode);
}

/** How our programs are attached to both hooks of an interface; null when one of them is missing. */
export function attachedMode(namespace: Namespace, ifindex: number): 'tcx' | 'clsact' | null {
  const modes = SIDES.map((side) => named(namespace, ifindex, side).find(({ name }) => isOurs(name))?.mode ?? null);
  return modes.includes(null) ? null : (modes[0] ?? null);
}

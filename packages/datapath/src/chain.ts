// SPDX-License-Identifier: Apache-2.0
import { query, type Namespace, type Side } from '@relatd/native';

/** The hooks of an interface. */
export const SIDES = ['ingress', 'egress'] as const;

/** A program on a hook. */
export interface HookProgram {
  readonly id: number;
  readonly name: string;
  readonly ours: boolean;
}

/** The programs on a hook in the order in which packets meet them; empty when the interface is gone. */
export function chainPrograms(namespace: Namespace, ifindex: number, side: Side): HookProgram[] {
  try {
    return query({ namespace, ifindex, side }).programs.map(({ id, name }) => ({ id, name, ours: isOurs(name) }));
  } catch {
    return [];
  }
}

/** The kernel cuts program names to 15 characters. */
function isOurs(name: string): boolean {
  return /^relatd_(ingress|egress|hold)/.test(name);
}

/** The hooks of an interface on which our programs are. */
export function attachedSides(namespace: Namespace, ifindex: number): Side[] {
  return SIDES.filter((side) => chainPrograms(namespace, ifindex, side).some(({ ours }) => ours));
}

/** Whether a program of ours is on a hook in this way. */
export function hasOurs(namespace: Namespace, ifindex: number, side: Side, mode: 'tcx' | 'clsact'): boolean {
  try {
    return query({ namespace, ifindex, side }).programs.some((one) => isOurs(one.name) && one.mode === mode);
  } catch {
    return false;
  }
}

/** How our programs are attached to both hooks of an interface; null when one of them is missing. */
export function attachedMode(namespace: Namespace, ifindex: number): 'tcx' | 'clsact' | null {
  try {
    const modes = SIDES.map(
      (side) => query({ namespace, ifindex, side }).programs.find(({ name }) => isOurs(name))?.mode ?? null,
    );
    return modes.includes(null) ? null : (modes[0] ?? null);
  } catch {
    return null;
  }
}

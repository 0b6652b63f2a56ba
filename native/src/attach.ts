// SPDX-License-Identifier: Apache-2.0
import { argumentError } from './errors.js';
import { binding } from './binding.js';
import { handle } from './handle.js';
import type { Namespace } from './namespace.js';
import type { BpfProgram } from './program.js';

/** Which way packets go at the hook. */
export type Side = 'ingress' | 'egress';

/** tcx links (6.6 and newer), clsact filters (any), or whichever the kernel has. */
export type AttachMode = 'tcx' | 'clsact' | 'auto';

/** One hook of one interface. */
export interface Hook {
  namespace: Namespace;
  ifindex: number;
  side: Side;
}

/** What to attach and where. */
export interface AttachOptions extends Hook {
  program: BpfProgram;
  mode: AttachMode;
  /** Place among tcx programs. Default: first at ingress, last at egress. */
  order?: 'first' | 'last';
  /** Where the tcx link is pinned; null: it ends with `close` or the process. Not used by clsact. */
  pin: string | null;
  /** clsact priority, low runs first. Default: 1 at ingress, 49151 at egress. Detach with the same. */
  priority?: number;
}

/** An attached program. */
export interface Attachment {
  readonly mode: 'tcx' | 'clsact';
  readonly linkId: number | null;
  /** The pin (or clsact filter) was there and now runs this program: its place in the chain is the old one. */
  readonly adopted: boolean;
  /** Ends an unpinned tcx link; does nothing else. */
  close(): void;
}

/** What to take away. */
export interface DetachOptions extends Hook {
  mode: AttachMode;
  pin: string | null;
  priority?: number;
}

/** One program of a hook's chain. */
export interface ChainProgram {
  readonly id: number;
  /** '' where the kernel does not tell (no permission). */
  readonly name: string;
  readonly linkId: number | null;
  readonly mode: 'tcx' | 'clsact';
  /** clsact only. */
  readonly priority: number | null;
}

/** A hook's chain, in the order in which packets meet it: all tcx programs, then clsact filters. */
export interface Chain {
  /** tcx where the kernel has it. */
  readonly mode: 'tcx' | 'clsact';
  /** Changes with every change of the tcx chain; 0n without tcx. */
  readonly revision: bigint;
  readonly programs: readonly ChainProgram[];
}

function egress(side: string): boolean {
  if (side !== 'ingress' && side !== 'egress') throw argumentError(`side must be ingress or egress, not ${side}`);
  return side === 'egress';
}

function clsactPriority(side: Side, priority: number | undefined): number {
  // The kernel hands out 49152 and below by itself, counting down: 49151 is behind what people number by hand.
  return priority ?? (side === 'ingress' ? 1 : 49151);
}

/**
 * Attaches a program to a hook. With `pin`: a link of ours that is pinned there and still sits on this hook gets the
 * program (its place stays, no packet is missed); a pin whose interface is gone is replaced.
 * @throws RELATD_NO_INTERFACE, RELATD_KERNEL_TOO_OLD (mode tcx), RELATD_EXISTS (this program is attached here already),
 * RELATD_NO_PERMISSION
 */
export function attach(options: AttachOptions): Attachment {
  const first = (options.order ?? (options.side === 'ingress' ? 'first' : 'last')) === 'first';
  const { mode, linkId, adopted, link } = binding.attach(
    options.program[handle],
    options.namespace[handle],
    options.ifindex,
    egress(options.side),
    options.mode,
    first,
    options.pin,
    clsactPriority(options.side, options.priority),
  );
  return { mode, linkId, adopted, close: () => link?.close() };
}

/**
 * Detaches what {@link attach} attached, pinned link and clsact filter alike; an empty clsact qdisc goes too.
 * Returns whether something was there.
 */
export function detach(options: DetachOptions): boolean {
  return binding.detach(
    options.namespace[handle],
    options.ifindex,
    egress(options.side),
    options.mode,
    options.pin,
    clsactPriority(options.side, options.priority),
  );
}

/** Reads a hook's chain. @throws RELATD_NO_INTERFACE, RELATD_NO_PERMISSION */
export function query(hook: Hook): Chain {
  return binding.query(hook.namespace[handle], hook.ifindex, egress(hook.side)) as Chain;
}

/**
 * The ifindex on which a pinned tcx link sits, in whichever namespace; 0 when that interface is gone.
 * @throws RELATD_NOT_FOUND, RELATD_ARGUMENT (the pin is no tcx link)
 */
export function linkInterface(pin: string): number {
  return binding.linkInterface(pin);
}

/** Where a program of a cgroup runs: at every event of a TCP socket, or in connect(2). */
export type CgroupHook = 'sockops' | 'connect4' | 'connect6';

/**
 * Attaches a program to the root of the cgroup hierarchy (version 2), so that it sees the sockets of all processes, in every
 * network namespace. A link of ours that is pinned there gets the program. The link ends when its pin is removed.
 * @throws RELATD_NOT_FOUND (no such hierarchy is mounted), RELATD_NO_PERMISSION, RELATD_ARGUMENT (the pin is no link)
 */
export function attachCgroup(options: { program: BpfProgram; type: CgroupHook; pin: string }): void {
  binding.attachCgroup(options.program[handle], options.type, options.pin);
}

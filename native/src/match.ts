// SPDX-License-Identifier: Apache-2.0
import { binding } from './binding.js';
import { handle } from './handle.js';
import type { BpfMap } from './map.js';

/**
 * Pins a program for `iptables -m bpf --object-pinned`, in place of what is there. It puts `number` into skb->cb[0] and
 * tail-calls element 0 of `programs`; where that is empty it matches nothing.
 * @throws RELATD_NO_PERMISSION, RELATD_NO_BPFFS
 */
export function pinMatch(options: { programs: BpfMap; number: number; path: string }): void {
  binding.pinMatch(options.programs[handle], options.number, options.path);
}

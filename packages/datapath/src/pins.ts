// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import type { Namespace } from '@relatd/native';

/** The compiled datapath. */
export const OBJECT = fileURLToPath(import.meta.resolve('@relatd/bpf/dist/relatd.bpf.o'));

/** Where bpffs is mounted on every distribution. */
export const BPFFS = '/sys/fs/bpf';

/**
 * The directory of one network namespace's pins. Named by the namespace's cookie, which is never used twice;
 * pins belong to a bpffs mount, not to a namespace.
 */
export function pinDirectory(namespace: Namespace): string {
  return `${BPFFS}/relatd/${namespace.cookie.toString(16)}`;
}

/** A link's pin, by ifindex: bpffs refuses names with a dot, such as eth0.100. */
export function linkPin(directory: string, ifindex: number, side: 'ingress' | 'egress'): string {
  return `${directory}/links/${String(ifindex)}-${side}`;
}

/** The names under `links` of the programs that mark the sockets of this host. */
export const CONNECT_PINS = { sockops: 'connect', connect4: 'connect4', connect6: 'connect6' } as const;

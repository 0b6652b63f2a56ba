// SPDX-License-Identifier: Apache-2.0
import type { Expected, Family, Script, Step } from '../script.js';

/** A dialogue that netfilter's helper and relatd's both get, and what each makes of it. */
export interface Comparison {
  readonly name: string;
  readonly script: Script;
  readonly netfilter: readonly Expected[];
  readonly relatd: readonly Expected[];
  /** netfilter drops a packet of it for good. relatd lets everything arrive. */
  readonly stuck: boolean;
  /** Why the two differ; undefined where they do not. */
  readonly why: string | undefined;
}

/** A dialogue and what becomes of it: the same (`both`), or a known difference and why relatd wants it. */
export type Entry = { readonly name: string; readonly family?: Family; readonly steps: readonly Step[] } & (
  | { readonly both: readonly Expected[] }
  | {
      readonly netfilter: readonly Expected[] | 'stuck';
      readonly relatd: readonly Expected[];
      readonly why: string;
    }
);

/** The lab's addresses. */
export const addresses = {
  ipv4: { client: '10.77.1.2', server: '10.77.2.2' },
  ipv6: { client: 'fd77:1::2', server: 'fd77:2::2' },
} as const;

/** The client says this, each part in a segment or datagram of its own. */
export function client(...parts: string[]): Step {
  return { from: 'client', parts };
}

/** The server says this. */
export function server(...parts: string[]): Step {
  return { from: 'server', parts };
}

/** The entries of one protocol, complete. */
export function comparisons(protocol: 'tcp' | 'udp', port: number, entries: readonly Entry[]): Comparison[] {
  return entries.map((entry) => ({
    name: entry.family === 'ipv6' ? `${entry.name}, IPv6` : entry.name,
    script: { protocol, port, family: entry.family ?? 'ipv4', steps: entry.steps },
    netfilter: 'both' in entry ? entry.both : entry.netfilter === 'stuck' ? [] : entry.netfilter,
    relatd: 'both' in entry ? entry.both : entry.relatd,
    stuck: 'netfilter' in entry && entry.netfilter === 'stuck',
    why: 'why' in entry ? entry.why : undefined,
  }));
}

// SPDX-License-Identifier: Apache-2.0
import { formatMark } from '@relatd/model';

/** A rule that changes bits of the mark which are relatd's. */
export interface Overwrite {
  /** `nft, table inet filter, chain prerouting, handle 4`. */
  readonly where: string;
  /** The rule, or the part of it that writes. */
  readonly rule: string;
  /** Those of relatd's bits that it may change. */
  readonly bits: number;
  /** What to do so that relatd's bits stay: `write "…" instead`. */
  readonly advice: string;
}

/** One sentence for people. Names in it are as the rules have them. */
export function formatOverwrite({ where, rule, bits, advice }: Overwrite): string {
  return `${where}: "${rule}" overwrites ${formatMark(bits)} of the mark, bits of relatd's mark.mask: ${advice}`;
}

/** Hooks between relatd's programs at ingress and the filter's chains, or in front of its programs at egress. */
export const HOOKS: readonly string[] = ['ingress', 'prerouting', 'input', 'forward', 'output'];

/** Everything that is reached from `starts`, these included. */
export function reached(starts: Iterable<string>, targets: (from: string) => Iterable<string>): Set<string> {
  // What is added while a set is walked through is walked through as well.
  const found = new Set(starts);
  for (const from of found) for (const target of targets(from)) found.add(target);
  return found;
}

/** Advice for a value of which nothing is known: to keep off what relatd has marked. */
export function keepOff(condition: string, mask: number): string {
  return `put "${condition}" before it, and keep its values inside ${formatMark(~mask)}`;
}

// SPDX-License-Identifier: Apache-2.0
import type { ReplaySummary } from '@relatd/engine';
import type { Reason } from '@relatd/model';

/** Reasons of packets that nothing can be made of. */
const UNREADABLE: readonly Reason[] = ['malformed', 'extension-headers'];
/** What no capture lacks, and what is told on its own. */
const UNREMARKABLE: ReadonlySet<Reason> = new Set([
  'not-ip',
  'not-tracked-protocol',
  'truncated',
  'fragment',
  ...UNREADABLE,
]);

/** What was in a capture, a sentence a line. */
export function replayLines(summary: ReplaySummary): string[] {
  const { packets, from, to, reasons, refused, distrusted, open, unknownLinks, unfollowed, early, faults } = summary;
  const times = (reason: Reason): number => reasons.get(reason) ?? 0;
  const unreadable = UNREADABLE.reduce((sum, reason) => sum + times(reason), 0);
  const span = from === null || to === null ? '' : `, from ${from} to ${to}`;
  const lines = [
    `${number(packets, 'packet')} read${span}: ${String(unreadable)} unreadable, ${String(times('truncated'))} truncated, ${number(times('fragment'), 'fragment')}`,
    `${number(summary.control, 'control connection')}, ${number(summary.expectations, 'expectation')}, ${number(summary.related, 'related flow')}; ${refusals(refused)}`,
  ];
  if (distrusted.size > 0)
    lines.push(`${number(total(distrusted), 'control connection')} not read to the end (${counts([...distrusted])})`);
  const left = [
    ...(open.control > 0 ? [number(open.control, 'control connection')] : []),
    ...(open.expectations > 0 ? [number(open.expectations, 'expectation')] : []),
    ...(open.related > 0 ? [number(open.related, 'related flow')] : []),
  ];
  if (left.length > 0) lines.push(`still open at the end of the capture: ${left.join(', ')}`);
  const { alreadyOpen, incomplete } = unfollowed;
  if (alreadyOpen > 0)
    lines.push(
      `${number(alreadyOpen, 'connection')} to assigned ports ${alreadyOpen === 1 ? 'was' : 'were'} already open when the capture began: not followed`,
    );
  if (incomplete > 0)
    lines.push(
      `of ${number(incomplete, 'connection')} to assigned ports the capture lacks a part of the handshake: not followed`,
    );
  const others = [...reasons].filter(([reason]) => !UNREMARKABLE.has(reason));
  if (others.length > 0) lines.push(`packets that were passed over, by reason: ${counts(others)}`);
  if (early > 0)
    lines.push(
      `${number(early, 'packet')} came after later ones: taken at the time of those; \`reordercap\` sorts a capture`,
    );
  if (summary.guessedInterface)
    lines.push(
      'the capture does not say by which interface packets came: an assignment with `interface` was taken for any',
    );
  for (const [link, count] of unknownLinks)
    lines.push(
      `${number(count, 'packet')} of link type ${String(link)} cannot be read: Ethernet, Linux cooked, raw IP, null and loop can`,
    );
  for (const fault of faults) lines.push(`a fault of relatd, please report it: ${fault}`);
  return lines;
}

function refusals(refused: ReadonlyMap<Reason, number>): string {
  if (refused.size === 0) return 'nothing refused';
  return `${number(total(refused), 'announcement')} refused (${counts([...refused])})`;
}

const total = (counts: ReadonlyMap<Reason, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);

const counts = (entries: readonly (readonly [Reason, number])[]): string =>
  entries.map(([reason, count]) => `${reason} ${String(count)}`).join(', ');

const number = (count: number, what: string): string => `${String(count)} ${what}${count === 1 ? '' : 's'}`;

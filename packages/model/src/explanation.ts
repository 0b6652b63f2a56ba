// SPDX-License-Identifier: Apache-2.0
import { formatEndpoint, printable, type Endpoint } from './text.js';

/** Which connection somebody asks about. */
export interface WhyQuestion {
  /** Who opened it; null: anybody. Without a port: from any. */
  readonly source: Endpoint | null;
  readonly destination: Endpoint & { readonly port: number };
  /** Null: in any zone. */
  readonly zone: number | null;
  /** About when it was opened, in milliseconds since 1970; null: the latest is meant. */
  readonly at: number | null;
}

/** Every answer to why a connection was RELATED, or why not. */
export const WHY_ANSWERS = [
  'related',
  'control',
  'refused',
  'expired',
  'withdrawn',
  'replaced',
  'control-ended',
  'used',
  'late',
  'unmatched',
  'other-port',
  'other-address',
  'not-announced',
  'encrypted',
  'not-parsed',
  'no-control',
  'not-assigned',
  'open-before',
  'no-handshake',
  'limit',
  'away',
  'lost',
  'not-kept',
  'not-running',
  'not-seen',
] as const;

export type WhyAnswer = (typeof WHY_ANSWERS)[number];

/** Something that was seen. Text may come from the network: show it with `printable`. */
export interface WhyFact {
  /** ISO 8601, UTC; null: not of one moment. */
  readonly time: string | null;
  readonly text: string;
}

/** Why a connection was RELATED, or why not, as `relatd why --json` prints it. */
export interface Explanation {
  /** As far as it is known who opened it. */
  readonly source: Endpoint | null;
  readonly destination: Endpoint;
  readonly related: boolean;
  readonly answer: WhyAnswer;
  /** The answer, for people. */
  readonly sentence: string;
  /** In the order of their times; those without one last. */
  readonly facts: readonly WhyFact[];
  /** ISO 8601, UTC: how far back the history reaches. Null: there is none, because no daemon runs. */
  readonly historySince: string | null;
}

/** A time as the clock on the wall of this machine has it: `2026-11-23T23:58:50.905+01:00`. */
export function formatLocalTime(iso: string): string {
  const time = new Date(iso);
  const offset = -time.getTimezoneOffset();
  const two = (value: number): string => String(value).padStart(2, '0');
  const shifted = new Date(time.getTime() + offset * 60_000).toISOString().slice(0, -1);
  const size = Math.abs(offset);
  return `${shifted}${offset < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** The sentence, then a line for each fact, with local times. */
export function formatExplanation({ source, destination, sentence, facts }: Explanation): string {
  const who = source === null ? '*' : formatEndpoint(source);
  const lines = facts.map(({ time, text }) => [time === null ? '' : formatLocalTime(time), printable(text)] as const);
  const width = Math.max(0, ...lines.map(([time]) => time.length));
  return [
    `${who} > ${formatEndpoint(destination)}`,
    printable(sentence),
    ...lines.map(([time, text]) => `  ${time.padEnd(width)}  ${text}`.trimEnd()),
  ].join('\n');
}

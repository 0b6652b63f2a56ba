// SPDX-License-Identifier: Apache-2.0
import type { Protocol } from './flow.js';
import { formatDuration, formatEndpoint, printable, type EndpointPattern } from './text.js';

/** A data connection that was announced and has not come yet, as `relatd expectations --json` prints it. */
export interface Expectation {
  readonly id: string;
  /** The assignment's name. */
  readonly assignment: string;
  readonly helper: string;
  readonly protocol: Protocol;
  /** Who will open it. */
  readonly source: EndpointPattern;
  readonly destination: EndpointPattern;
  /** Id of its control connection. */
  readonly master: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** Null: it has no deadline and ends with its master. */
  readonly expiresSeconds: number | null;
  /** Whether it stays after a match. */
  readonly permanent: boolean;
}

/** What was announced and turned down: it never became an expectation, so it has no id and no deadline. */
export type Announcement = Pick<
  Expectation,
  'assignment' | 'helper' | 'protocol' | 'source' | 'destination' | 'master'
>;

/** One expectation on one line. */
export function formatExpectation(expectation: Expectation): string {
  const { id, assignment, protocol, source, destination, master, expiresSeconds, permanent } = expectation;
  const words = [
    `#${id}`,
    printable(assignment),
    protocol,
    `${formatEndpoint(source)} > ${formatEndpoint(destination)}`,
    `master=#${master}`,
    expiresSeconds === null ? 'expires=never' : `expires=${formatDuration(expiresSeconds)}`,
  ];
  if (permanent) words.push('permanent');
  return words.join(' ');
}

/** Headings of `expectationRow`. */
export const EXPECTATION_COLUMNS = [
  'ID',
  'ASSIGNMENT',
  'PROTOCOL',
  'SOURCE',
  'DESTINATION',
  'MASTER',
  'EXPIRES',
] as const;

/** One expectation as a table row. */
export function expectationRow(expectation: Expectation): string[] {
  const expires = expectation.expiresSeconds === null ? 'never' : formatDuration(expectation.expiresSeconds);
  return [
    expectation.id,
    printable(expectation.assignment),
    expectation.protocol,
    formatEndpoint(expectation.source),
    formatEndpoint(expectation.destination),
    expectation.master,
    expectation.permanent ? `${expires} (permanent)` : expires,
  ];
}

// SPDX-License-Identifier: Apache-2.0
import type { Endpoint, EndpointPattern, Protocol, WhyQuestion } from '@relatd/model';
import type { ControlEvidence, Evidence, RelatedEvidence, SynEvidence, Time, UntrackedEvidence } from './evidence.js';

/** From the SYN to what comes of it: a retransmission may match long after the first one. */
const SYN_LIFE = 130_000;
/** Two notes of one packet. */
const SAME_MOMENT = 5;

/** The one connection that a question is taken to be about. */
export interface Subject {
  readonly protocol: Protocol;
  /** Null, or without a port: nothing is known that fits the question. */
  readonly source: Endpoint | null;
  readonly destination: Endpoint;
  readonly zone: number | null;
  /** When it was opened; null: not known. */
  readonly opened: Time | null;
  readonly syn: SynEvidence | null;
  readonly related: RelatedEvidence | null;
  readonly control: ControlEvidence | null;
  readonly untracked: UntrackedEvidence | null;
  /** How many further connections fit the question. */
  readonly others: number;
}

interface Connection {
  readonly protocol: Protocol;
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly zone: number;
}

export const sameEndpoint = (a: Endpoint, b: Endpoint): boolean => a.address === b.address && a.port === b.port;

/** Whether an end lies in a pattern; without a port of its own it may. */
export function endpointFits({ address, port }: Endpoint, pattern: EndpointPattern): boolean {
  if (pattern.address !== null && pattern.address !== address) return false;
  if (pattern.port === null || port === null) return true;
  return typeof pattern.port === 'number'
    ? pattern.port === port
    : port >= pattern.port.from && port <= pattern.port.to;
}

/** Whether a connection is between two addresses, whoever opened it. */
export function isBetween({ source, destination }: Connection, a: string, b: string): boolean {
  return (source.address === a && destination.address === b) || (source.address === b && destination.address === a);
}

export const hasEnd = ({ source, destination }: Connection, addresses: readonly string[]): boolean =>
  addresses.includes(source.address) || addresses.includes(destination.address);

/** Whether two are the same connection, or one after the other between the same ends. */
export const sameConnection = (a: Connection, b: Connection): boolean =>
  a.protocol === b.protocol &&
  a.zone === b.zone &&
  sameEndpoint(a.source, b.source) &&
  sameEndpoint(a.destination, b.destination);

/** Finds the connection that is meant: the latest that fits, or the one nearest to the time that was given. */
export function findSubject(question: WhyQuestion, evidence: Evidence): Subject {
  const { source, destination, zone, at } = question;
  const known: { readonly time: Time; readonly connection: Connection }[] = [
    ...evidence.syns.map((connection) => ({ time: connection.time, connection })),
    ...[...evidence.related, ...evidence.controls].map((connection) => ({ time: connection.began, connection })),
    ...evidence.untracked.map((connection) => ({ time: connection.time, connection })),
  ];
  const fits = (from: Endpoint, to: Endpoint): boolean =>
    (source === null || endpointFits(from, source)) && sameEndpoint(to, destination);
  const inZone = known.filter(({ connection }) => zone === null || connection.zone === zone);
  let found = inZone.filter(({ connection }) => fits(connection.source, connection.destination));
  // Who reads a firewall's log may have turned it round.
  if (found.length === 0) found = inZone.filter(({ connection }) => fits(connection.destination, connection.source));
  const distance = (time: Time): number => (at === null ? -time : Math.abs(time - at));
  const [best] = found.toSorted((a, b) => distance(a.time) - distance(b.time));
  if (best === undefined)
    return {
      // Nothing is noted of datagrams that match nothing.
      protocol: evidence.expectations.find((one) => endpointFits(destination, one.destination))?.protocol ?? 'tcp',
      ...{ source, destination, zone, opened: at },
      ...{ syn: null, related: null, control: null, untracked: null, others: 0 },
    };
  return { ...subjectOf(best, evidence), others: countOthers(best.connection, found) };
}

function countOthers(best: Connection, found: readonly { connection: Connection }[]): number {
  const paths = found
    .filter(({ connection }) => !sameConnection(best, connection))
    .map(({ connection: { source, destination, zone } }) => JSON.stringify([source, destination, zone]));
  return new Set(paths).size;
}

/** What is known of the same connection as this note. */
function subjectOf(
  { time, connection }: { time: Time; connection: Connection },
  evidence: Evidence,
): Omit<Subject, 'others'> {
  const near = (from: Time, to: Time) => (other: Time) => other >= from - SAME_MOMENT && other <= to;
  const latest = <Known extends Connection>(
    all: readonly Known[],
    when: (one: Known) => Time,
    is: (time: Time) => boolean,
  ) =>
    all.filter((one) => sameConnection(one, connection) && is(when(one))).toSorted((a, b) => when(b) - when(a))[0] ??
    null;
  const syn = latest(evidence.syns, ({ last }) => last, near(time - SYN_LIFE, time + SYN_LIFE));
  const around = syn === null ? near(time, time) : near(Math.min(time, syn.time), Math.max(time, syn.last) + SYN_LIFE);
  const related = latest(evidence.related, ({ began }) => began, around);
  const { protocol, source, destination, zone } = connection;
  const ownSyn = related !== null && syn !== null && syn.seq !== related.isn ? null : syn;
  return {
    ...{ protocol, source, destination, zone },
    opened: ownSyn?.time ?? time,
    syn: ownSyn,
    related,
    control: latest(evidence.controls, ({ began }) => began, around),
    untracked: latest(evidence.untracked, ({ time }) => time, around),
  };
}

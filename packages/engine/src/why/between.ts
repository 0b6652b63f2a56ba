// SPDX-License-Identifier: Apache-2.0
import { formatEndpoint } from '@relatd/model';
import { turnedDown } from './announced.js';
import type { ControlEvidence, Evidence, ExpectationEvidence, UntrackedEvidence } from './evidence.js';
import { attemptFacts, controlFacts, expectationFacts, gapFacts, saidFact, type Fact } from './facts.js';
import { otherHandshake } from './handshake.js';
import { endOf, masterFacts, masterWords, no, type Case, type Judgement } from './judgement.js';
import { endpointFits, hasEnd, isBetween, sameConnection, type Subject } from './subject.js';
import { controlWords, countWords, patternWords, reasonWords, relativeWords, spanWords } from './words.js';

/** How far from its SYN something may be to be called the nearest. */
const NEAR = 60_000;
/** How long a connection that is not tracked may have been silent to count as one that is there. */
const UNTRACKED_SILENCE = 10 * 60_000;
/** How long after its last control connection a host's SYNs are noted at least: `LIMIT_NOTED_TICKS` is somewhat more. */
const NOTED = 10 * 60_000;
/** Control connections whose course is told. */
const TOLD = 4;

/** The place was expected, but for somebody else; null: it was not. */
export function otherSource({ subject, opened, ...evidence }: Case): Judgement | null {
  const { destination, protocol } = subject;
  const found = evidence.expectations.find(
    (one) =>
      one.protocol === protocol &&
      one.destination.port !== null &&
      endpointFits(destination, one.destination) &&
      one.created <= opened &&
      endOf(one) > opened,
  );
  if (found === undefined) return null;
  const who = `from ${formatEndpoint(found.source)}, for ${masterWords(found.master, evidence)}`;
  return no('other-address', `${formatEndpoint(destination)} was expected at that time, but ${who}`, [
    ...masterFacts(found.master, evidence),
    ...expectationFacts(found, evidence),
  ]);
}

/** What the control connections between the two were doing; null: there were none. */
export function betweenThem(known: Case, source: string): Judgement | null {
  const { subject, opened } = known;
  const alive = known.controls
    .filter((one) => isBetween(one, source, subject.destination.address))
    .filter(({ began, ended }) => began <= opened && (ended === null || ended.time > opened))
    .toSorted((a, b) => b.began - a.began);
  const [latest] = alive;
  if (latest === undefined) return null;
  const isRead = ({ distrusted }: ControlEvidence): boolean =>
    distrusted === null || (distrusted.time ?? -Infinity) > opened;
  const read = new Set(alive.filter(isRead).map(({ id }) => id));
  const facts = [...alive.slice(0, TOLD).flatMap(controlFacts), ...gapFacts(known, opened)];
  const elsewhere = otherPlace(known, alive, read, facts);
  if (elsewhere !== null && read.has(elsewhere.master)) return elsewhere.judgement;
  const unread = alive.find((one) => !isRead(one));
  if (unread !== undefined) return distrust(unread, known, facts);
  const who =
    alive.length === 1
      ? `control connection ${controlWords(latest)},`
      : `the ${String(alive.length)} control connections between the two`;
  return (
    unreadable(known, alive, facts) ??
    unjudged(known, alive, facts) ??
    elsewhere?.judgement ??
    uncertain(known, facts) ??
    away(known, facts) ??
    no('not-announced', `${who} announced nothing of it`, facts)
  );
}

function distrust(control: ControlEvidence, { subject, opened }: Case, facts: readonly Fact[]): Judgement {
  const { time = null, reason = 'none' } = control.distrusted ?? {};
  const since = time === null ? '' : `, since ${relativeWords(time, opened, subject.protocol)}`;
  return no(
    reason === 'encrypted' ? 'encrypted' : 'not-parsed',
    `control connection ${controlWords(control)} is no longer read${since} (${reason}): ${reasonWords(reason)}`,
    facts,
  );
}

/** An announcement that nobody could read; null: there was none. */
function unreadable(known: Case, alive: readonly ControlEvidence[], facts: readonly Fact[]): Judgement | null {
  const { subject, opened } = known;
  const masters = new Set(alive.map(({ id }) => id));
  const [refusal] = known.refusals
    .filter(({ destination, master, time }) => {
      return destination.port === null && masters.has(master) && Math.abs(time - opened) < NEAR;
    })
    .toSorted((a, b) => Math.abs(a.time - opened) - Math.abs(b.time - opened));
  if (refusal === undefined) return null;
  const judgement = turnedDown(subject, refusal, known);
  return { ...judgement, facts: [...facts, ...judgement.facts] };
}

/** What was said while nobody answered; null: nothing of it. */
function unjudged(known: Case, alive: readonly ControlEvidence[], facts: readonly Fact[]): Judgement | null {
  const { subject, opened } = known;
  for (const control of alive) {
    const said = known
      .said(control.id)
      .findLast(
        (one) =>
          one.unjudged &&
          one.time <= opened &&
          one.destination !== null &&
          endpointFits(one.destination, subject.destination),
      );
    if (said === undefined) continue;
    const ago = relativeWords(said.time, opened, subject.protocol);
    return no(
      'away',
      `no daemon answered when control connection ${controlWords(control)}, announced it, ${ago}, and only a daemon can judge that connection`,
      [...facts, saidFact(said, control.id)],
    );
  }
  return null;
}

/** What was expected of the same control connections instead: at that time, else the nearest. Of those that were still read first. */
function otherPlace(
  known: Case,
  alive: readonly ControlEvidence[],
  read: ReadonlySet<string>,
  facts: readonly Fact[],
): { readonly master: string; readonly judgement: Judgement } | null {
  const { subject, opened } = known;
  const { destination, protocol } = subject;
  const masters = new Set(alive.map(({ id }) => id));
  const distance = (one: ExpectationEvidence): number =>
    one.created > opened ? one.created - opened : Math.max(0, opened - endOf(one));
  const rank = (one: ExpectationEvidence): number => (read.has(one.master) ? 0 : 1);
  const [found] = known.expectations
    .filter((one) => masters.has(one.master) && distance(one) < NEAR)
    .toSorted((a, b) => rank(a) - rank(b) || distance(a) - distance(b) || b.created - a.created);
  if (found === undefined) return null;
  const at =
    distance(found) === 0 ? 'at that time' : `nearest to it, ${relativeWords(found.created, opened, protocol)},`;
  const samePort = endpointFits(
    { address: '', port: destination.port },
    { address: null, port: found.destination.port },
  );
  return {
    master: found.master,
    judgement: no(
      samePort ? 'other-address' : 'other-port',
      `what was expected between the two ${at} was ${patternWords(found)}, for ${masterWords(found.master, known)}`,
      [...facts, ...expectationFacts(found, known)],
    ),
  };
}

/** What cannot be told, because the history does not have that time, or not all of it; null: it has. */
function uncertain(known: Case, more: readonly Fact[]): Judgement | null {
  const { opened, since, lost } = known;
  const facts = [...more, ...gapFacts(known, opened)];
  const within = ({ from, to }: { from: number | null; to: number }): boolean =>
    (from ?? -Infinity) <= opened && opened <= to;
  const unknown = (answer: 'not-kept' | 'lost', why: string): Judgement => ({
    answer,
    sentence: `Not known: ${why}.`,
    facts,
  });
  if (since === null)
    return unknown(
      'not-kept',
      'nothing in the pinned tables explains it, and there is no history while no daemon runs',
    );
  if (opened < since)
    return unknown(
      'not-kept',
      `the history begins ${spanWords(since - opened)} after its SYN, and what is left does not explain it`,
    );
  const gap = lost.find(within);
  if (gap !== undefined)
    return unknown(
      'lost',
      `${countWords(gap.count, 'event was', 'events were')} lost about that time, and what is left does not explain it`,
    );
  return null;
}

/** No daemon ran; null: one did. The datapath goes on by itself, but for what only a daemon can judge. */
function away(known: Case, facts: readonly Fact[]): Judgement | null {
  const { opened } = known;
  const span = known.away.find(({ from, to }) => (from ?? -Infinity) <= opened && opened <= to);
  if (span === undefined) return null;
  const long = span.from === null ? '' : ` (for ${spanWords(span.to - span.from)})`;
  return no(
    'away',
    `no daemon ran at that time${long}, and nothing that the datapath decides by itself announced it`,
    facts,
  );
}

/**
 * Whether SYNs of the two, or of anybody to the destination, have been noted for some time: the datapath notes those of hosts that have,
 * or had, to do with control connections, and those to assigned ports. Where they are not, that none is noted says nothing.
 */
export function isNoted(
  { source, destination, protocol }: Subject,
  { now, controls, untracked, expectations, assignments }: Evidence,
): boolean {
  const addresses = [destination.address, ...(source === null ? [] : [source.address])];
  const isRecent = (time: number): boolean => now - time < NOTED;
  return (
    assignments.some((one) => one.protocol === protocol && one.port === destination.port) ||
    controls.some((one) => hasEnd(one, addresses) && (one.ended === null || isRecent(one.ended.time))) ||
    untracked.some((one) => hasEnd(one, addresses) && isRecent(one.last)) ||
    expectations.some((one) => addresses.includes(one.destination.address ?? '') && isRecent(endOf(one)))
  );
}

/** There was no control connection between the two that relatd follows; source null: none of the destination. */
export function withoutControl(known: Case, source: string | null): Judgement {
  const { subject, opened } = known;
  const { address } = subject.destination;
  const concerns = (one: ControlEvidence | UntrackedEvidence): boolean =>
    source === null ? hasEnd(one, [address]) : isBetween(one, source, address);
  const attempts = attemptFacts(subject, known);
  const [untracked] = known.untracked
    .filter((one) => concerns(one) && one.time <= opened && opened - one.last < UNTRACKED_SILENCE)
    // What comes late of one that was followed to its end.
    .filter((one) => !known.controls.some((control) => sameConnection(control, one) && control.began <= one.time))
    .toSorted((a, b) => b.last - a.last);
  if (untracked !== undefined) return otherHandshake(untracked, known, attempts);
  const unsure = uncertain(known, attempts);
  if (unsure !== null) return unsure;
  const none = `there was no control connection ${source === null ? 'of' : `between ${source} and`} ${address}`;
  const [last] = known.controls
    .flatMap((control) =>
      control.ended !== null && control.ended.time <= opened && concerns(control)
        ? [{ control, ended: control.ended.time }]
        : [],
    )
    .toSorted((a, b) => b.ended - a.ended);
  if (last === undefined) return no('no-control', none, attempts);
  const { control, ended } = last;
  return no(
    'no-control',
    `${none} any more: the last one, ${controlWords(control)}, ${subject.opened === null ? 'has ended' : `ended ${relativeWords(ended, opened, subject.protocol)}`}`,
    [...controlFacts(control), ...attempts],
  );
}

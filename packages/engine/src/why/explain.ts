// SPDX-License-Identifier: Apache-2.0
import { formatEndpoint, formatPath, type Explanation, type WhyAnswer, type WhyQuestion } from '@relatd/model';
import { nearest } from './announced.js';
import { betweenThem, isNoted, otherSource, withoutControl } from './between.js';
import type { ControlEvidence, Evidence, Time } from './evidence.js';
import { controlFacts, expectationFacts, guardFacts, relatedFacts, saidFor, synFacts, type Fact } from './facts.js';
import { ownHandshake } from './handshake.js';
import { masterWords, no, type Case, type Judgement } from './judgement.js';
import { findSubject, isBetween, type Subject } from './subject.js';
import { countWords, purposeWords, reasonWords, relativeWords, spanWords } from './words.js';

/** Neighbours that are told of where nothing is known of what was asked. */
const TOLD = 3;

/**
 * Why a connection was RELATED, or why not: from what is known to one answer, a sentence, and the facts that it rests on. Pure. Where
 * several things could be the cause, the nearest in time to the SYN is taken, and a fact says so.
 */
export function explain(question: WhyQuestion, evidence: Evidence): Explanation {
  const subject = findSubject(question, evidence);
  const { answer, sentence, facts } = judge(subject, evidence);
  const all = [
    ...(subject.syn === null ? [] : synFacts(subject.syn)),
    ...facts,
    ...generalFacts(subject, answer, evidence),
  ];
  return {
    source: subject.source,
    destination: subject.destination,
    related: answer === 'related',
    answer,
    sentence,
    facts: inOrder(all),
    historySince: isoOf(evidence.since),
  };
}

function isoOf(time: Time | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

/** By time, those without one last; none twice. */
function inOrder(facts: readonly Fact[]): Explanation['facts'] {
  const sorted = facts.toSorted((a, b) => (a.time ?? Infinity) - (b.time ?? Infinity) || 0);
  const seen = new Set<string>();
  return sorted.flatMap(({ time, text }) => {
    const fact = { time: isoOf(time), text };
    const key = JSON.stringify(fact);
    if (seen.has(key)) return [];
    seen.add(key);
    return [fact];
  });
}

function generalFacts(subject: Subject, answer: WhyAnswer, evidence: Evidence): Fact[] {
  const facts: Fact[] = [];
  if (subject.others > 0)
    facts.push({
      time: null,
      text: `${countWords(subject.others, 'further connection fits', 'further connections fit')} the question: this is the one that was opened last, or nearest to --at; give its source port to ask about another`,
    });
  const isKnown = answer === 'related' || answer === 'control' || answer === 'not-seen';
  if (subject.syn === null && subject.protocol === 'tcp' && !isKnown)
    facts.push({
      time: subject.opened,
      text: 'no SYN of it is noted: it was not seen, or is forgotten, or neither host had to do with a control connection',
    });
  if (answer !== 'related' && answer !== 'control') facts.push(...guardFacts(subject, evidence));
  if (evidence.since === null)
    facts.push({ time: null, text: 'no daemon runs, so there is no history: this is from the pinned tables alone' });
  return facts;
}

function judge(subject: Subject, evidence: Evidence): Judgement {
  if (subject.related !== null) return yes(subject, subject.related, evidence);
  if (subject.control !== null) return itself(subject.control);
  const { opened } = subject;
  const covering = nearest(subject, evidence);
  // What was not seen cannot have failed to match.
  if (covering !== null && (subject.syn !== null || covering.answer !== 'unmatched')) return covering;
  const own = ownHandshake(subject, evidence);
  if (own !== null) return own;
  if (covering === null && opened === null && !isNoted(subject, evidence))
    return withoutControl({ ...evidence, subject, opened: evidence.now }, subject.source?.address ?? null);
  if (opened === null || subject.source === null || covering !== null) return notSeen(subject, covering, evidence);
  if (evidence.loaded !== null && opened < evidence.loaded) return notRunning(opened, evidence.loaded);
  const known: Case = { ...evidence, subject, opened };
  return (
    otherSource(known) ?? betweenThem(known, subject.source.address) ?? withoutControl(known, subject.source.address)
  );
}

function yes(subject: Subject, related: NonNullable<Subject['related']>, evidence: Evidence): Judgement {
  const { protocol, syn } = subject;
  const control = evidence.controls.find(({ id }) => id === related.master);
  const expectation = evidence.expectations.find(({ id }) => id === related.expectation);
  const said = expectation === undefined ? undefined : saidFor(expectation, expectation.created, evidence);
  const purpose = purposeWords(said?.detail ?? related.detail);
  const announced =
    expectation === undefined
      ? 'what announced it is not in the history'
      : `announced ${relativeWords(expectation.created, related.began, protocol)}`;
  const facts = [...relatedFacts(related, protocol), ...(control === undefined ? [] : controlFacts(control))];
  // Its own match says more than the end of its expectation.
  if (expectation !== undefined) facts.push(...expectationFacts({ ...expectation, ended: null }, evidence));
  if (syn !== null && expectation !== undefined && syn.time < expectation.created)
    facts.push({
      time: syn.time,
      text: 'that SYN came before the announcement and passed unmarked; a retransmission of it matched',
    });
  const what = `${masterWords(related.master, evidence)}${purpose === '' ? '' : `, for ${purpose}`}`;
  return {
    answer: 'related',
    sentence: `RELATED: it was expected for ${what}, ${announced}; assignment ${related.assignment}, mark ${related.mark}.`,
    facts,
  };
}

function itself(control: ControlEvidence): Judgement {
  const { distrusted, ended, assignment } = control;
  const trust =
    distrusted === null
      ? 'relatd reads it'
      : `relatd no longer reads it (${distrusted.reason}): ${reasonWords(distrusted.reason)}`;
  const state = ended === null ? trust : `it has ended (${ended.reason})`;
  return no(
    'control',
    `it is itself a control connection, of assignment ${assignment}; ${state}`,
    controlFacts(control),
  );
}

function notRunning(opened: Time, loaded: Time): Judgement {
  const later = spanWords(loaded - opened);
  return no('not-running', `relatd was not running then, it was started ${later} later`, [
    { time: loaded, text: 'relatd was started' },
  ]);
}

/** No SYN of it was seen, and nothing else says when it was opened. */
function notSeen(
  { source, destination, protocol }: Subject,
  covering: Judgement | null,
  evidence: Evidence,
): Judgement {
  const facts: Fact[] = [...(covering?.facts ?? [])];
  if (source !== null)
    facts.push(
      ...evidence.controls
        .filter((one) => isBetween(one, source.address, destination.address))
        .slice(-TOLD)
        .flatMap(controlFacts),
    );
  for (const syn of evidence.syns
    .filter((one) => formatEndpoint(one.destination) === formatEndpoint(destination))
    .slice(-TOLD))
    facts.push({ time: syn.time, text: `another SYN, ${formatPath(syn)}, came by ${syn.interface}` });
  const watched = evidence.watched.length === 0 ? 'no interface is watched' : `watched: ${evidence.watched.join(', ')}`;
  facts.push({
    time: null,
    text: `${watched}; it may have taken another route, been dropped before relatd, or been forgotten (about the last 16,384 SYNs are kept), or have come before the two hosts had to do with a control connection`,
  });
  if (protocol === 'udp') return no('not-seen', 'it is expected, and no packet of it has come', facts);
  const who = source === null ? 'anybody' : formatEndpoint(source);
  const where = evidence.watched.length === 0 ? 'here' : 'on a watched interface';
  const still = covering === null ? '' : ', though it is expected';
  return no('not-seen', `no SYN from ${who} to ${formatEndpoint(destination)} was seen ${where}${still}`, facts);
}

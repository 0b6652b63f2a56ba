// SPDX-License-Identifier: Apache-2.0
import { formatEndpoint, formatPath, type Explanation, type WhyAnswer, type WhyQuestion } from '@relatd/model';
import type {
  ControlEvidence,
  Evidence,
  ExpectationEvidence,
  RefusalEvidence,
  Time,
  UntrackedEvidence,
} from './evidence.js';
import {
  attemptFacts,
  controlFacts,
  expectationFacts,
  gapFacts,
  guardFacts,
  misfits,
  policyFacts,
  refusalFacts,
  relatedFacts,
  saidFact,
  saidFor,
  synFacts,
  untrackedFacts,
  type Fact,
} from './facts.js';
import { endpointFits, findSubject, isBetween, type Subject } from './subject.js';
import {
  controlWords,
  countWords,
  openerWord,
  patternWords,
  purposeWords,
  reasonWords,
  relativeWords,
  spanWords,
} from './words.js';

/** A connection is retransmitted for about that long: what was announced later was for another one. */
const LATE = 60_000;
/** How far from its SYN something may be to be called the nearest. */
const NEAR = 60_000;
/** How long a connection that is not tracked may have been silent to count as one that is there. */
const UNTRACKED_SILENCE = 10 * 60_000;

/** An answer with what it rests on. */
interface Judgement {
  readonly answer: WhyAnswer;
  readonly sentence: string;
  readonly facts: readonly Fact[];
}

/** What the judgement of one connection works with. */
interface Case extends Evidence {
  readonly subject: Subject;
  /** As the subject's, but known. */
  readonly opened: Time;
}

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
  if (covering !== null && (opened !== null || covering.answer !== 'unmatched')) return covering;
  const own = ownHandshake(subject, evidence);
  if (own !== null) return own;
  if (opened === null || subject.source === null) return notSeen(subject, covering, evidence);
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
  const which =
    control === undefined ? `control connection #${related.master}` : `control connection ${controlWords(control)}`;
  const announced =
    expectation === undefined
      ? 'what announced it is not in the history'
      : `announced ${relativeWords(expectation.created, related.began, protocol)}`;
  const facts = [...relatedFacts(related, protocol)];
  if (control !== undefined) facts.push(...controlFacts(control));
  if (expectation !== undefined)
    facts.push(...expectationFacts(expectation, evidence).filter(({ text }) => !text.startsWith('it was used')));
  if (syn !== null && expectation !== undefined && syn.time < expectation.created)
    facts.push({
      time: syn.time,
      text: 'that SYN came before the announcement and passed unmarked; a retransmission of it matched',
    });
  return {
    answer: 'related',
    sentence: `RELATED: it was expected for ${which}${purpose === '' ? '' : ` (${purpose})`}, ${announced}; assignment ${related.assignment}, mark ${related.mark}.`,
    facts,
  };
}

function itself(control: ControlEvidence): Judgement {
  const { distrusted, ended, assignment } = control;
  const trust =
    distrusted === null
      ? 'relatd reads it'
      : `relatd no longer reads it (${distrusted.reason}): ${reasonWords(distrusted.reason)}`;
  return {
    answer: 'control',
    sentence: `Not RELATED: it is itself a control connection, of assignment ${assignment}; ${ended === null ? trust : `it has ended (${ended.reason})`}.`,
    facts: controlFacts(control),
  };
}

/** Something that was said about exactly this connection, and how far from its SYN it was. */
interface Candidate {
  readonly distance: number;
  readonly judge: () => Judgement;
}

/** Whether an expectation or refusal is about the connection. */
function covers(
  subject: Subject,
  { protocol, source, destination }: Pick<ExpectationEvidence, 'protocol' | 'source' | 'destination'>,
): boolean {
  if (destination.port === null || !endpointFits(subject.destination, destination)) return false;
  return (
    (subject.syn === null || protocol === subject.protocol) &&
    (subject.source === null || endpointFits(subject.source, source))
  );
}

/** When it could no longer be matched. The sweep tells of a deadline a little later. */
function endOf({ ended, deadline }: ExpectationEvidence): Time {
  if (ended !== null && ended.reason !== 'expired') return ended.time;
  return Math.min(ended?.time ?? Infinity, deadline ?? Infinity);
}

/** What was announced or refused about exactly this connection, the nearest in time to its SYN; null: nothing. */
function nearest(subject: Subject, evidence: Evidence): Judgement | null {
  const opened = subject.opened ?? evidence.now;
  const expected = evidence.expectations
    .filter((one) => covers(subject, one) && one.created - opened <= LATE)
    .map((one): Candidate => {
      const end = endOf(one);
      const distance = one.created > opened ? one.created - opened : Math.max(0, opened - end);
      return { distance, judge: () => missed(subject, one, end, evidence) };
    });
  const refused = evidence.refusals
    .filter((one) => covers(subject, one) && one.time - opened <= LATE)
    .map((one): Candidate => ({
      distance: Math.abs(opened - one.time),
      judge: () => turnedDown(subject, one, evidence),
    }));
  const candidates = [...expected, ...refused].toSorted((a, b) => a.distance - b.distance);
  const [best] = candidates;
  if (best === undefined) return null;
  const judgement = best.judge();
  if (candidates.length === 1) return judgement;
  const more = countWords(candidates.length - 1, 'other announcement of it is', 'other announcements of it are');
  return {
    ...judgement,
    facts: [
      ...judgement.facts,
      {
        time: null,
        text: `${more} in the history; this is the nearest in time to its ${openerWord(subject.protocol)}`,
      },
    ],
  };
}

/** ` 0.4 s before its SYN` behind `lead`, or nothing where no SYN was seen. */
function when(time: Time, { opened, protocol }: Subject, lead = ''): string {
  return opened === null ? '' : `${lead} ${relativeWords(time, opened, protocol)}`;
}

const masterWords = (master: string, evidence: Evidence): string => {
  const control = evidence.controls.find(({ id }) => id === master);
  return control === undefined ? `control connection #${master}` : `control connection ${controlWords(control)}`;
};

function masterFacts(master: string, evidence: Evidence): Fact[] {
  const control = evidence.controls.find(({ id }) => id === master);
  return control === undefined ? [] : controlFacts(control);
}

function missed(subject: Subject, expectation: ExpectationEvidence, end: Time, evidence: Evidence): Judgement {
  const { master, created, ended, usedBy } = expectation;
  const { protocol } = subject;
  const opened = subject.opened ?? evidence.now;
  const opener = openerWord(protocol);
  const who = masterWords(master, evidence);
  const facts = [...masterFacts(master, evidence), ...expectationFacts(expectation, evidence)];
  const no = (answer: WhyAnswer, sentence: string): Judgement => ({
    answer,
    sentence: `Not RELATED: ${sentence}.`,
    facts,
  });
  if (created > opened) {
    const said = evidence
      .said(master)
      .find(
        (one) => one.unjudged && one.destination !== null && endpointFits(one.destination, expectation.destination),
      );
    if (said !== undefined && said.time <= opened)
      return {
        ...no(
          'away',
          `no daemon answered when ${who} announced it ${relativeWords(said.time, opened, protocol)}, so it was expected only${when(created, subject)}`,
        ),
        facts: [...facts, saidFact(said, master), ...gapFacts(evidence, opened)],
      };
    return no('late', `it was announced too late, ${relativeWords(created, opened, protocol)}, by ${who}`);
  }
  const user = evidence.related.find(({ id }) => id === usedBy);
  if (usedBy !== null && end <= opened)
    return no(
      'used',
      `its expectation was used already by ${user === undefined ? `flow #${usedBy}` : `#${user.id}, ${formatPath(user)}`}${when(end, subject, ',')}`,
    );
  if (end > opened) return unmatched(subject, expectation, { ...evidence }, facts);
  const ago = `${spanWords(opened - end)} before its ${opener}`;
  const known = subject.opened !== null;
  switch (ended?.reason ?? 'expired') {
    case 'expired':
      return no(
        'expired',
        `its expectation had expired${known ? ` ${ago}` : ''}; it was announced${when(created, subject)} by ${who}`,
      );
    case 'master-ended':
      return no('control-ended', `its expectation ended with ${who}${known ? `, ${ago}` : ''}`);
    case 'evicted':
      return no(
        'replaced',
        `a newer announcement of ${who} took the place of its expectation${known ? `, ${ago}` : ''}`,
      );
    case 'refused-by-server':
      return no(
        'withdrawn',
        `the server refused the command of ${who} that announced it, and its expectation went${known ? `, ${ago}` : ''}`,
      );
    default: {
      const reason = ended?.reason ?? 'expired';
      return no(
        'withdrawn',
        `its expectation for ${who} was withdrawn${known ? `, ${ago}` : ''} (${reason}): ${reasonWords(reason)}`,
      );
    }
  }
}

/** It was expected at that moment. */
function unmatched(
  subject: Subject,
  expectation: ExpectationEvidence,
  evidence: Evidence,
  facts: readonly Fact[],
): Judgement {
  const { opened, protocol, zone } = subject;
  const who = masterWords(expectation.master, evidence);
  const full = evidence.full.find(
    ({ source, time }) => source.address === subject.source?.address && Math.abs(time - (opened ?? time)) < 1500,
  );
  const no = (answer: WhyAnswer, sentence: string, more: readonly Fact[] = []): Judgement => ({
    answer,
    sentence: `Not RELATED: ${sentence}.`,
    facts: [...facts, ...more],
  });
  if (full !== undefined)
    return no(
      'limit',
      `it was expected for ${who}, but could not be tracked (${full.reason}): ${reasonWords(full.reason)}`,
      [{ time: full.time, text: `a packet of ${full.source.address} found no room (${full.reason})` }],
    );
  if (zone !== null && zone !== expectation.zone)
    return no(
      'unmatched',
      `it was expected for ${who} in zone ${String(expectation.zone)}, and its ${openerWord(protocol)} came in zone ${String(zone)}`,
    );
  return no('unmatched', `it was expected for ${who} at that time, and yet its ${openerWord(protocol)} did not match`);
}

function turnedDown(subject: Subject, refusal: RefusalEvidence, evidence: Evidence): Judgement {
  const { reason, master, time } = refusal;
  return {
    answer: 'refused',
    sentence: `Not RELATED: its announcement by ${masterWords(master, evidence)} was refused${when(time, subject)} (${reason}): ${reasonWords(reason)}.`,
    facts: [...masterFacts(master, evidence), ...refusalFacts(refusal, evidence), ...policyFacts(refusal, evidence)],
  };
}

/** It goes to a port that an assignment names. */
function ownHandshake(subject: Subject, evidence: Evidence): Judgement | null {
  const { source, destination, protocol, syn, untracked } = subject;
  if (source === null || source.port === null) return null;
  const named = evidence.assignments.filter((one) => one.protocol === protocol && one.port === destination.port);
  if (named.length === 0) return null;
  if (untracked !== null) return notAssigned('it', untracked, evidence, []);
  if (syn === null) return null;
  const found = misfits({ protocol, source, destination, interface: syn.fromHere ? null : syn.interface }, evidence);
  const facts = found.map((text) => ({ time: null, text }));
  if (found.length > 0)
    return {
      answer: 'not-assigned',
      sentence: `Not RELATED: it goes to a control port, but no assignment covers it: ${found.join('; ')}.`,
      facts: [],
    };
  const names = named.map(({ name }) => name).join(', ');
  return {
    answer: 'no-handshake',
    sentence: `Not RELATED: it goes to the control port of ${names}, and its handshake was not completed.`,
    facts,
  };
}

function notAssigned(
  what: 'it' | 'one',
  untracked: UntrackedEvidence,
  evidence: Evidence,
  more: readonly Fact[],
): Judgement {
  const facts = [...untrackedFacts(untracked, evidence), ...more];
  const found = misfits(untracked, evidence);
  const path = formatPath(untracked);
  const begin =
    what === 'it' ? 'Not RELATED: it goes to a control port, but' : `Not RELATED: a connection ${path} was there, but`;
  if (untracked.why === 'limit')
    return {
      answer: 'limit',
      sentence: `${begin} was not tracked as a control connection (${untracked.reason}): ${reasonWords(untracked.reason)}.`,
      facts,
    };
  if (found.length > 0)
    return { answer: 'not-assigned', sentence: `${begin} no assignment covers it: ${found.join('; ')}.`, facts };
  if (untracked.why === 'not-covered')
    return {
      answer: 'not-assigned',
      sentence: `${begin} no assignment covered it when it began; one does now, so a new one will be tracked.`,
      facts,
    };
  return {
    answer: 'open-before',
    sentence: `${begin} its handshake was not seen here: it was open before relatd or its assignment was, or its packets took another way.`,
    facts,
  };
}

function notRunning(opened: Time, loaded: Time): Judgement {
  return {
    answer: 'not-running',
    sentence: `Not RELATED: relatd was not running then, it was started ${spanWords(loaded - opened)} later.`,
    facts: [{ time: loaded, text: 'relatd was started' }],
  };
}

/** No SYN of it was seen, and nothing else says when it was opened. */
function notSeen(subject: Subject, covering: Judgement | null, evidence: Evidence): Judgement {
  const { source, destination } = subject;
  const who = source === null ? 'anybody' : formatEndpoint(source);
  const facts: Fact[] = [...(covering?.facts ?? [])];
  if (source !== null)
    for (const control of evidence.controls
      .filter((one) => isBetween(one, source.address, destination.address))
      .slice(-3))
      facts.push(...controlFacts(control));
  for (const syn of evidence.syns
    .filter((one) => one.destination.address === destination.address && one.destination.port === destination.port)
    .slice(-3))
    facts.push({ time: syn.time, text: `another SYN ${formatPath(syn)} came by ${syn.interface}` });
  const watched = evidence.watched.length === 0 ? 'no interface is watched' : `watched: ${evidence.watched.join(', ')}`;
  const still = covering === null ? '' : ', though it is expected';
  const where = evidence.watched.length === 0 ? 'here' : 'on a watched interface';
  facts.push({
    time: null,
    text: `${watched}; it may have taken another route, been dropped before relatd, or been forgotten (the last 16,384 SYNs are kept)`,
  });
  return {
    answer: 'not-seen',
    sentence: `Not RELATED: no SYN from ${who} to ${formatEndpoint(destination)} was seen ${where}${still}.`,
    facts,
  };
}

/** The place was expected, but for somebody else. */
function otherSource({ subject, opened, ...evidence }: Case): Judgement | null {
  const found = evidence.expectations.find(
    (one) =>
      endpointFits(subject.destination, one.destination) &&
      one.destination.port !== null &&
      one.created <= opened &&
      endOf(one) > opened &&
      one.protocol === subject.protocol,
  );
  if (found === undefined) return null;
  return {
    answer: 'other-address',
    sentence: `Not RELATED: ${formatEndpoint(subject.destination)} was expected at that time, but from ${formatEndpoint(found.source)}, for ${masterWords(found.master, evidence)}.`,
    facts: [...masterFacts(found.master, evidence), ...expectationFacts(found, evidence)],
  };
}

/** What control connections between the two were doing; null: there were none. */
function betweenThem(known: Case, source: string): Judgement | null {
  const { subject, opened, ...evidence } = known;
  const alive = evidence.controls
    .filter((one) => isBetween(one, source, subject.destination.address))
    .filter(({ began, ended }) => began <= opened && (ended === null || ended.time > opened));
  const [latest] = alive.toSorted((a, b) => b.began - a.began);
  if (latest === undefined) return null;
  const isDistrusted = ({ distrusted }: ControlEvidence): boolean =>
    distrusted !== null && (distrusted.time ?? -Infinity) <= opened;
  const trusted = new Set(alive.filter((one) => !isDistrusted(one)).map(({ id }) => id));
  const facts = [...alive.slice(-4).flatMap(controlFacts), ...gapFacts(known, opened)];
  const elsewhere = otherPlace(known, new Set(alive.map(({ id }) => id)), trusted, facts);
  if (elsewhere !== null && trusted.has(elsewhere.master)) return elsewhere.judgement;
  const untrusted = alive.find(isDistrusted);
  if (untrusted !== undefined) return distrust(untrusted, known, facts);
  return (
    unreadable(known, alive, facts) ??
    unjudged(known, alive, facts) ??
    elsewhere?.judgement ??
    uncertain(known, facts) ?? {
      answer: 'not-announced',
      sentence: `Not RELATED: nothing of it was announced by ${alive.length === 1 ? `control connection ${controlWords(latest)}` : `the ${String(alive.length)} control connections between the two`}.`,
      facts,
    }
  );
}

function distrust(control: ControlEvidence, { subject, opened }: Case, facts: readonly Fact[]): Judgement {
  const { time = null, reason = 'none' } = control.distrusted ?? {};
  const since = time === null ? '' : `, since ${relativeWords(time, opened, subject.protocol)}`;
  return {
    answer: reason === 'encrypted' ? 'encrypted' : 'not-parsed',
    sentence: `Not RELATED: control connection ${controlWords(control)} is no longer read${since} (${reason}): ${reasonWords(reason)}.`,
    facts,
  };
}

/** An announcement that nobody could read. */
function unreadable(
  { subject, opened, ...evidence }: Case,
  alive: readonly ControlEvidence[],
  facts: readonly Fact[],
): Judgement | null {
  const masters = new Set(alive.map(({ id }) => id));
  const [refusal] = evidence.refusals
    .filter(
      ({ destination, master, time }) =>
        destination.port === null && masters.has(master) && Math.abs(time - opened) < NEAR,
    )
    .toSorted((a, b) => Math.abs(a.time - opened) - Math.abs(b.time - opened));
  if (refusal === undefined) return null;
  const judgement = turnedDown(subject, refusal, evidence);
  return { ...judgement, facts: [...facts, ...judgement.facts] };
}

/** What it said while nobody answered. */
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
    return {
      answer: 'away',
      sentence: `Not RELATED: no daemon answered when control connection ${controlWords(control)} announced it, ${relativeWords(said.time, opened, subject.protocol)}, and only a daemon can judge that connection.`,
      facts: [...facts, saidFact(said, control.id)],
    };
  }
  return null;
}

/** What was expected of the same control connections instead; at that time, else the nearest. */
function otherPlace(
  { subject, opened, ...evidence }: Case,
  masters: ReadonlySet<string>,
  trusted: ReadonlySet<string>,
  facts: readonly Fact[],
): { readonly master: string; readonly judgement: Judgement } | null {
  const { destination, protocol } = subject;
  const distance = (one: ExpectationEvidence): number =>
    one.created > opened ? one.created - opened : Math.max(0, opened - endOf(one));
  const [found] = evidence.expectations
    .filter((one) => masters.has(one.master) && distance(one) < NEAR)
    // Of connections that were still read first.
    .toSorted(
      (a, b) =>
        Number(trusted.has(b.master)) - Number(trusted.has(a.master)) ||
        distance(a) - distance(b) ||
        b.created - a.created,
    );
  if (found === undefined) return null;
  const at =
    distance(found) === 0 ? 'at that time' : `nearest to it, ${relativeWords(found.created, opened, protocol)},`;
  const samePort =
    destination.port !== null &&
    endpointFits(
      { address: found.destination.address ?? destination.address, port: destination.port },
      found.destination,
    );
  return {
    master: found.master,
    judgement: {
      answer: samePort ? 'other-address' : 'other-port',
      sentence: `Not RELATED: what was expected between the two ${at} was ${patternWords(found)}, for ${masterWords(found.master, evidence)}.`,
      facts: [...facts, ...expectationFacts(found, evidence)],
    },
  };
}

/** What cannot be told, because the history does not have that time, or not all of it. */
function uncertain(evidence: Case, facts: readonly Fact[]): Judgement | null {
  const { opened, since, lost, away, started } = evidence;
  const all = [...facts, ...gapFacts(evidence, opened)];
  const gap = lost.find(({ from, to }) => (from ?? -Infinity) <= opened && opened <= to);
  if (gap !== undefined)
    return {
      answer: 'lost',
      sentence: `Not known: ${countWords(gap.count, 'event was', 'events were')} lost around its SYN, and what is left does not explain it.`,
      facts: all,
    };
  if (since === null || opened < since)
    return {
      answer: 'not-kept',
      sentence:
        since === null
          ? 'Not known: nothing in the pinned tables explains it, and there is no history while no daemon runs.'
          : `Not known: the history begins ${spanWords(since - opened)} after its SYN${started !== null && since === started ? ', when this daemon was started' : ''}, and what is left does not explain it.`,
      facts: all,
    };
  const span = away.find(({ from, to }) => (from ?? -Infinity) <= opened && opened <= to);
  if (span === undefined) return null;
  return {
    answer: 'away',
    sentence: `Not RELATED: no daemon ran at that time${span.from === null ? '' : ` (for ${spanWords(span.to - span.from)})`}, and nothing that the datapath decides by itself announced it.`,
    facts: all,
  };
}

/** No control connection between the two that relatd follows. */
function withoutControl(known: Case, source: string): Judgement {
  const { subject, opened } = known;
  const between = <One extends Parameters<typeof isBetween>[0]>(all: readonly One[]): One[] =>
    all.filter((one) => isBetween(one, source, subject.destination.address));
  const ended = between(known.controls)
    .filter(({ ended }) => ended !== null && ended.time <= opened)
    .toSorted((a, b) => (b.ended?.time ?? 0) - (a.ended?.time ?? 0));
  const attempts = attemptFacts(subject, known);
  const [untracked] = between(known.untracked)
    .filter(({ time, last }) => time <= opened && opened - last < UNTRACKED_SILENCE)
    .toSorted((a, b) => b.last - a.last);
  if (untracked !== undefined) return notAssigned('one', untracked, known, attempts);
  const unsure = uncertain(known, attempts);
  if (unsure !== null) return unsure;
  const [last] = ended;
  const two = `${source} and ${subject.destination.address}`;
  return {
    answer: 'no-control',
    sentence:
      last?.ended == null
        ? `Not RELATED: there was no control connection between ${two}.`
        : `Not RELATED: there was no control connection between ${two} any more: the last one, ${controlWords(last)}, ended ${relativeWords(last.ended.time, opened, subject.protocol)}.`,
    facts: [...(last === undefined ? [] : controlFacts(last)), ...attempts],
  };
}

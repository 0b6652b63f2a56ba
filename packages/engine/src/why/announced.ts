// SPDX-License-Identifier: Apache-2.0
import { formatPath, type WhyAnswer } from '@relatd/model';
import type { Evidence, ExpectationEvidence, RefusalEvidence, Time } from './evidence.js';
import { expectationFacts, gapFacts, policyFacts, refusalFacts, saidFact, type Fact } from './facts.js';
import { endOf, masterFacts, masterWords, no, when, type Judgement } from './judgement.js';
import { endpointFits, type Subject } from './subject.js';
import { countWords, openerWord, reasonWords, relativeWords, spanWords } from './words.js';

/** A SYN is retransmitted for about that long: what was announced later was for another one. */
const LATE = 60_000;
/** A packet that found no room and a SYN that was not tracked are the same if they are no further apart: events are limited. */
const SAME_SECOND = 1500;

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

/** What was announced or refused about exactly this connection, the nearest in time to its SYN; null: nothing. */
export function nearest(subject: Subject, evidence: Evidence): Judgement | null {
  const opened = subject.opened ?? evidence.now;
  const expected = evidence.expectations
    .filter((one) => covers(subject, one) && one.created - opened <= LATE)
    .map((one): Candidate => {
      const distance = one.created > opened ? one.created - opened : Math.max(0, opened - endOf(one));
      return { distance, judge: () => missed(subject, one, evidence) };
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
  const text = `${more} in the history; this is the nearest in time to its ${openerWord(subject.protocol)}`;
  return { ...judgement, facts: [...judgement.facts, { time: null, text }] };
}

/** It was expected at some time. */
function missed(subject: Subject, expectation: ExpectationEvidence, evidence: Evidence): Judgement {
  const { master, created, ended, usedBy } = expectation;
  const opened = subject.opened ?? evidence.now;
  const end = endOf(expectation);
  const who = masterWords(master, evidence);
  const facts = [...masterFacts(master, evidence), ...expectationFacts(expectation, evidence)];
  if (created > opened) return tooLate(subject, opened, expectation, evidence, facts);
  if (end > opened) return unmatched(subject, expectation, evidence, facts);
  const ago = when(end, subject, ',');
  if (usedBy !== null) {
    const user = evidence.related.find(({ id }) => id === usedBy);
    const by = user === undefined ? `flow #${usedBy}` : `#${user.id}, ${formatPath(user)}`;
    return no('used', `its expectation was used already by ${by}${ago}`, facts);
  }
  const reason = ended?.reason ?? 'expired';
  switch (reason) {
    case 'expired': {
      const past =
        subject.opened === null ? '' : ` ${spanWords(opened - end)} before its ${openerWord(subject.protocol)}`;
      return no(
        'expired',
        `its expectation had expired${past}; it was announced${when(created, subject)} by ${who}`,
        facts,
      );
    }
    case 'master-ended':
      return no('control-ended', `its expectation ended with ${who}${ago}`, facts);
    case 'evicted':
      return no('replaced', `a newer announcement of ${who} took the place of its expectation${ago}`, facts);
    case 'refused-by-server':
      return no(
        'withdrawn',
        `the other side refused the command by which ${who} announced it, and its expectation went${ago}`,
        facts,
      );
    default:
      return no(
        'withdrawn',
        `its expectation for ${who} was withdrawn${ago} (${reason}): ${reasonWords(reason)}`,
        facts,
      );
  }
}

function tooLate(
  subject: Subject,
  opened: Time,
  { master, created, destination }: ExpectationEvidence,
  evidence: Evidence,
  facts: readonly Fact[],
): Judgement {
  const who = masterWords(master, evidence);
  const said = evidence
    .said(master)
    .find(
      (one) =>
        one.unjudged && one.time <= opened && one.destination !== null && endpointFits(one.destination, destination),
    );
  if (said === undefined) return no('late', `it was announced too late,${when(created, subject)}, by ${who}`, facts);
  return no(
    'away',
    `no daemon answered when ${who} announced it ${relativeWords(said.time, opened, subject.protocol)}, so it was expected only${when(created, subject)}`,
    [...facts, saidFact(said, master), ...gapFacts(evidence, opened)],
  );
}

/** It was expected at that moment. */
function unmatched(
  { opened, protocol, zone, source }: Subject,
  expectation: ExpectationEvidence,
  evidence: Evidence,
  facts: readonly Fact[],
): Judgement {
  const opener = openerWord(protocol);
  const was = `it was expected for ${masterWords(expectation.master, evidence)}`;
  const full = evidence.full.find(
    (one) => one.source.address === source?.address && Math.abs(one.time - (opened ?? one.time)) < SAME_SECOND,
  );
  const answer = (code: WhyAnswer, sentence: string, more: readonly Fact[] = []): Judgement =>
    no(code, `${was}${sentence}`, [...facts, ...more]);
  if (full !== undefined)
    return answer('limit', `, but could not be tracked (${full.reason}): ${reasonWords(full.reason)}`, [
      { time: full.time, text: `a packet of ${full.source.address} found no room (${full.reason})` },
    ]);
  if (zone !== null && zone !== expectation.zone)
    return answer('unmatched', ` in zone ${String(expectation.zone)}, and its ${opener} came in zone ${String(zone)}`);
  return answer('unmatched', ` at that time, and yet its ${opener} did not match`);
}

/** Its announcement was refused. */
export function turnedDown(subject: Subject, refusal: RefusalEvidence, evidence: Evidence): Judgement {
  const { reason, master, time } = refusal;
  return no(
    'refused',
    `its announcement by ${masterWords(master, evidence)} was refused${when(time, subject)} (${reason}): ${reasonWords(reason)}`,
    [...masterFacts(master, evidence), ...refusalFacts(refusal, evidence), ...policyFacts(refusal, evidence)],
  );
}

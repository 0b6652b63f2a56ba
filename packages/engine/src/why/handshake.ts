// SPDX-License-Identifier: Apache-2.0
import { formatPath } from '@relatd/model';
import type { Evidence, UntrackedEvidence } from './evidence.js';
import { misfits, untrackedFacts, type Fact } from './facts.js';
import { no, type Judgement } from './judgement.js';
import type { Subject } from './subject.js';
import { reasonWords } from './words.js';

/** What became of a connection to a port that an assignment names; null: it goes to none. */
export function ownHandshake(
  { source, destination, protocol, syn, untracked }: Subject,
  evidence: Evidence,
): Judgement | null {
  if (source === null || source.port === null) return null;
  const named = evidence.assignments.filter((one) => one.protocol === protocol && one.port === destination.port);
  if (named.length === 0) return null;
  const begin = 'it goes to a control port, but';
  if (untracked !== null) return notAssigned(begin, untracked, evidence, []);
  if (syn === null) return null;
  const found = misfits({ protocol, source, destination, interface: syn.fromHere ? null : syn.interface }, evidence);
  if (found.length > 0) return no('not-assigned', `${begin} no assignment covers it: ${found.join('; ')}`, []);
  const names = named.map(({ name }) => name).join(', ');
  return no('no-handshake', `it goes to the control port of ${names}, and its handshake was not completed`, []);
}

/** A connection to an assigned port is there, between the same two, and it is no control connection. */
export function otherHandshake(untracked: UntrackedEvidence, evidence: Evidence, more: readonly Fact[]): Judgement {
  return notAssigned(`a connection ${formatPath(untracked)} was there, but`, untracked, evidence, more);
}

function notAssigned(
  begin: string,
  untracked: UntrackedEvidence,
  evidence: Evidence,
  more: readonly Fact[],
): Judgement {
  const { why, reason } = untracked;
  const facts = [...untrackedFacts(untracked), ...more];
  if (why === 'limit')
    return no('limit', `${begin} was not tracked as a control connection (${reason}): ${reasonWords(reason)}`, facts);
  const found = misfits(untracked, evidence);
  if (found.length > 0) return no('not-assigned', `${begin} no assignment covers it: ${found.join('; ')}`, facts);
  if (why === 'not-covered') {
    const now = 'no assignment covered it when it began; one does now, so a new one will be tracked';
    return no('not-assigned', `${begin} ${now}`, facts);
  }
  const unseen = 'it was open before relatd or its assignment was, or its packets took another way';
  return no('open-before', `${begin} its handshake was not seen here: ${unseen}`, facts);
}

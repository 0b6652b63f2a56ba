// SPDX-License-Identifier: Apache-2.0
import type { WhyAnswer } from '@relatd/model';
import type { Evidence, ExpectationEvidence, Time } from './evidence.js';
import { controlFacts, type Fact } from './facts.js';
import type { Subject } from './subject.js';
import { controlWords, relativeWords } from './words.js';

/** An answer with what it rests on. */
export interface Judgement {
  readonly answer: WhyAnswer;
  readonly sentence: string;
  readonly facts: readonly Fact[];
}

/** What the judgement of one connection works with. */
export interface Case extends Evidence {
  readonly subject: Subject;
  /** As the subject's, but known. */
  readonly opened: Time;
}

/** An answer that is not yes. `sentence` begins small and has no full stop. */
export const no = (answer: WhyAnswer, sentence: string, facts: readonly Fact[]): Judgement => ({
  answer,
  sentence: `Not RELATED: ${sentence}.`,
  facts,
});

/** When it could no longer be matched. The sweep tells of a deadline a little later. */
export function endOf({ ended, deadline }: ExpectationEvidence): Time {
  if (ended !== null && ended.reason !== 'expired') return ended.time;
  return Math.min(ended?.time ?? Infinity, deadline ?? Infinity);
}

/** ` 0.4 s before its SYN` behind `lead`, or nothing where no SYN was seen. */
export function when(time: Time, { opened, protocol }: Subject, lead = ''): string {
  return opened === null ? '' : `${lead} ${relativeWords(time, opened, protocol)}`;
}

export const masterWords = (master: string, evidence: Evidence): string => {
  const control = evidence.controls.find(({ id }) => id === master);
  return control === undefined ? `control connection #${master}` : `control connection ${controlWords(control)}`;
};

export function masterFacts(master: string, evidence: Evidence): Fact[] {
  const control = evidence.controls.find(({ id }) => id === master);
  return control === undefined ? [] : controlFacts(control);
}

// SPDX-License-Identifier: Apache-2.0
import type { Difference } from './compare.js';
import type { HelperName } from './machines.js';
import type { Peculiarity } from './model.js';

/** A difference that is right, and why. */
export interface Explanation {
  readonly name: string;
  readonly why: string;
  readonly explains: (difference: Difference) => boolean;
}

/** Bytes of a line that each parser keeps. */
const KEPT: Readonly<Record<HelperName, number>> = {
  ftp: 1024,
  irc: 8704,
  tftp: Infinity,
  rtsp: Infinity,
  everything: Infinity,
};

/** All differences that are right. Everything else is a bug of one of the three. */
export const EXPLANATIONS: readonly Explanation[] = [
  {
    name: 'malformed request',
    why: 'A malformed TFTP request means nothing to the tables; the parser tells people what is wrong with it. Neither expects anything.',
    explains: ({ step, expected, found }) =>
      step?.setup.helper === 'tftp' && expected.length === 0 && found.every((line) => line.startsWith('refuse ')),
  },
  {
    name: 'greeting without a line end',
    why: 'The parser gives up at the first byte of a greeting that cannot be one; the tables wait for the end of its line, and leave it to user space there. Until then neither reads anything else.',
    explains: ({ step, found }) =>
      step?.setup.helper === 'ftp' &&
      step.read.from === 1 &&
      step.said[0] === '' &&
      found.join() === 'give-up not-protocol' &&
      !/^[1-5]|^$/.test(step.said[1].slice(step.said[1].lastIndexOf('\n') + 1)),
  },
  {
    name: 'longer than the parser keeps',
    why: 'The parser keeps the beginning of a line, 1024 bytes for FTP and 8704 for IRC. The tables have no such bound; only what announces has to fit into 512 bytes.',
    explains: ({ step, expected, found }) =>
      step !== null &&
      step.said[step.read.from].split('\n').some((line) => line.length >= KEPT[step.setup.helper]) &&
      ![...expected, ...found].some((line) => line.startsWith('announce')),
  },
];

/** Where the datapath does something else than the interpreter's facts say, by its own bounds; the model knows them. */
export const PECULIARITIES: Readonly<Record<Peculiarity, string>> = {
  'too much at once': 'One packet has room for 32 announcements and withdrawals; one with more goes to user space.',
  'given up at once':
    'What a packet announces before it ends trust is not expected: nobody waits for a reply and encrypts in one go.',
  'repeated otherwise':
    'An announcement that was not whole in one segment, or of which a part is sent again, has no hash to be held against: user space looks.',
  urgent: 'What urgent bytes mean depends on the receiver: user space looks, and before their time they are dropped.',
};

/** The first explanation that fits, or null. */
export function explanationOf(difference: Difference): Explanation | null {
  return EXPLANATIONS.find(({ explains }) => explains(difference)) ?? null;
}

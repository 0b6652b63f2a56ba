// SPDX-License-Identifier: Apache-2.0
import type { Side } from './dialogue.js';
import type { Random } from './random.js';

/** What one side says at a time; Latin-1. */
export interface Piece {
  readonly from: Side;
  readonly text: string;
}

export const client = (text: string): Piece => ({ from: 0, text });
export const server = (text: string): Piece => ({ from: 1, text });

/** The end of a line, mostly an honest one. */
export function lineEnd(random: Random): string {
  if (!random.odd(0.15)) return '\r\n';
  return random.pick(['\n', '\r\r\n', '\r\r\r\n', '\n']);
}

/** Text that means nothing, mostly short. */
export function words(random: Random): string {
  const length = random.odd(0.03) ? random.between(400, 1300) : random.int(20);
  let text = '';
  while (text.length < length)
    text += random.choose(
      ['a', 'file', ' ', '.', '227 ', 'é', 'x', '-', '0', '7'],
      ['(1,2,3,4,5,6)', 'PORT ', '\r', '\x01', '"', ','],
      0.3,
    );
  return text.slice(0, length);
}

/** Upper case, lower case, or a mixture. */
export function cased(random: Random, text: string): string {
  if (!random.odd(0.3)) return text;
  if (random.chance(0.5)) return text.toLowerCase();
  return Array.from(text, (letter) => (random.chance(0.5) ? letter.toLowerCase() : letter)).join('');
}

/** A port, at the edges of everything now and then. */
export function somePort(random: Random): number {
  if (!random.odd(0.25)) return random.between(1024, 65535);
  return random.pick([0, 1, 21, 255, 256, 1023, 1024, 1025, 40000, 50000, 65279, 65280, 65534, 65535, 65536, 99999]);
}

/** Some of the spellings of the same number. */
export function digits(random: Random, value: number): string {
  return !random.odd(0.05) ? String(value) : `${'0'.repeat(random.between(1, 3))}${String(value)}`;
}

const FOREIGN = {
  4: ['10.9.9.9', '0.0.0.0', '127.0.0.1', '255.255.255.255', '10.0.1.3'],
  6: ['2001:db8:9::9', '::1', '::', 'fe80::1', '1:2:3:4:5:6:7:8'],
} as const;

/** An address as text: mostly the own one, in some spelling. */
export function someAddress(random: Random, family: 4 | 6, own: string): string {
  const text = random.odd(0.2) ? random.pick(FOREIGN[family]) : own;
  return family === 6 && random.odd(0.5) ? spelled(random, text) : text;
}

/** Another spelling of an IPv6 address, or nearly. */
function spelled(random: Random, text: string): string {
  const [left = '', right] = text.split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const full =
    right === undefined ? head : [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  switch (random.int(7)) {
    case 0:
      return full.join(':');
    case 1:
      return full.map((group) => group.padStart(4, '0')).join(':');
    case 2:
      return text.toUpperCase();
    case 3:
      return `${head.join(':')}::${random.chance(0.5) ? '0:' : ''}${tail.join(':')}`;
    case 4:
      return random.pick([
        '::ffff:10.0.1.2',
        '::ffff:a00:102',
        '::ffff:0a00:0102',
        `${text}%1`,
        `${text}:`,
        `:${text}`,
        '1::2::3',
        '1:2:3:4:5:6:7:8:9',
        '12345::',
      ]);
    case 5:
      return full.map((group, at) => (at === random.int(8) ? `0${group}` : group)).join(':');
    default:
      return [...full.slice(0, random.int(9)), '', ...full.slice(random.int(9))].join(':');
  }
}

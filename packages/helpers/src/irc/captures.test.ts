// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { segments, summaries } from '../script.js';
import { irc } from './index.js';

const directory = join(import.meta.dirname, 'captures');
const recording = (name: string): string => readFileSync(join(directory, `${name}.txt`), 'utf8');

/** What each recording announces. */
const expected: Readonly<Record<string, string[]>> = {
  'browser-by-hand': ['abandon not-protocol'],
  'ngircd-by-hand': [
    'announce original - 10.77.1.2 40000 anyone alice,DCC SEND,a.bin',
    'announce original - 10.77.1.2 40001 anyone alice,DCC CHAT,-',
    'announce original - 10.77.1.2 40002 anyone alice,DCC SEND,a b.bin',
    'announce original - 10.77.1.2 40003 anyone alice,DCC TSEND,t.bin',
    'refuse original bad-syntax',
    'refuse original bad-octet',
    'refuse original bad-port',
  ],
  'ngircd-irssi-ipv4': [
    'announce original - 10.77.1.2 40000 anyone alice,DCC SEND,plain.bin',
    'announce original - 10.77.1.2 40001 anyone alice,DCC SEND,two words.bin',
    'announce original - 10.77.1.2 40002 anyone alice,DCC CHAT,-',
  ],
  'ngircd-irssi-ipv6': [
    'announce original - fd77:1::2 40000 anyone alice,DCC SEND,plain.bin',
    'announce original - fd77:1::2 40001 anyone alice,DCC CHAT,-',
  ],
  'starttls-by-hand': ['encrypted'],
  'tags-by-hand': [
    'announce original - 10.77.1.2 40000 anyone alice,DCC SEND,a b.bin',
    'announce original - 10.77.1.2 40001 anyone alice,DCC SCHAT,-',
  ],
};

it('covers every recording', () => {
  const names = readdirSync(directory).flatMap((name) => (name.endsWith('.txt') ? [name.slice(0, -4)] : []));
  expect(Object.keys(expected).sort()).toEqual(names.sort());
});

describe.each(Object.entries(expected))('%s', (name, lines) => {
  it('is understood', () => expect(summaries(segments(recording(name)), irc.create())).toEqual(lines));
});

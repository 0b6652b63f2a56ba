// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { isTransfer, isVerb, readCommand } from './command.js';
import { shown, TEXT_LIMIT } from '../text.js';

describe('readCommand', () => {
  it.each([
    ['pAsV', 'PASV', null],
    ['PASV ', 'PASV', ''],
    ['RETR a file', 'RETR', 'a file'],
    ['RETR  a\r\0', 'RETR', ' a\r\0'],
    ['XSHA256 f', 'XSHA256', 'f'],
  ])('%j', (line, verb, argument) => expect(readCommand(line)).toEqual({ verb, argument }));

  it.each(['', ' PASV', 'PASV\t', 'Host: example.org', 'PORT,1', 'P', 'ls', '1234', 'PO\0RT 1', 'ABCDEFGHIJKL x'])(
    '%j is none',
    (line) => expect(readCommand(line)).toBeNull(),
  );
});

it.each('GET HEAD POST PUT DELETE OPTIONS TRACE CONNECT PATCH PRI INVITE REGISTER EHLO HELO NICK SSH'.split(' '))(
  '%s is no verb of FTP',
  (verb) => expect(isVerb(verb)).toBe(false),
);

it('knows what transfers', () => {
  expect(['RETR', 'STOU', 'MLSD'].every(isTransfer)).toBe(true);
  expect(['MLST', 'SIZE', 'STAT'].some(isTransfer)).toBe(false);
});

describe('shown', () => {
  it.each([
    ['plain.txt', 'plain.txt'],
    ['caf\xc3\xa9', 'café'],
    ['caf\xe9', 'caf\ufffd'],
    ['a\x1b[2J\rb', 'a\\x1b[2J\\x0db'],
  ])('%j', (bytes, text) => expect(shown(bytes)).toBe(text));

  it('is bounded', () => {
    expect(shown('x'.repeat(1000))).toBe('x'.repeat(TEXT_LIMIT));
    expect(shown('\xc3\xa9'.repeat(200))).toBe('é'.repeat(127));
    expect(Buffer.byteLength(shown('\xf0\x9f\x98\x80'.repeat(200)))).toBe(252);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { ByteSet } from './bytes.js';
import { PatternError, fieldsOf, parsePattern } from './pattern.js';

const options = { ignoreCase: false, excluded: ByteSet.of(0) };

describe('a pattern', () => {
  it.each<[string, number, RegExp]>([
    ['a)', 2, /\) closes nothing/],
    ['(ab', 1, /this \( is not closed/],
    ['[ab', 1, /this \[ is not closed/],
    ['[z-a]', 2, /runs backwards/],
    ['[\\d-z]', 2, /no single ends/],
    ['*a', 1, /repeats nothing here/],
    ['a{x}', 2, /write \{3\}/],
    ['a{3,2}', 2, /smaller number first/],
    ['a{1000}', 2, /at most 256 times/],
    ['\\q', 1, /\\q has no meaning here/],
    ['\\x1', 1, /two hexadecimal digits/],
    ['é', 1, /only printable ASCII/],
    ['<port>', 1, /^$/],
    ['<Port:1-2>', 1, /a field begins like <port:1-65535>/],
    ['<port:1-2', 1, /this < is not closed/],
    ['<port:words>', 1, /"words" is no type of a field/],
    ['<port:9-1>', 1, /no range of numbers/],
    ['<port:0-4294967296>', 1, /no range of numbers/],
    ['<code=2x>', 8, /only digits stand in such a field/],
    ['<code=>', 1, /one to nine digits/],
    ['<port:1-2>*', 11, /a field cannot be repeated/],
  ])('%s: complains at character %i', (text, at, message) => {
    if (message.source === '^$') {
      // A delimiter that nothing sets is found when the automaton is made.
      expect(parsePattern(text, options)).toMatchObject({ parts: [{ kind: 'again', name: 'port' }] });
      return;
    }
    let thrown: unknown;
    try {
      parsePattern(text, options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(PatternError);
    expect((thrown as PatternError).message).toMatch(message);
    expect((thrown as PatternError).at + 1).toBe(at);
  });

  it('knows its fields', () => {
    const node = parsePattern('a<x:0-9>(<y:ipv4>|b)<z=\\d\\d><m:any of |!><v:u16>', options);
    expect(fieldsOf(node).map(({ name, type }) => `${name} ${type.kind}`)).toEqual([
      'x decimal',
      'y ipv4',
      'z digits',
      'm delimiter',
      'v binary',
    ]);
  });
});

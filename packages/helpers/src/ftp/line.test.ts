// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { LINE_LIMIT, LineReader, SUBNEGOTIATION_LIMIT, type Line } from './line.js';
import { unescaped } from '../script.js';

function read(reader: LineReader, ...chunks: Uint8Array[]): Line[] {
  const lines: Line[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let line = reader.next(); line !== null; line = reader.next()) lines.push(line);
  }
  return lines;
}

describe('lines', () => {
  it.each([
    ['CRLF, LF, CR CR LF', 'a\\r\\nb\\nc\\r\\r\\n', ['a', 'b', 'c']],
    ['a lone CR', 'a\\rb\\r\\n', ['a\rb']],
    ['CR NUL', 'a\\r\\x00b\\r\\n', ['a\rb']],
    ['NUL at the beginning', '\\x00\\x00a\\r\\n', ['a']],
    ['NUL elsewhere', 'a\\x00b\\r\\n', ['a\0b']],
    ['empty lines', '\\r\\n\\n', ['', '']],
    ['bytes over 127', 'caf\\xc3\\xa9\\n', ['caf\xc3\xa9']],
    ['IAC IAC', 'a\\xff\\xffb\\n', ['a\xffb']],
    ['negotiation', 'a\\xff\\xfb\\x01\\xff\\xfc\\x03\\xff\\xfd\\x0a\\xff\\xfe\\x0db\\n', ['ab']],
    ['IP and data mark', '\\xff\\xf4\\xff\\xf2ABOR\\r\\n', ['ABOR']],
    ['subnegotiation', 'a\\xff\\xfa\\x18\\x00x\\xff\\xff\\ny\\xff\\xf0b\\n', ['ab']],
    ['IAC before what is no command', 'a\\xffb\\xff\\nc\\n', ['a\xffb\xff', 'c']],
  ])('%s', (_, bytes, expected) => {
    const whole = unescaped(bytes);
    expect(read(new LineReader(), whole).map(({ text }) => text)).toEqual(expected);
    const single = Array.from(whole, (byte) => Uint8Array.of(byte));
    expect(read(new LineReader(), ...single)).toEqual(read(new LineReader(), whole));
  });

  it('have the offsets of their raw bytes', () => {
    const lines = read(new LineReader(), unescaped('\\xff\\xf1a\\r\\n\\x00b'), unescaped('\\xff\\xffc\\n'));
    expect(lines.map(({ start, end }) => [start, end])).toEqual([
      [0, 5],
      [5, 11],
    ]);
  });

  it('keep a limited beginning', () => {
    const reader = new LineReader();
    for (let index = 0; index < 100; index++) {
      expect(read(reader, Buffer.alloc(1000, 'x'))).toEqual([]);
      expect(reader.buffered).toBeLessThanOrEqual(LINE_LIMIT);
    }
    const [long, next] = read(reader, Buffer.from('\r\nshort\n'));
    expect(long).toEqual({ text: 'x'.repeat(LINE_LIMIT), start: 0, end: 100_002, truncated: true });
    expect(next).toEqual({ text: 'short', start: 100_002, end: 100_008, truncated: false });
    expect(reader.buffered).toBeLessThanOrEqual(128);
  });

  it('are not truncated at the limit itself', () => {
    const [line] = read(new LineReader(), Buffer.from(`${'x'.repeat(LINE_LIMIT)}\n`));
    expect(line?.truncated).toBe(false);
  });

  it('go on after a subnegotiation that does not end', () => {
    const reader = new LineReader();
    const endless = Buffer.concat([unescaped('a\\xff\\xfa'), Buffer.alloc(SUBNEGOTIATION_LIMIT + 1, 'z')]);
    expect(read(reader, endless, Buffer.from('b\nc\n'))).toMatchObject([
      { text: 'ab', truncated: true },
      { text: 'c', truncated: false },
    ]);
  });
});

describe('resume', () => {
  it('skips the rest of a line', () => {
    const reader = new LineReader();
    read(reader, Buffer.from('begun'));
    reader.resume({ offset: 100, lineStart: false });
    expect(read(reader, Buffer.from('rest\n'), Buffer.from('new\n'))).toEqual([
      { text: 'new', start: 105, end: 109, truncated: false },
    ]);
  });

  it('goes on at a line start', () => {
    const reader = new LineReader();
    read(reader, unescaped('begun\\xff'));
    reader.resume();
    expect(read(reader, Buffer.from('new\n'))).toMatchObject([{ text: 'new', start: 6, end: 10 }]);
  });
});

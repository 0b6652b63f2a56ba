// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineCutter, type TextLine } from './lineCutter.js';

const LIMIT = 16;

function read(cutter: LineCutter, ...chunks: (string | Uint8Array)[]): TextLine[] {
  const lines: TextLine[] = [];
  for (const chunk of chunks) {
    cutter.push(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk);
    for (let line = cutter.next(); line !== null; line = cutter.next()) lines.push(line);
  }
  return lines;
}

const texts = (...chunks: string[]): string[] => read(new LineCutter(LIMIT), ...chunks).map(({ text }) => text);

describe('lines', () => {
  it.each<[string, string, string[]]>([
    ['CRLF, LF, CR CR LF', 'a\r\nb\nc\r\r\n', ['a', 'b', 'c']],
    ['a lone CR', 'a\rb\r\n\rc\n', ['a\rb', '\rc']],
    ['empty lines', '\r\n\n\r\r\n', ['', '', '']],
    ['bytes over 127', 'caf\xc3\xa9\xff\n', ['caf\xc3\xa9\xff']],
    ['NUL', '\0a\0\n', ['\0a\0']],
    ['what has no end yet', 'a\nb', ['a']],
  ])('%s', (_, bytes, expected) => {
    expect(texts(bytes)).toEqual(expected);
    expect(texts(...Array.from(bytes))).toEqual(expected);
  });

  it('have the offsets of their raw bytes', () => {
    expect(read(new LineCutter(LIMIT), 'a\r\n\r', '\nb', 'c\r\r\n')).toMatchObject([
      { text: 'a', start: 0, end: 3 },
      { text: '', start: 3, end: 5 },
      { text: 'bc', start: 5, end: 10 },
    ]);
  });

  it('keep a limited beginning', () => {
    const cutter = new LineCutter(LIMIT);
    for (let index = 0; index < 100; index++) {
      expect(read(cutter, 'x'.repeat(50))).toEqual([]);
      expect(cutter.buffered).toBeLessThanOrEqual(LIMIT);
    }
    expect(read(cutter, '\r\nshort\n')).toMatchObject([
      { text: 'x'.repeat(LIMIT), start: 0, end: 5002, truncated: true },
      { text: 'short', start: 5002, end: 5008, truncated: false },
    ]);
  });

  it('are not truncated at the limit itself, whatever CRs end them', () => {
    const full = 'x'.repeat(LIMIT);
    expect(read(new LineCutter(LIMIT), `${full}\n${full}\r\r\r\n${full}\r.\n${'\r'.repeat(99)}\n`)).toMatchObject([
      { text: full, truncated: false },
      { text: full, truncated: false },
      { text: full, truncated: true },
      { text: '', truncated: false },
    ]);
  });

  it('tell of a NUL, also behind what is kept', () => {
    expect(read(new LineCutter(LIMIT), `a\0\na\n${'x'.repeat(99)}\0\n`).map(({ nul }) => nul)).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('are known by their first byte before they are complete', () => {
    const cutter = new LineCutter(LIMIT);
    const first = (chunk: string): number => {
      read(cutter, chunk);
      return cutter.firstByte;
    };
    expect(first('')).toBe(-1);
    expect(first('\r')).toBe(0x0d);
    expect(first('a')).toBe(0x0d);
    expect(first('\n')).toBe(-1);
    expect(first('\0b')).toBe(0);
    expect(first('\r\nx')).toBe(0x78);
  });
});

describe('resume', () => {
  it('skips the rest of a line', () => {
    const cutter = new LineCutter(LIMIT);
    read(cutter, 'begun\0');
    cutter.resume({ offset: 100, lineStart: false });
    expect(read(cutter, 're', 'st\n', 'new\n')).toEqual([
      { text: 'new', start: 105, end: 109, truncated: false, nul: false },
    ]);
  });

  it('goes on at a line start', () => {
    const cutter = new LineCutter(LIMIT);
    read(cutter, 'begun\r');
    cutter.resume();
    expect(read(cutter, 'new\n')).toMatchObject([{ text: 'new', start: 6, end: 10 }]);
  });
});

it('segmentation changes nothing', () => {
  const special = fc.constantFrom(0, 10, 13, 13, 0x61);
  fc.assert(
    fc.property(fc.array(special, { maxLength: 80 }), fc.nat(80), (bytes, place) => {
      const whole = Uint8Array.from(bytes);
      const lines = read(new LineCutter(LIMIT), whole);
      expect(read(new LineCutter(LIMIT), whole.subarray(0, place), whole.subarray(place))).toEqual(lines);
      expect(read(new LineCutter(LIMIT), ...Array.from(whole, (byte) => Uint8Array.of(byte)))).toEqual(lines);
      expect(lines.map(({ text }) => text)).toEqual(
        Buffer.from(whole)
          .toString('latin1')
          .split('\n')
          .slice(0, -1)
          .map((line) => line.replace(/\r+$/, '').slice(0, LIMIT)),
      );
    }),
    { numRuns: 500 },
  );
});

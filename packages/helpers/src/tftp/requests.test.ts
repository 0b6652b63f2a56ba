// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { summary, unescaped } from '../script.js';
import { tftp } from './index.js';
import { REQUEST_LIMIT } from './request.js';

const RRQ = '\\x00\\x01';
const WRQ = '\\x00\\x02';

function read(datagram: Uint8Array): string[] {
  return tftp.create().feed('original', datagram).map(summary);
}

/** A request with a file name that makes it so many bytes long. */
function sized(length: number): Uint8Array {
  const mode = '\0octet\0';
  return Buffer.from(`\0\x01${'f'.repeat(length - 2 - mode.length)}${mode}`, 'latin1');
}

describe('requests', () => {
  it.each<[string, string, string]>([
    ['RRQ', `${RRQ}file\\x00octet\\x00`, '-,RRQ,file'],
    ['WRQ', `${WRQ}file\\x00netascii\\x00`, '-,WRQ,file'],
    ['mail', `${WRQ}someone\\x00mail\\x00`, '-,WRQ,someone'],
    ['a mode in any case', `${RRQ}file\\x00OcTeT\\x00`, '-,RRQ,file'],
    ['the shortest', `${RRQ}f\\x00mail\\x00`, '-,RRQ,f'],
    ['a file name with everything in it', `${RRQ}/a b\\\\c\\r\\n\\xc3\\xa9\\x00octet\\x00`, '-,RRQ,/a b\\c\\x0d\\x0aé'],
    ['an option', `${RRQ}file\\x00octet\\x00blksize\\x001428\\x00`, '-,RRQ,file'],
    ['options', `${RRQ}file\\x00octet\\x00tsize\\x000\\x00timeout\\x006\\x00`, '-,RRQ,file'],
    ['an option without value', `${RRQ}file\\x00octet\\x00multicast\\x00\\x00`, '-,RRQ,file'],
    ['options without values', `${RRQ}file\\x00octet\\x00a\\x00\\x00b\\x00\\x00`, '-,RRQ,file'],
  ])('%s', (_, datagram, detail) => {
    expect(read(unescaped(datagram))).toEqual([`announce original - own own ${detail}`]);
  });

  it('announce the client, for the server', () => {
    const datagram = unescaped(`${RRQ}file\\x00octet\\x00`);
    expect(tftp.create().feed('original', datagram)).toEqual([
      {
        kind: 'announce',
        direction: 'original',
        start: 0,
        end: datagram.length,
        protocol: 'udp',
        family: null,
        address: null,
        port: null,
        from: 'peer',
        detail: { user: null, command: 'RRQ', argument: 'file' },
      },
    ]);
  });

  it('may be sent again, and be for something else', () => {
    const parser = tftp.create();
    const datagrams = [`${RRQ}a\\x00octet\\x00`, `${RRQ}a\\x00octet\\x00`, `${WRQ}b\\x00octet\\x00`].map(unescaped);
    expect(datagrams.flatMap((datagram) => parser.feed('original', datagram)).map(summary)).toEqual([
      'announce original - own own -,RRQ,a',
      'announce original - own own -,RRQ,a',
      'announce original - own own -,WRQ,b',
    ]);
  });

  it('have at most 512 bytes', () => {
    expect(read(sized(REQUEST_LIMIT))).toHaveLength(1);
    expect(read(sized(REQUEST_LIMIT))[0]).toMatch(/^announce/);
    expect(read(sized(REQUEST_LIMIT + 1))).toEqual(['refuse original line-too-long']);
    expect(read(Buffer.concat([unescaped(RRQ), Buffer.alloc(REQUEST_LIMIT)]))).toEqual([
      'refuse original line-too-long',
    ]);
    expect(read(Buffer.alloc(REQUEST_LIMIT + 1))).toEqual([]);
  });
});

describe('refused is', () => {
  it.each([
    ['an opcode alone', RRQ],
    ['a file name alone', `${RRQ}file`],
    ['a file name without mode', `${RRQ}file\\x00`],
    ['no file name', `${RRQ}\\x00octet\\x00`],
    ['a mode without end', `${RRQ}file\\x00octet`],
    ['an empty mode', `${RRQ}file\\x00\\x00`],
    ['an unknown mode', `${RRQ}file\\x00binary\\x00`],
    ['a mode with more behind it', `${RRQ}file\\x00octets\\x00`],
    ['one byte too many', `${RRQ}file\\x00octet\\x00\\x00`],
    ['an option without its value', `${RRQ}file\\x00octet\\x00blksize\\x00`],
    ['a value without end', `${RRQ}file\\x00octet\\x00blksize\\x00512`],
    ['an option without name', `${RRQ}file\\x00octet\\x00\\x00512\\x00`],
    ['a second option without name', `${RRQ}file\\x00octet\\x00a\\x001\\x00\\x00\\x00`],
    ['garbage', `${WRQ}\\xff\\xfe`],
  ])('%s', (_, datagram) => {
    expect(read(unescaped(datagram))).toEqual(['refuse original bad-syntax']);
  });

  it('what is shown with it', () => {
    expect(tftp.create().feed('original', unescaped(`${WRQ}file\\x00binary\\x00`))).toEqual([
      { kind: 'refuse', direction: 'original', start: 0, end: 14, reason: 'bad-syntax', text: 'file\\x00binary\\x00' },
    ]);
  });
});

describe('nothing comes of', () => {
  it.each([
    ['an empty datagram', ''],
    ['one byte', '\\x00'],
    ['DATA', '\\x00\\x03\\x00\\x01data'],
    ['ACK', '\\x00\\x04\\x00\\x00'],
    ['ERROR', '\\x00\\x05\\x00\\x01no\\x00'],
    ['OACK', '\\x00\\x06blksize\\x00512\\x00'],
    ['opcode 0', '\\x00\\x00file\\x00octet\\x00'],
    ['an opcode in the other order', '\\x01\\x00file\\x00octet\\x00'],
    ['another protocol', 'GET / HTTP/1.1\\r\\n\\r\\n'],
  ])('%s', (_, datagram) => {
    const parser = tftp.create();
    expect(parser.feed('original', unescaped(datagram))).toEqual([]);
    expect(parser.recognised).toBe(false);
  });

  it('a request from the server', () => {
    const parser = tftp.create();
    expect(parser.feed('reply', unescaped(`${RRQ}file\\x00octet\\x00`))).toEqual([]);
    expect(parser.feed('reply', unescaped(RRQ))).toEqual([]);
    expect(parser.recognised).toBe(false);
  });
});

it('is recognised by a well-formed request', () => {
  const parser = tftp.create();
  parser.feed('original', unescaped(RRQ));
  expect(parser.recognised).toBe(false);
  parser.feed('original', unescaped(`${RRQ}file\\x00octet\\x00`));
  expect(parser.recognised).toBe(true);
  parser.resync('original');
  parser.feed('original', unescaped(RRQ));
  expect(parser.recognised).toBe(true);
  expect(tftp.create({ adopted: true }).recognised).toBe(true);
});

describe('any datagram', () => {
  const opcode = fc.constantFrom([0, 1], [0, 2], [0, 1], [0, 3], [1, 0]);
  const field = fc.oneof(fc.constantFrom('octet', 'NETASCII', 'mail', '', 'blksize'), fc.string({ maxLength: 8 }));
  const fields = fc
    .array(field, { maxLength: 6 })
    .map((list) => [...Buffer.from(list.map((text) => `${text}\0`).join(''))]);
  const datagram = fc
    .tuple(opcode, fc.oneof(fields, fc.array(fc.nat(255), { maxLength: 40 })))
    .map(([first, rest]) => Uint8Array.from([...first, ...rest]));

  it('is read as the grammar says', () => {
    const grammar = /^\0[\x01\x02][^\0]+\0(?:netascii|octet|mail)\0(?:[^\0]+\0[^\0]*\0)*$/i; // eslint-disable-line no-control-regex
    fc.assert(
      fc.property(datagram, (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        const request = bytes[0] === 0 && (bytes[1] === 1 || bytes[1] === 2);
        const kinds = tftp
          .create()
          .feed('original', bytes)
          .map(({ kind }) => kind);
        expect(kinds).toEqual(request ? [grammar.test(text) ? 'announce' : 'refuse'] : []);
        expect(tftp.create().feed('reply', bytes)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('of random bytes announces nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(
          tftp
            .create()
            .feed('original', bytes)
            .filter(({ kind }) => kind === 'announce'),
        ).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('means the same whatever came before it', () => {
    fc.assert(
      fc.property(fc.array(datagram, { maxLength: 10 }), datagram, (before, bytes) => {
        const parser = tftp.create();
        for (const one of before) parser.feed('original', one);
        expect(parser.feed('original', bytes)).toEqual(tftp.create().feed('original', bytes));
      }),
    );
  });
});

// SPDX-License-Identifier: Apache-2.0
import { formatAddress, parseAddress } from '@relatd/model';
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dialogue, facts, segments, unescaped, type Segment } from '../script.js';
import type { Fact } from '../helper.js';
import { LineCutter } from '../lineCutter.js';
import { LINE_LIMIT } from './dialogue.js';
import { irc } from './index.js';

const directory = join(import.meta.dirname, 'captures');
const recordings = readdirSync(directory)
  .filter((name) => name.endsWith('.txt'))
  .map((name) => segments(readFileSync(join(directory, name), 'utf8')));

/** Pieces of dialogues and of attacks, whole lines and parts of them, bytes that are no text. */
const PIECES = [
  'NICK alice\\r\\n|USER a 0 * :b\\n|CAP LS 302\\r\\n|STARTTLS\\r\\n|JOIN :\\r\\n|QUIT\\n|GET / HTTP/1.1\\r\\n|Host: x\\r\\n',
  ':x 001 alice :hi\\r\\n|:x 670 a :go\\n|:x 433 * a :no\\r\\n|PING :1\\r\\n|NOTICE * :x\\n|@t=1 :x 001 a\\n|CAP * LS :tls\\r\\n|220 x\\r\\n',
  'PRIVMSG bob :\\x01DCC SEND a 167772161 5000 9\\x01\\r\\n|notice bob \\x01dcc chat chat ::1 5000\\n|:a PRIVMSG b :\\x01DCC RESUME a 5000 1\\x01\\n',
  'PRIVMSG bob :|\\x01DCC |SEND |TSEND |"a b" |a |167772161 |fd77::1 |5000|65536|0 |\\x01|4294967296 |PRIV|MSG bob :\\x01D|CC ',
  '@a=b |:alice |NOTICE |x|\\r|\\n|\\r\\n| |:|"|1|\\x00|\\xff|\\xc3\\xa9|\\x16\\x03\\x01|',
].flatMap((list) => list.split('|'));

const piece = fc.constantFrom(...PIECES).map(unescaped);
const noise = fc.uint8Array({ maxLength: 40 });
const chunk = fc.oneof({ weight: 8, arbitrary: piece }, { weight: 1, arbitrary: noise });
const side = fc.constantFrom('original' as const, 'original' as const, 'reply' as const);
const soup: fc.Arbitrary<Segment[]> = fc.array(fc.record({ direction: side, bytes: chunk }), { maxLength: 60 });
const login = dialogue(['C: NICK alice', 'C: USER a 0 * :b', 'S: :x 001 alice :hi']);

/** Cuts every segment at the given places, modulo its length; order is kept. */
function cut(dialogue: readonly Segment[], places: readonly number[]): Segment[] {
  let index = 0;
  return dialogue.flatMap(({ direction, bytes }) => {
    const pieces: Segment[] = [];
    let start = 0;
    while (start < bytes.length) {
      const length = 1 + ((places[index++ % places.length] ?? 0) % (bytes.length - start));
      pieces.push({ direction, bytes: bytes.subarray(start, start + length) });
      start += length;
    }
    return pieces;
  });
}

/** Puts neighbours of the same direction together, as a receiver's offload does. */
function joined(dialogue: readonly Segment[]): Segment[] {
  const out: Segment[] = [];
  for (const segment of dialogue) {
    const last = out.at(-1);
    if (last?.direction !== segment.direction) out.push(segment);
    else out[out.length - 1] = { ...last, bytes: Buffer.concat([last.bytes, segment.bytes]) };
  }
  return out;
}

const read = (bytes: readonly Segment[]): Fact[] => facts(bytes, irc.create());
const opened = (found: readonly Fact[]) => found.filter((fact) => fact.kind === 'announce');

describe('segmentation', () => {
  const places = fc.array(fc.nat(30), { minLength: 1, maxLength: 20 });

  it('changes nothing in recorded dialogues', () => {
    fc.assert(
      fc.property(fc.constantFrom(...recordings), places, (recording, cuts) => {
        expect(read(cut(recording, cuts))).toEqual(read(recording));
        expect(read(joined(recording))).toEqual(read(recording));
      }),
    );
    for (const recording of recordings) expect(read(cut(recording, [0]))).toEqual(read(recording));
  });

  it('changes nothing in any bytes', () => {
    fc.assert(
      fc.property(soup, places, fc.boolean(), (bytes, cuts, trusted) => {
        const all = trusted ? [...login, ...bytes] : bytes;
        expect(read(cut(all, cuts))).toEqual(read(all));
        expect(read(cut(all, [0]))).toEqual(read(all));
        expect(read(joined(all))).toEqual(read(all));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('hostile bytes', () => {
  it('random ones announce nothing', () => {
    const random = fc.array(fc.record({ direction: side, bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }) }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(random, fc.constantFrom([], login.slice(0, 1), login), (bytes, before) => {
        expect(opened(read([...before, ...bytes]))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('pieces of dialogues announce nothing but what stands in them, in a dialogue that began as IRC', () => {
    fc.assert(
      fc.property(soup, fc.boolean(), (bytes, trusted) => {
        const all = trusted ? [...login, ...bytes] : bytes;
        const found = read(all);
        const stream = (direction: string): string =>
          Buffer.concat(all.filter((s) => s.direction === direction).map((s) => s.bytes)).toString('latin1');
        for (const fact of opened(found)) {
          expect(fact.direction).toBe('original');
          const line = stream('original').slice(fact.start, fact.end);
          expect(line.toLowerCase()).toContain('\x01dcc ');
          expect(line).toContain(String(fact.port));
          expect(line.indexOf('\n')).toBe(line.length - 1);
          expect(stream('reply')).toMatch(/:\S* +001/);
        }
        const last = found.findIndex(({ kind }) => kind === 'abandon' || kind === 'encrypted');
        if (last >= 0) expect(last).toBe(found.length - 1);
      }),
      { numRuns: 1000 },
    );
  });

  it('take bounded memory', () => {
    const cutter = new LineCutter(LINE_LIMIT);
    fc.assert(
      fc.property(
        fc.array(fc.oneof(chunk, fc.uint8Array({ minLength: 2000, maxLength: 9000 })), { maxLength: 20 }),
        (chunks) => {
          for (const bytes of chunks) {
            cutter.push(bytes);
            for (let line = cutter.next(); line !== null; line = cutter.next())
              expect(line.text.length).toBeLessThanOrEqual(LINE_LIMIT);
            expect(cutter.buffered).toBeLessThanOrEqual(LINE_LIMIT);
          }
        },
      ),
    );
  });

  it('may come with gaps', () => {
    fc.assert(
      fc.property(soup, fc.array(fc.boolean(), { minLength: 1 }), (bytes, gaps) => {
        const parser = irc.create();
        facts(login, parser);
        for (const [index, segment] of bytes.entries()) {
          if (gaps[index % gaps.length]) parser.resync(segment.direction, { lineStart: index % 3 !== 0 });
          parser.feed(segment.direction, segment.bytes);
        }
        expect(parser.recognised).toBe(true);
      }),
    );
  });
});

interface Step {
  readonly line: string;
  /** `host port name` of what it announces. */
  readonly announces: readonly string[];
}

const port = fc.integer({ min: 1, max: 65535 });
const word = fc.stringMatching(/^[!#-9;-~]{1,20}$/).map((text) => text.replaceAll('\\', '/'));
const spaces = fc.constantFrom(' ', ' ', '   ');
const address = fc.oneof(
  fc.ipV4().map((text) => ({
    host: text,
    text: String(text.split('.').reduce((number, part) => number * 256 + Number(part), 0)),
  })),
  fc.ipV6().map((text) => ({ host: formatAddress(parseAddress(text) ?? new Uint8Array(16)), text })),
);
const anyCase = (text: string) => fc.constantFrom(text, text.toLowerCase());

const offer: fc.Arbitrary<Step> = fc
  .record({
    head: fc.constantFrom('', '@a=b ', ':alice!a@b  ', '@a :alice '),
    verb: fc.oneof(anyCase('PRIVMSG'), anyCase('NOTICE')),
    type: fc.oneof(anyCase('SEND'), anyCase('TSEND')),
    colon: fc.constantFrom(':', ''),
    name: fc.oneof(
      word.map((text) => [text, text] as const),
      fc.tuple(word, word).map(([one, two]) => [`"${one} ${two}"`, `${one} ${two}`] as const),
    ),
    address,
    port,
    target: word,
    s: spaces,
    tail: fc.constantFrom('', '\\x01', ' 1234\\x01', ' ', '\\x01 more'),
  })
  .map(({ head, verb, type, colon, name, address, port, target, s, tail }) => ({
    line: `${head}${verb}${s}${target}${s}${colon}\\x01DCC${s}${type}${s}${name[0]}${s}${address.text}${s}${String(port)}${tail}`,
    announces: [`${address.host} ${String(port)} ${name[1]}`],
  }));

const step: fc.Arbitrary<Step> = fc.oneof(
  offer,
  offer,
  // Garbage, from here on.
  offer.map(({ line }) => ({ line: `TOPIC${line}`, announces: [] })),
  offer.map(({ line }) => ({ line: line.replace('\\x01DCC', 'x\\x01DCC'), announces: [] })),
  offer.map(({ line }) => ({ line: `${line}\\x00`, announces: [] })),
  offer.map(({ line }) => ({ line: `${line} ${'x'.repeat(LINE_LIMIT)}`, announces: [] })),
  offer.map(({ line }) => ({ line: `PRIVMSG bob :hello\\r${line}`, announces: [] })),
  word.map((text) => ({ line: `PRIVMSG bob :${text}`, announces: [] })),
);

it('valid dialogues with garbage between give exactly their announcements', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), fc.array(fc.nat(300), { minLength: 1 }), (steps, cuts) => {
      const all = [...login, ...dialogue(steps.flatMap(({ line }) => [`C: ${line}`, `S: ${line}`]))];
      const found = opened(read(cut(all, cuts))).map(
        ({ address, port, detail }) =>
          `${address === null ? 'own' : formatAddress(address)} ${String(port)} ${String(detail?.['argument'])}`,
      );
      expect(found).toEqual(steps.flatMap(({ announces }) => announces));
    }),
    { numRuns: 300 },
  );
});

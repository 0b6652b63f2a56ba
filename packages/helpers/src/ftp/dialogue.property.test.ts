// SPDX-License-Identifier: Apache-2.0
import { formatAddress } from '@relatd/model';
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Fact } from '../helper.js';
import { Dialogue } from './dialogue.js';
import { LINE_LIMIT, LineReader, type Line } from './line.js';
import { dialogue, facts, segments, type Segment } from '../script.js';

const directory = join(import.meta.dirname, 'captures');
const recordings = readdirSync(directory)
  .filter((name) => name.endsWith('.txt'))
  .map((name) => segments(readFileSync(join(directory, name), 'utf8')));

/** Pieces of dialogues and of attacks, whole lines and parts of them, Telnet commands, bytes that are no text. */
const PIECES = [
  '220 x\\r\\n|220-x\\r\\n|120 x\\n|230 x\\r\\n|331 x\\r\\n|200 x\\r\\n|500 x\\r\\n|226 x\\r\\n|211-x\\r\\n|211 x\\r\\n|150 x\\n|234 x\\r\\n|421 x\\n',
  '227 =10,0,0,1,4,1\\r\\n|229 (!!!5000!)\\r\\n|227 x\\n|227-|229 |(|,|10,0,0,1,4,1|\\r|\\n|\\r\\n| |-|2|7|',
  'USER a\\r\\n|PASS b\\r\\n|PASV\\r\\n|EPSV\\n|EPSV ALL\\n|PORT 10,0,0,1,4,1\\r\\n|EPRT !1!10.0.0.1!5000!\\r\\n|EPRT !2!::1!5000!\\n|PO|RT |P',
  'RETR f\\r\\n|LIST\\n|ABOR\\r\\n|AUTH TLS\\r\\n|REIN\\n|NOOP\\r\\n|GET / HTTP/1.1\\r\\n|Host: x\\r\\n',
  '\\x00|\\xff|\\xff\\xff|\\xff\\xf4|\\xff\\xf2|\\xff\\xfb\\x01|\\xff\\xfa|\\xff\\xf0|\\x16\\x03\\x01|\\xc3\\xa9',
].flatMap((list) => list.split('|'));

const noise = fc.uint8Array({ maxLength: 40 });
const piece = fc.constantFrom(...PIECES).map((text) => segments(`C: ${text}`)[0]?.bytes ?? new Uint8Array());
const chunk = fc.oneof({ weight: 8, arbitrary: piece }, { weight: 1, arbitrary: noise });
const soup: fc.Arbitrary<Segment[]> = fc.array(
  fc.record({ direction: fc.constantFrom('original' as const, 'reply' as const), bytes: chunk }),
  { maxLength: 60 },
);
const login = dialogue(['S: 220 ready', 'C: USER alice', 'S: 331 go on', 'C: PASS x', 'S: 230 in']);

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

const opened = (found: readonly Fact[]) => found.filter((fact) => fact.kind === 'announce');

describe('segmentation', () => {
  const places = fc.array(fc.nat(30), { minLength: 1, maxLength: 20 });

  it('changes nothing in recorded dialogues', () => {
    fc.assert(
      fc.property(fc.constantFrom(...recordings), places, (recording, cuts) => {
        expect(facts(cut(recording, cuts))).toEqual(facts(recording));
        expect(facts(joined(recording))).toEqual(facts(recording));
      }),
    );
    for (const recording of recordings) expect(facts(cut(recording, [0]))).toEqual(facts(recording));
  });

  it('changes nothing in any bytes', () => {
    fc.assert(
      fc.property(soup, places, fc.boolean(), (bytes, cuts, trusted) => {
        const all = trusted ? [...login, ...bytes] : bytes;
        expect(facts(cut(all, cuts))).toEqual(facts(all));
        expect(facts(cut(all, [0]))).toEqual(facts(all));
        expect(facts(joined(all))).toEqual(facts(all));
      }),
      { numRuns: 500 },
    );
  });
});

it('segmentation changes nothing in lines of Telnet commands, NUL and CR', () => {
  const special = fc.constantFrom(0, 10, 13, 0x61, 240, 241, 250, 251, 255);
  const read = (chunks: readonly Uint8Array[]): Line[] => {
    const reader = new LineReader();
    const lines: Line[] = [];
    for (const bytes of chunks) {
      reader.push(bytes);
      for (let line = reader.next(); line !== null; line = reader.next()) lines.push(line);
    }
    return lines;
  };
  fc.assert(
    fc.property(fc.array(special, { maxLength: 40 }), fc.nat(40), (bytes, place) => {
      const whole = Uint8Array.from(bytes);
      const lines = read([whole]);
      expect(read([whole.subarray(0, place), whole.subarray(place)])).toEqual(lines);
      expect(read(Array.from(whole, (byte) => Uint8Array.of(byte)))).toEqual(lines);
    }),
    { numRuns: 500 },
  );
});

describe('hostile bytes', () => {
  it('random ones announce nothing', () => {
    const random = fc.array(
      fc.record({
        direction: fc.constantFrom('original' as const, 'reply' as const),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }),
      }),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(random, fc.constantFrom([], login.slice(0, 1), login), (bytes, before) => {
        expect(opened(facts([...before, ...bytes]))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('pieces of dialogues announce nothing but what stands in them, in a dialogue that began as FTP', () => {
    fc.assert(
      fc.property(soup, fc.boolean(), (bytes, trusted) => {
        const all = trusted ? [...login, ...bytes] : bytes;
        const found = facts(all);
        for (const fact of opened(found)) {
          expect(fact.port).toBeOneOf([1025, 5000]);
          const stream = Buffer.concat(all.filter((s) => s.direction === fact.direction).map((s) => s.bytes));
          const line = stream.subarray(fact.start, fact.end).toString('latin1');
          expect(line).toMatch(fact.direction === 'original' ? /P.*O.*R.*T|E.*P.*R.*T/s : /2.*2.*[79]/s);
          expect(line.endsWith('\n')).toBe(true);
        }
        if (!trusted && opened(found).length > 0) expect(all.find((s) => s.bytes.length > 0)?.direction).toBe('reply');
        const last = found.findIndex(({ kind }) => kind === 'abandon' || kind === 'encrypted');
        if (last >= 0) expect(last).toBe(found.length - 1);
      }),
      { numRuns: 500 },
    );
  });

  it('take bounded memory', () => {
    const reader = new LineReader();
    fc.assert(
      fc.property(
        fc.array(fc.oneof(chunk, fc.uint8Array({ minLength: 500, maxLength: 2000 })), { maxLength: 20 }),
        (chunks) => {
          for (const bytes of chunks) {
            reader.push(bytes);
            for (let line = reader.next(); line !== null; line = reader.next()) {
              expect(line.text.length).toBeLessThanOrEqual(LINE_LIMIT);
            }
            expect(reader.buffered).toBeLessThanOrEqual(LINE_LIMIT);
          }
        },
      ),
    );
  });

  it('may come with gaps', () => {
    fc.assert(
      fc.property(soup, fc.array(fc.boolean(), { minLength: 1 }), (bytes, gaps) => {
        const parser = new Dialogue();
        facts(login, parser);
        for (const [index, segment] of bytes.entries()) {
          if (gaps[index % gaps.length]) parser.resync(segment.direction, { lineStart: index % 3 !== 0 });
          parser.feed(segment.direction, segment.bytes);
        }
      }),
    );
  });
});

interface Step {
  readonly lines: readonly string[];
  /** `host port` of what it announces. */
  readonly announces: readonly string[];
}

const port = fc.integer({ min: 1, max: 65535 });
const numbers = (value: number): string => `10,0,0,1,${String(value >> 8)},${String(value & 255)}`;
const word = fc.stringMatching(/^[ -~]{0,30}$/).map((text) => text.replaceAll('\\', '/'));
/** Text that a server repeats: at the beginning of lines, where it hurts most. */
const bait = fc.oneof(
  word,
  port.map((value) => `227 Entering Passive Mode (${numbers(value)})`),
  port.map((value) => `229 (|||${String(value)}|)`),
);
const upperOrLower = (verb: string) => fc.constantFrom(verb, verb.toLowerCase());

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ verb: upperOrLower('PORT'), port }).map(({ verb, port }) => ({
    lines: [`C: ${verb} ${numbers(port)}`, 'S: 200 ok'],
    announces: [`10.0.0.1 ${String(port)}`],
  })),
  fc.record({ verb: upperOrLower('EPRT'), port, mark: fc.constantFrom('|', '!', '#') }).map(({ verb, port, mark }) => ({
    lines: [`C: ${verb} ${['', '2', 'fd77::2', String(port), ''].join(mark)}`, 'S: 200 ok'],
    announces: [`fd77::2 ${String(port)}`],
  })),
  fc.record({ verb: upperOrLower('PASV'), port }).map(({ verb, port }) => ({
    lines: [`C: ${verb}`, `S: 227 Entering (${numbers(port)})`],
    announces: [`10.0.0.1 ${String(port)}`],
  })),
  fc.record({ verb: upperOrLower('EPSV'), port }).map(({ verb, port }) => ({
    lines: [`C: ${verb}`, `S: 229 Entering (|||${String(port)}|)`],
    announces: [`own ${String(port)}`],
  })),
  word.map((name) => ({ lines: [`C: RETR ${name}`, `S: 150 Opening ${name}`, 'S: 226 done'], announces: [] })),
  word.map((name) => ({ lines: [`C: RETR ${name}`, `S: 550 ${name}: no such file`], announces: [] })),
  fc.constant({
    lines: ['C: RETR a', 'S: 150 go', 'C: \\xff\\xf4\\xff\\xf2ABOR', 'S: 426 cut', 'S: 226 ok'],
    announces: [],
  }),
  // Garbage, from here on.
  fc.array(bait, { maxLength: 5 }).map((texts) => ({
    lines: [
      'C: STAT',
      'S: 213-Status',
      ...texts.filter((text) => !text.startsWith('213')).map((text) => `S: ${text}`),
      'S: 213 End',
    ],
    announces: [],
  })),
  bait.map((text) => ({ lines: [`C: SITE ${text}`, `S: 500 ${text}`], announces: [] })),
  bait.map((text) => ({ lines: [`S: ${text.replace(/^[1-6]\d\d/, '227')}`], announces: [] })),
  port.map((value) => ({ lines: [`C: PASV`, `S: 500 no`, `S: 227 (${numbers(value)})`], announces: [] })),
  port.map((value) => ({ lines: [`C: XPORT ${numbers(value)}`, 'S: 500 no'], announces: [] })),
  port.map((value) => ({
    lines: [`C: RETR ${'x'.repeat(LINE_LIMIT)}\\rPORT ${numbers(value)}`, 'S: 550 no'],
    announces: [],
  })),
  fc.constantFrom('PORT 1,2,3', 'PORT 256,1,1,1,1,1', 'PORT 1,1,1,1,0,0', 'EPRT |3|x|1|', 'EPRT').map((line) => ({
    lines: [`C: ${line}`, 'S: 501 no'],
    announces: [],
  })),
);

it('valid dialogues with garbage between give exactly their announcements', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), fc.array(fc.nat(30), { minLength: 1 }), (steps, cuts) => {
      const all = [...login, ...dialogue(steps.flatMap(({ lines }) => lines))];
      const found = opened(facts(cut(all, cuts))).map(
        ({ address, port }) => `${address === null ? 'own' : formatAddress(address)} ${String(port)}`,
      );
      expect(found).toEqual(steps.flatMap(({ announces }) => announces));
    }),
    { numRuns: 300 },
  );
});

// SPDX-License-Identifier: Apache-2.0
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { testContext } from '../testing.js';
import { firstChoices, type Choices } from './choices.js';
import { fit } from './fit.js';
import { rowsOf } from './rows.js';
import { busy, crowd, later, status } from './samples.js';
import { sessionsOf, type Snapshot } from './sessions.js';
import { linesOf, type Picture } from './view.js';

const plain = testContext({ terminal: true }).stdout;
const coloured = testContext({ terminal: true, colour: true }).stdout;
let snapshot: Snapshot;

beforeAll(async () => {
  snapshot = await busy();
});

function picture(choices: Partial<Choices> = {}, more: Partial<Picture> = {}): Picture {
  const all = { ...firstChoices, ...choices };
  const now = more.snapshot ?? later(snapshot);
  const sessions = sessionsOf(now, snapshot);
  return { snapshot: now, sessions, rows: rowsOf(sessions, all), choices: all, scope: '', notice: null, ...more };
}

/** The screen as text; every line is as wide as can be, which is checked here and cut off. */
function screen(shown: Picture, columns: number, rows: number): string {
  const lines = linesOf(shown, { columns, rows }, plain);
  expect(lines.length).toBeLessThanOrEqual(rows);
  for (const line of lines) expect(fit(line, columns).trimEnd(), line).toBe(line.trimEnd());
  return `\n${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

test('80 columns have what one asks for first', () => {
  expect(screen(picture(), 80, 24)).toMatchInlineSnapshot(`
    "
    relatd  12:00:01  3 control  3 related  2 expected  1.0 MiB/s  up 3h12m
    by rate  rows 1-9 of 9  events lost: 1
     CONNECTION                         BYTES    BYTES/S    AGE DETAIL
    >- 10.77.1.2 > 10.77.2.2         25.1 MiB    1.0 MiB  3m11s alice RETR big.iso …
       ┄ 10.77.2.2:40093                    -          -   3.0s expected for 4m58s
       └ 10.77.2.2:40092             25.1 MiB    1.0 MiB  3m11s alice RETR big.iso
       └ 10.77.2.2:40092                940 B        0 B  3m11s closed alice RETR b…
       2001:db8::1 > 10.77.2.2        1.3 KiB        0 B  3m11s encrypted ftp-2121
     - 10.77.1.2 > 10.77.2.2          1.3 KiB        0 B    31s \\x1b[2Jbob\\u{202e} …
       ┄ 10.77.2.2:40093                    -          -   3.0s expected for 4m58s
     - #8, which is not listed       24.1 MiB        0 B  3m11s ftp-2121
       └ 10.77.2.2:40092             24.1 MiB        0 B  3m11s











    q quit  ? help  s sort  r reverse  / filter  p pause  space fold  c fold all
    "
  `);
});

test('40 columns have less, 200 have all', () => {
  expect(screen(picture(), 40, 10)).toMatchInlineSnapshot(`
    "
    relatd  12:00:01  3 control  3 related …
    by rate  rows 1-6 of 9  events lost: 1
     CONNECTION                      BYTES/S
    >- 10.77.1.2 > 10.77.2.2         1.0 MiB
       ┄ 10.77.2.2:40093                   -
       └ 10.77.2.2:40092             1.0 MiB
       └ 10.77.2.2:40092                 0 B
       2001:db8::1 > 10.77.2.2           0 B
     - 10.77.1.2 > 10.77.2.2             0 B
    q quit  ? help  s sort  r reverse  / fi…
    "
  `);
  expect(screen(picture(), 200, 14)).toMatchInlineSnapshot(`
    "
    relatd  12:00:01  3 control  3 related  2 expected  1.0 MiB/s  up 3h12m
    by rate  rows 1-9 of 9  events lost: 1
     CONNECTION                                                   ASSIGNMENT   STATE            BYTES    BYTES/S    AGE   IDLE DETAIL
    >- 10.77.1.2:28904 > 10.77.2.2:2121                           ftp-2121     established   25.1 MiB    1.0 MiB  3m11s   0.4s alice RETR big.iso
       ┄ 10.77.1.2:* > 10.77.2.2:40093                                         expected             -          -   3.0s      - for 4m58s
       └ 10.77.1.2:17364 > 10.77.2.2:40092                                     established   25.1 MiB    1.0 MiB  3m11s   0.4s alice RETR big.iso
       └ 10.77.1.2:17364 > 10.77.2.2:40092                                     closed           940 B        0 B  3m11s   8.0s alice RETR big.iso
       [2001:db8::1]:50000 > 10.77.2.2:2121                       ftp-2121     encrypted      1.3 KiB        0 B  3m11s  1m30s
     - 10.77.1.2:28904 > 10.77.2.2:2121                           chat         established    1.3 KiB        0 B    31s   0.4s \\x1b[2Jbob\\u{202e} SEND 漢字テスト漢字テスト漢字.txt
       ┄ *:* > 10.77.2.2:40093                                                 expected             -          -   3.0s      - for 4m58s
     - #8, which is not listed                                    ftp-2121                   24.1 MiB        0 B  3m11s   0.4s
       └ 10.77.1.2:17364 > 10.77.2.2:40092                                     established   24.1 MiB        0 B  3m11s   0.4s

    q quit  ? help  s sort  r reverse  / filter  p pause  space fold  c fold all
    "
  `);
});

test('what is chosen, what is restricted and what is wrong is said', async () => {
  const troubled = { ...snapshot, status: await status({ warnings: ['a', 'b'] }) };
  const choices = { paused: true, filter: 'al\x1b', reverse: true, typing: true };
  const notice = 'no daemon answers at \x1b[2J';
  expect(screen(picture(choices, { snapshot: troubled, scope: 'host 10.0.0.0/8', notice }), 100, 7))
    .toMatchInlineSnapshot(`
      "
      relatd  12:00:00  3 control  3 related  2 expected  up 3h12m
      PAUSED  by rate, reversed  only 'al\\x1b'  host 10.0.0.0/8  warnings: 2, see \`relatd status\`  events…
      no daemon answers at \\x1b[2J
       CONNECTION                                     BYTES    BYTES/S    AGE DETAIL
        nothing contains that text; escape shows all again

      /al\\x1b_  enter: keep  escape: all again
      "
    `);
});

test('help fits 80 columns and 24 rows', () => {
  const text = screen(picture({ help: true }), 80, 24);
  expect(text).not.toContain('…');
  expect(text).toContain('Any key goes back.');
});

test('any size will do', () => {
  for (const columns of [1, 5, 10, 20, 33, 54, 69, 79, 109, 300]) {
    for (const rows of [1, 2, 4, 5, 50]) {
      screen(picture(), columns, rows);
      screen(picture({ help: true }, { notice: 'x'.repeat(500) }), columns, rows);
    }
  }
});

test('colours are on top of the same text, and NO_COLOR is none', () => {
  const size = { columns: 80, rows: 24 };
  const [colour, none] = [linesOf(picture(), size, coloured), linesOf(picture(), size, plain)];
  expect(colour.map((line) => stripVTControlCharacters(line))).toEqual(none);
  expect(colour.join('')).toContain('\x1b[7m>');
  expect(none.join('')).not.toContain('\x1b');
});

describe('10,000 flows', () => {
  test('are on the screen, and only what is on it is drawn', async () => {
    const before = await crowd(10_000);
    const now = later(before);
    const sessions = sessionsOf(now, before);
    const rows = rowsOf(sessions, { ...firstChoices, sort: 'bytes' });
    expect(rows).toHaveLength(12_000);
    const choices = { ...firstChoices, top: 11_980 };
    const lines = linesOf(
      { snapshot: now, sessions, rows, choices, scope: '', notice: null },
      { columns: 80, rows: 24 },
      plain,
    );
    expect(lines).toHaveLength(24);
    expect(lines[1]).toContain('rows 11981-12000 of 12000');
    expect(rowsOf(sessions, { ...firstChoices, filter: '10.0.39.2:9999' })).toHaveLength(2);
  });
});

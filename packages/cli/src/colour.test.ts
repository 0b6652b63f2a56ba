// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { eventLine } from './colour.js';
import { outputOf } from './context.js';
import { tableText } from './table.js';
import { testContext } from './testing.js';
import { PassThrough } from 'node:stream';

const columns = [{ title: 'NAME' }, { title: 'SIZE', right: true }, { title: 'NOTE' }];
const rows = [
  ['a', '1', ''],
  ['long name', '1000', 'x'],
];

describe('tables', () => {
  test('are aligned text where no terminal is, one line each, no empty field', () => {
    expect(tableText(columns, rows, testContext().stdout)).toBe(
      'NAME       SIZE  NOTE\n' + 'a             1  -\n' + 'long name  1000  x',
    );
  });

  test('are drawn on a terminal, in colour only where colour is wanted', () => {
    const plain = tableText(columns, rows, testContext({ terminal: true }).stdout);
    expect(plain).toContain('│');
    expect(plain).not.toContain('\x1b');
    expect(tableText(columns, rows, testContext({ terminal: true, colour: true }).stdout)).toContain('\x1b');
  });

  test('of 200,000 rows do not overflow the stack', () => {
    const many = Array.from({ length: 200_000 }, (_, index) => ['x', String(index), 'y']);
    expect(tableText(columns, many, testContext().stdout).split('\n')).toHaveLength(200_001);
  });
});

test('colours are for terminals, and NO_COLOR forbids them there too', () => {
  const stream = new PassThrough();
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 132 });
  expect(outputOf(stream, {})).toMatchObject({ terminal: false, colour: false, columns: null });
  expect(outputOf(terminal, {})).toMatchObject({ terminal: true, colour: true, columns: 132 });
  expect(outputOf(terminal, { NO_COLOR: '1' })).toMatchObject({ terminal: true, colour: false });
  expect(outputOf(terminal, { NO_COLOR: '' })).toMatchObject({ colour: true });
  expect(outputOf(terminal, { TERM: 'dumb' })).toMatchObject({ colour: false });
});

test('an event is one line, coloured only where colour is wanted', () => {
  const event = { time: '2026-11-22T12:00:00.000Z', type: 'lost', count: 3 } as const;
  const plain = '2026-11-22T12:00:00.000Z lost                count=3';
  expect(eventLine(event, testContext().stdout)).toBe(plain);
  const coloured = eventLine(event, testContext({ terminal: true, colour: true }).stdout);
  expect(coloured).toBe(plain.replace('lost', '\x1b[31mlost\x1b[39m'));
});

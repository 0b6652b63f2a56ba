// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { ReplyReader } from './reply.js';

it.each([
  ['one line', ['220 hello'], [{ code: 220, text: 'hello' }]],
  ['no text', ['220', '221 '], [220, 221].map((code) => ({ code, text: '' }))],
  [
    'RFC 959, 4.2',
    ['123-First line', 'Second line', '  234 A line beginning with numbers', '123 The last line'],
    [null, null, null, { code: 123, text: 'The last line' }],
  ],
  ['the code on every line', ['230-a', '230-b', '230 c'], [null, null, { code: 230, text: 'c' }]],
  [
    'other codes within',
    ['211-Status', '227 Entering Passive Mode (10,0,0,1,4,1)', '229-x', '211 End'],
    [null, null, null, { code: 211, text: 'End' }],
  ],
  ['no reply', ['hello', '', '22 x', '2200 x', '220_x', '720 x', '020 x', ' 220 x'], Array(8).fill('text')],
])('%s', (_, lines, expected) => {
  const reader = new ReplyReader();
  expect(lines.map((line) => reader.read(line))).toEqual(expected);
  expect(reader.inside).toBe(false);
});

it('can leave a reply', () => {
  const reader = new ReplyReader();
  reader.read('211-Status');
  expect(reader.inside).toBe(true);
  reader.reset();
  expect(reader.read('200 ok')).toEqual({ code: 200, text: 'ok' });
});

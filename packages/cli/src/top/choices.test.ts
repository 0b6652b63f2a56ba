// SPDX-License-Identifier: Apache-2.0
import { beforeAll, describe, expect, test } from 'vitest';
import { firstChoices, indexOf, press, scrolled, type Choices, type Key } from './choices.js';
import { rowsOf } from './rows.js';
import { busy, crowd } from './samples.js';
import { sessionsOf, type Session } from './sessions.js';

let sessions: Session[];
beforeAll(async () => {
  sessions = sessionsOf(await busy(), null);
});

/** Presses keys one after the other: names of more than one letter in `<>`. */
function pressed(keys: string, choices: Choices = firstChoices, page = 5): Choices {
  for (const [word] of keys.matchAll(/<[^>]+>|./gsu)) {
    const name = word.length > 1 ? word.slice(1, -1) : word;
    const key: Key = name.startsWith('C-') ? { name: name.slice(2), ctrl: true } : { name, text: word };
    const result = press(choices, key, rowsOf(sessions, choices), page);
    if (result === 'quit') throw new Error(`${name} quits`);
    choices = result;
  }
  return choices;
}

/** The key of the row under the cursor. */
function at(choices: Choices): string | undefined {
  const rows = rowsOf(sessions, choices);
  return rows[indexOf(rows, choices.cursor)]?.item.key;
}

test('q and Ctrl-C quit, but a filter may have a q', () => {
  for (const keys of ['q', '<C-c>', '/abc<C-c>', '?q']) expect(() => pressed(keys), keys).toThrow('quits');
  expect(pressed('/qq')).toMatchObject({ typing: true, filter: 'qq' });
});

test('sort, reverse, pause and help', () => {
  expect([pressed('s').sort, pressed('ss').sort, pressed('S').sort, pressed('sssss').sort]).toEqual([
    ...['bytes', 'age', 'assignment', 'rate'],
  ]);
  expect(pressed('rp')).toMatchObject({ reverse: true, paused: true });
  expect(pressed('rrpp')).toMatchObject({ reverse: false, paused: false });
  expect(pressed('?').help).toBe(true);
  expect(pressed('?s')).toMatchObject({ help: false, sort: 'rate' });
});

test('a filter is typed, corrected, kept and given up; no control character gets in', () => {
  expect(pressed('/big<backspace>漢<return>s')).toMatchObject({ typing: false, filter: 'bi漢', sort: 'bytes' });
  expect(pressed('/big<escape>')).toMatchObject({ typing: false, filter: '' });
  expect(pressed('/big<return><escape>').filter).toBe('');
  expect(pressed('/big<C-u>x')).toMatchObject({ typing: true, filter: 'x' });
  expect(pressed('/\x1b\u202ea')).toMatchObject({ filter: 'a' });
  expect(pressed(`/${'x'.repeat(300)}`).filter).toHaveLength(200);
});

describe('the cursor', () => {
  test('moves within the rows, and goes with its row', () => {
    expect(at(firstChoices)).toBe('flow 1');
    const third = pressed('jj');
    expect(at(third)).toBe('flow 3');
    expect(at(pressed('S', third))).toBe('flow 3');
    expect(at(pressed('<end>'))).toBe('flow 9');
    expect(at(pressed('<end>jj'))).toBe('flow 9');
    expect(at(pressed('<pagedown>'))).toBe('flow 5');
    expect(pressed('jk').cursor).toBeNull();
    expect(pressed('<end><home>').cursor).toBeNull();
  });

  test('stays at its place when its row is gone, and on the list when that is shorter', () => {
    const third = pressed('jj');
    sessions = sessions.filter(({ master }) => master !== '1');
    expect(at(third)).toBe('expect 7');
    sessions = sessions.slice(0, 1);
    expect(at(third)).toBe('flow 5');
    sessions = [];
    expect(at(third)).toBeUndefined();
    expect(pressed('jk<end><space>')).toMatchObject({ cursor: null });
  });

  test('folds its session from any of its rows, and goes to the first', async () => {
    sessions = sessionsOf(await busy(), null);
    const count = (choices: Choices): number => rowsOf(sessions, choices).length;
    const folded = pressed('jjj<space>');
    expect([at(folded), count(folded)]).toEqual(['flow 1', 6]);
    expect(count(pressed('<return>', folded))).toBe(9);
    expect(count(pressed('c'))).toBe(4);
    expect(count(pressed('c<space>'))).toBe(7);
    expect(count(pressed('cc'))).toBe(9);
  });

  test('is always on the screen, with no empty space below', async () => {
    const many = sessionsOf(await crowd(100), null);
    const rows = rowsOf(many, firstChoices);
    let choices: Choices = firstChoices;
    for (const name of [...Array<string>(30).fill('down'), 'pageup', 'end', 'up', 'pagedown', 'home']) {
      const result = press(choices, { name }, rows, 10);
      if (result === 'quit') throw new Error('quits');
      choices = scrolled(result, rows, 10);
      const index = indexOf(rows, choices.cursor);
      expect(index).toBeGreaterThanOrEqual(choices.top);
      expect(index).toBeLessThan(choices.top + 10);
      expect(choices.top).toBeLessThanOrEqual(rows.length - 10);
    }
    expect(scrolled({ ...choices, top: 110 }, rows.slice(0, 3), 10).top).toBe(0);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { SORTS, type Row, type Selection, type Sort } from './rows.js';

/** What the person at the keyboard has chosen. */
export interface Choices extends Selection {
  readonly paused: boolean;
  readonly help: boolean;
  /** The filter is being typed. */
  readonly typing: boolean;
  readonly folds: Folds;
  /** The row of the cursor, and where it was seen last; null: the first, whatever it is. */
  readonly cursor: { readonly key: string; readonly index: number } | null;
  /** Index of the first row on the screen. */
  readonly top: number;
}

interface Folds {
  /** Of every session that is no exception. */
  readonly usual: boolean;
  readonly exceptions: ReadonlySet<string>;
}

/** A key as `readline` reports it. */
export interface Key {
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
  /** What it writes. */
  readonly text?: string | undefined;
}

/** The busiest sessions first, all open. */
export const firstChoices: Choices = withFolds(
  { sort: 'rate', reverse: false, filter: '', paused: false, help: false, typing: false, cursor: null, top: 0 },
  { usual: false, exceptions: new Set() },
);

/** Longest filter, in characters. */
const FILTER_MAX = 200;

/** What a key changes; `quit` ends the view. `page`: how many rows the screen shows. */
export function press(choices: Choices, key: Key, rows: readonly Row[], page: number): Choices | 'quit' {
  if (key.ctrl === true && (key.name === 'c' || key.name === 'd')) return 'quit';
  if (choices.typing) return type(choices, key);
  if (choices.help) return key.name === 'q' ? 'quit' : { ...choices, help: false };
  const by = (rowCount: number): Choices => move(choices, rows, indexOf(rows, choices.cursor) + rowCount);
  switch (key.name) {
    case 'up':
    case 'k':
      return by(-1);
    case 'down':
    case 'j':
      return by(1);
    case 'pageup':
      return by(-Math.max(page - 1, 1));
    case 'pagedown':
      return by(Math.max(page - 1, 1));
    case 'home':
      return { ...choices, cursor: null };
    case 'end':
      return move(choices, rows, rows.length - 1);
    case 'space':
    case 'return':
      return fold(choices, rows);
    case 'escape':
      return { ...choices, filter: '' };
    default:
      return pressText(choices, key.text ?? '');
  }
}

function pressText(choices: Choices, text: string): Choices | 'quit' {
  const { sort, reverse, paused, folds } = choices;
  switch (text) {
    case 'q':
      return 'quit';
    case 's':
      return { ...choices, sort: next(sort, 1) };
    case 'S':
      return { ...choices, sort: next(sort, -1) };
    case 'r':
      return { ...choices, reverse: !reverse };
    case 'p':
      return { ...choices, paused: !paused };
    case 'c':
      return withFolds(choices, { usual: !folds.usual, exceptions: new Set() });
    case '/':
      return { ...choices, typing: true };
    case '?':
    case 'h':
      return { ...choices, help: true };
    default:
      return choices;
  }
}

function type(choices: Choices, { name, ctrl, text = '' }: Key): Choices {
  const { filter } = choices;
  if (name === 'return' || name === 'enter') return { ...choices, typing: false };
  if (name === 'escape') return { ...choices, typing: false, filter: '' };
  if (name === 'backspace') return { ...choices, filter: filter.replace(/.$/su, '') };
  if (ctrl === true) return name === 'u' ? { ...choices, filter: '' } : choices;
  const added = /^\P{C}+$/u.test(text) && filter.length + text.length <= FILTER_MAX ? text : '';
  return { ...choices, filter: filter + added };
}

/** Where the cursor is: its row is found again wherever it has moved to; when it is gone, what took its place. */
export function indexOf(rows: readonly Row[], cursor: Choices['cursor']): number {
  if (cursor === null) return 0;
  if (rows[cursor.index]?.item.key === cursor.key) return cursor.index;
  const found = rows.findIndex(({ item }) => item.key === cursor.key);
  return found >= 0 ? found : Math.max(Math.min(cursor.index, rows.length - 1), 0);
}

/** Scrolls as little as possible so that the cursor is on the screen. */
export function scrolled(choices: Choices, rows: readonly Row[], page: number): Choices {
  const index = indexOf(rows, choices.cursor);
  const last = Math.max(rows.length - page, 0);
  const top = Math.max(Math.min(choices.top, index, last), index - page + 1, 0);
  return top === choices.top ? choices : { ...choices, top };
}

function move(choices: Choices, rows: readonly Row[], to: number): Choices {
  const index = Math.max(Math.min(to, rows.length - 1), 0);
  const row = rows[index];
  // At the top the cursor stays there, and does not go with the row that happens to be the first.
  return { ...choices, cursor: row === undefined || index === 0 ? null : { key: row.item.key, index } };
}

/** Folds the session under the cursor, or opens it. The cursor goes to the session's first row. */
function fold(choices: Choices, rows: readonly Row[]): Choices {
  for (let index = indexOf(rows, choices.cursor); index >= 0; index--) {
    const row = rows[index];
    if (row?.kind !== 'control') continue;
    const { usual, exceptions } = choices.folds;
    const changed = new Set(exceptions);
    if (!changed.delete(row.item.master)) changed.add(row.item.master);
    return move(withFolds(choices, { usual, exceptions: changed }), rows, index);
  }
  return choices;
}

function withFolds(choices: Omit<Choices, 'folds' | 'isFolded'>, folds: Folds): Choices {
  return { ...choices, folds, isFolded: (master) => folds.usual !== folds.exceptions.has(master) };
}

function next(sort: Sort, step: number): Sort {
  return SORTS[(SORTS.indexOf(sort) + step + SORTS.length) % SORTS.length] ?? sort;
}

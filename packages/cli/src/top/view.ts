// SPDX-License-Identifier: Apache-2.0
import {
  formatBytes,
  formatDetail,
  formatDuration,
  formatEndpoint,
  formatPath,
  printable,
  type EndpointPattern,
  type Expectation,
  type Flow,
} from '@relatd/model';
import { paint, type Colour } from '../colour.js';
import type { Output } from '../context.js';
import { indexOf, type Choices } from './choices.js';
import { fit } from './fit.js';
import type { Row } from './rows.js';
import { total, type Session, type Snapshot } from './sessions.js';

/** All that is on the screen. */
export interface Picture {
  readonly snapshot: Snapshot;
  readonly sessions: readonly Session[];
  readonly rows: readonly Row[];
  readonly choices: Choices;
  /** What the options restrict the view to, as people read it; empty: nothing. */
  readonly scope: string;
  /** What the person must know about where this comes from; null: it comes from the daemon, now. */
  readonly notice: string | null;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const KEYS = 'q quit  ? help  s sort  r reverse  / filter  p pause  space fold  c fold all';

const HELP = [
  'up down j k       move the cursor; also page up, page down, home, end',
  's S               sort by rate, bytes, age, idle, assignment: next, previous',
  'r                 reverse the order',
  '/                 only what has a text: address, user, file, assignment, state',
  'escape            all again',
  'space, enter      fold the session under the cursor, or open it',
  'c                 fold all sessions, or open them',
  'p                 pause, and go on',
  'q, Ctrl-C         quit',
  '',
  'A line at the margin is a control connection; its bytes and its rate include',
  'those of its related flows. Below it: what it expects, and those flows.',
  '',
  'Any key goes back.',
];

/** How many rows of the list a screen shows. */
export function pageOf({ rows }: Size, { notice }: Pick<Picture, 'notice'>): number {
  return Math.max(rows - (notice === null ? 4 : 5), 0);
}

/** The lines of the screen, at most `size.rows`, none wider than `size.columns`. */
export function linesOf(picture: Picture, size: Size, output: Output): string[] {
  const { columns } = size;
  const { notice, choices } = picture;
  const line = (text: string, colour?: Colour): string => {
    const fitted = fit(text, columns);
    return colour === undefined ? fitted : paint(output, colour, fitted);
  };
  const page = pageOf(size, picture);
  const body = choices.help ? HELP.slice(0, page).map((text) => line(text)) : bodyOf(picture, page, columns, output);
  const lines = [
    line(title(picture), 'bold'),
    line(settings(picture, page)),
    ...(notice === null ? [] : [line(printable(notice), 'yellow')]),
    line(headings(columns), 'bold'),
    ...body,
    ...Array<string>(Math.max(page - body.length, 0)).fill(''),
    line(choices.typing ? `/${printable(choices.filter)}_  enter: keep  escape: all again` : KEYS, 'gray'),
  ];
  return lines.slice(0, size.rows);
}

function title({ snapshot, sessions }: Picture): string {
  const { flows, expectations, status, time } = snapshot;
  const control = flows.filter(({ kind }) => kind === 'control').length;
  const rate = total(sessions.map((session) => session.rate));
  const parts = [
    'relatd',
    new Date(time).toISOString().slice(11, 19),
    `${String(control)} control`,
    `${String(flows.length - control)} related`,
    `${String(expectations.length)} expected`,
    ...(rate === null ? [] : [`${formatBytes(Math.round(rate))}/s`]),
    ...(status === null ? [] : [`up ${formatDuration(status.uptimeSeconds)}`]),
  ];
  return parts.join('  ');
}

function settings({ snapshot, rows, choices, scope }: Picture, page: number): string {
  const { sort, reverse, filter, paused, top } = choices;
  const parts = [`by ${sort}${reverse ? ', reversed' : ''}`];
  if (paused) parts.unshift('PAUSED');
  if (filter !== '') parts.push(`only '${printable(filter)}'`);
  if (scope !== '') parts.push(scope);
  const last = Math.min(top + page, rows.length);
  if (last > 0) parts.push(`rows ${String(top + 1)}-${String(last)} of ${String(rows.length)}`);
  const { status } = snapshot;
  if (status !== null) {
    const warnings = status.interfaces.reduce((sum, { problems }) => sum + problems.length, status.warnings.length);
    if (warnings > 0) parts.push(`warnings: ${String(warnings)}, see \`relatd status\``);
    if (status.losses.events > 0) parts.push(`events lost: ${String(status.losses.events)}`);
  }
  return parts.join('  ');
}

function bodyOf({ rows, choices, snapshot }: Picture, page: number, columns: number, output: Output): string[] {
  if (rows.length === 0 && page > 0) {
    const none = snapshot.flows.length === 0 && snapshot.expectations.length === 0;
    return [fit(none ? '  nothing is tracked now' : '  nothing contains that text; escape shows all again', columns)];
  }
  const cursor = indexOf(rows, choices.cursor);
  return rows.slice(choices.top, choices.top + page).map((row, index) => {
    const chosen = choices.top + index === cursor;
    const text = fit((chosen ? '>' : ' ') + rowText(row, columns), columns);
    const colour = chosen ? 'inverse' : colourOf(row);
    return colour === null ? text : paint(output, colour, text);
  });
}

function colourOf(row: Row): Colour | null {
  if (row.kind === 'expected') return 'cyan';
  const flow = row.item.subject;
  if (flow === null || flow.state === 'closed') return 'gray';
  if (flow.kind === 'related') return row.item.rate === null || row.item.rate === 0 ? null : 'green';
  return flow.trust === 'ok' ? null : 'yellow';
}

/** A column of a row. Text from the network is in the last one: nothing stands behind it that its width could move. */
interface Column {
  readonly title: string;
  /** Columns of the terminal that it needs; null: what the others leave, shared. */
  readonly width: number | null;
  /** Columns that a terminal must have for it to be shown. */
  readonly from: number;
  readonly right?: true;
  /** `wide`: whether there are columns for assignment and state. */
  readonly text: (row: Row, wide: boolean) => string;
}

/** Columns of a terminal that shows both endpoints whole. */
const WIDE = 110;

const table: readonly Column[] = [
  { title: 'CONNECTION', width: null, from: 0, text: connectionText },
  { title: 'ASSIGNMENT', width: 12, from: WIDE, text: assignmentText },
  { title: 'STATE', width: 11, from: WIDE, text: stateText },
  { title: 'BYTES', width: 10, from: 55, right: true, text: ({ item }) => bytesText(item.bytes) },
  { title: 'BYTES/S', width: 10, from: 35, right: true, text: ({ item }) => bytesText(item.rate) },
  { title: 'AGE', width: 6, from: 70, right: true, text: ({ item }) => formatDuration(item.ageSeconds) },
  { title: 'IDLE', width: 6, from: WIDE, right: true, text: ({ item }) => durationText(item.idleSeconds) },
  { title: 'DETAIL', width: null, from: 70, text: detailText },
];

function headings(columns: number): string {
  return ` ${cells(columns, ({ title }) => title)}`;
}

function rowText(row: Row, columns: number): string {
  return cells(columns, ({ text }) => text(row, columns >= WIDE));
}

function cells(columns: number, textOf: (column: Column) => string): string {
  const shown = table.filter(({ from }) => columns >= from);
  // The cursor's mark has the first column of the screen; a space is between two columns.
  const free = shown.reduce((rest, { width }) => rest - (width ?? 0) - 1, columns);
  const alone = shown.filter(({ width }) => width === null).length === 1;
  const first = Math.max(alone ? free : Math.min(Math.floor(free * 0.6), 60), 0);
  return shown
    .map((column, index) => {
      const width = column.width ?? (index === 0 ? first : Math.max(free - first, 0));
      return fit(textOf(column), width, column.right);
    })
    .join(' ');
}

function connectionText(row: Row, wide: boolean): string {
  const path = (subject: Flow | Expectation): string => {
    if (wide) return formatPath(subject);
    // Between the same two as the control connection: what tells it from others is where it goes.
    return row.kind === 'control'
      ? `${hostOf(subject.source)} > ${hostOf(subject.destination)}`
      : formatEndpoint(subject.destination);
  };
  switch (row.kind) {
    case 'control': {
      const { subject, master, expected, related } = row.item;
      const mark = expected.length + related.length === 0 ? ' ' : row.folded ? '+' : '-';
      return `${mark} ${subject === null ? `#${master}, which is not listed` : path(subject)}`;
    }
    case 'expected':
      return `  ┄ ${path(row.item.subject)}`;
    case 'related':
      return `  └ ${path(row.item.subject)}`;
  }
}

function hostOf({ address }: EndpointPattern): string {
  return address ?? '*';
}

function assignmentText({ kind, item }: Row): string {
  return kind === 'control' ? printable(item.assignment) : '';
}

/** What deserves attention of a control connection is why it is not parsed. */
function stateText(row: Row): string {
  if (row.kind === 'expected') return 'expected';
  const flow = row.item.subject;
  if (flow === null) return '';
  return flow.kind === 'control' && flow.trust !== 'ok' ? flow.trust : flow.state;
}

function detailText(row: Row, wide: boolean): string {
  const words: string[] = [];
  if (!wide) {
    const state = stateText(row);
    if (state !== 'established') words.push(state);
  }
  if (row.kind === 'expected') words.push(deadlineText(row.item.subject));
  else words.push(formatDetail(row.item.subject?.detail ?? null));
  if (!wide) words.push(assignmentText(row));
  return words.filter((word) => word !== '').join(' ');
}

function deadlineText({ expiresSeconds, permanent }: Expectation): string {
  const deadline = expiresSeconds === null ? 'without deadline' : `for ${formatDuration(expiresSeconds)}`;
  return permanent ? `${deadline}, permanent` : deadline;
}

function bytesText(count: number | null): string {
  return count === null ? '-' : formatBytes(Math.round(count));
}

function durationText(seconds: number | null): string {
  return seconds === null ? '-' : formatDuration(seconds);
}

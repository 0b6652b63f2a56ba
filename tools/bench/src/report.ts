// SPDX-License-Identifier: Apache-2.0
import type { Spread } from './statistics.js';

export type Unit =
  'ns' | 'us' | 'ms' | 's' | 'ratio' | 'per second' | 'Gbit/s' | 'bytes' | 'MB' | 'MiB' | 'ns per byte' | 'count' | '';

/** A measured value. */
export interface Figure {
  readonly value: Spread;
  readonly unit: Unit;
}

export type Cell = Figure | string | null;

export interface Row {
  readonly label: string;
  readonly cells: readonly Cell[];
}

export interface Table {
  readonly title: string;
  /** Titles of the cells; the label has none. */
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** What one benchmark found. */
export interface Section {
  readonly name: string;
  readonly title: string;
  /** How to read it, a paragraph each. */
  readonly notes: readonly string[];
  readonly tables: readonly Table[];
  /** Where relatd falls behind netfilter, a line each. */
  readonly behind: readonly string[];
  /** What relatd is to reach, and what it does. */
  readonly targets: readonly Target[];
}

/** Something that relatd is to reach. */
export interface Target {
  readonly target: string;
  readonly reached: string;
  readonly met: boolean;
}

export const figure = (value: Spread, unit: Unit): Figure => ({ value, unit });

/** One value without spread. */
export const single = (value: number, unit: Unit): Figure => ({
  value: { median: value, lower: value, upper: value, count: 1 },
  unit,
});

const DIGITS = 3;

function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en');
  if (Number.isInteger(value) && size < 100) return String(value);
  return value.toFixed(Math.max(0, DIGITS - 1 - Math.floor(Math.log10(Math.max(size, 0.01)))));
}

/** A target for a measured value: its median decides. */
export function target(text: string, reached: Figure, met: (median: number) => boolean): Target {
  return { target: text, reached: cellText(reached), met: met(reached.value.median) };
}

export const atMost = (text: string, reached: Figure, limit: number): Target =>
  target(text, reached, (median) => median <= limit);

export const atLeast = (text: string, reached: Figure, limit: number): Target =>
  target(text, reached, (median) => median >= limit);

/** All targets as one table. */
export function targetText(targets: readonly Target[]): string {
  const rows = targets.map(({ target, reached, met }) => ({ label: target, cells: [reached, met ? 'yes' : 'no'] }));
  return tableLines({ title: 'target', columns: ['reached', 'met?'], rows }).join('\n');
}

/** The quartiles, for sentences: `1.2 to 1.4`. */
export const quartileText = ({ lower, upper }: Spread): string => `${number(lower)} to ${number(upper)}`;

/** `12.3 (11.9 to 12.8) ns`; a single value has no quartiles. */
export function cellText(cell: Cell): string {
  if (cell === null) return '-';
  if (typeof cell === 'string') return cell;
  const { value, unit } = cell;
  const quartiles = value.count > 1 ? ` (${number(value.lower)} to ${number(value.upper)})` : '';
  const suffix = unit === '' || unit === 'count' ? '' : unit === 'ratio' ? ' x' : ` ${unit}`;
  return `${number(value.median)}${quartiles}${suffix}`;
}

/** A section as Markdown, which is as well what a terminal gets. */
export function sectionText(section: Section): string {
  const lines = [`## ${section.title}`, ''];
  for (const note of section.notes) lines.push(note, '');
  for (const table of section.tables) lines.push(...tableLines(table), '');
  return lines.join('\n');
}

function tableLines({ title, columns, rows }: Table): string[] {
  const head = [title, ...columns];
  const body = rows.map(({ label, cells }) => [label, ...cells.map(cellText)]);
  const widths = head.map((text, at) => Math.max(text.length, ...body.map((row) => (row[at] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, at) => text.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(line)];
}

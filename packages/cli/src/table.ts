// SPDX-License-Identifier: Apache-2.0
import Table from 'cli-table3';
import { paint } from './colour.js';
import type { Output } from './context.js';

/** One column of a table: its heading and whether its cells are numbers. */
export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/**
 * Rows for an output: a drawn table on a terminal, else aligned columns with two spaces between, one line each, so that
 * grep and awk find what they look for. Cells must be one line and safe to show (`safe`).
 */
export function tableText(columns: readonly Column[], rows: readonly (readonly string[])[], output: Output): string {
  return output.terminal ? drawn(columns, rows, output) : aligned(columns, rows);
}

function drawn(columns: readonly Column[], rows: readonly (readonly string[])[], output: Output): string {
  const table = new Table({
    head: columns.map(({ title }) => paint(output, 'bold', title)),
    colAligns: columns.map(({ right }) => (right === true ? 'right' : 'left')),
    // The library would decide by itself whether to colour, and differently (CI, FORCE_COLOR).
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

function aligned(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const heading = columns.map(({ title }) => title.toUpperCase());
  // Not Math.max(...lengths): a full flow table has more rows than a call may have arguments.
  const widths = heading.map((title, index) =>
    rows.reduce((width, row) => Math.max(width, row[index]?.length ?? 0), title.length),
  );
  const line = (cells: readonly string[]) =>
    cells
      // An empty cell would shift the fields that awk counts.
      .map((cell) => (cell === '' ? '-' : cell))
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.right === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [heading, ...rows].map(line).join('\n');
}

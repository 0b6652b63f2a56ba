// SPDX-License-Identifier: Apache-2.0
import type { TableStatus } from '@relatd/model';

/** The table of which most is used, in per cent; null where there is none. */
export function fullest(tables: readonly TableStatus[]): (TableStatus & { readonly percent: number }) | null {
  const filled = tables.map((table) => ({ ...table, percent: table.size === 0 ? 0 : (100 * table.used) / table.size }));
  return filled.reduce<(typeof filled)[number] | null>(
    (most, table) => (most === null || table.percent > most.percent ? table : most),
    null,
  );
}

// SPDX-License-Identifier: Apache-2.0
import { existsSync, unlinkSync } from 'node:fs';
import {
  FlowFlag,
  FlowKind,
  Limit,
  RequestOp,
  readFlow,
  readTuple,
  FLOW_SIZE,
  TUPLE_SIZE,
} from './generated/layout.js';
import { requestOf, type Requests } from './requests.js';
import { viewOf, type Tables } from './tables.js';
import { reverseTuple } from './tuple.js';

/**
 * Layouts whose pinned tables this version takes over. Structs of tables that are shared grow only into bytes that were zero, so
 * programs of both versions work on them side by side; what had to change otherwise has a new name, and is filled here.
 */
const TAKEN_OVER: ReadonlySet<number> = new Set([1, Limit.layoutVersion]);

/** Whether pinned tables of this layout can be taken over. */
export const canTakeOver = (layout: number): boolean => TAKEN_OVER.has(layout);

/** Layout 1 kept what control connections need in a hash of this name; since then it is an array, for speed. */
const STREAMS_OF_LAYOUT_1 = 'streams';

/**
 * Gives every control connection of layout 1 its entry in the new table. Before the programs are switched, and again
 * afterwards for those that began in between. What was held then is gone with the daemon that held it.
 */
export function migrateStreams(directory: string, tables: Tables, requests: Requests): void {
  if (!existsSync(`${directory}/maps/${STREAMS_OF_LAYOUT_1}`)) return;
  const { count, keys, values } = tables.map('flows').entriesSync();
  const keyView = viewOf(keys);
  const valueView = viewOf(values);
  const masters = Array.from({ length: count }, (_, index) => ({
    key: readTuple(keyView, index * TUPLE_SIZE),
    flow: readFlow(valueView, index * FLOW_SIZE),
  })).filter(({ flow }) => flow.kind === FlowKind.control);
  if (masters.length === 0) return;
  requests.run(
    masters.map(({ key, flow }) =>
      requestOf({
        op: RequestOp.stream,
        master: flow.flags & FlowFlag.openerIsSecond ? reverseTuple(key) : key,
      }),
    ),
  );
}

/** Nothing reads the old table any more. */
export function finishMigration(directory: string): void {
  const old = `${directory}/maps/${STREAMS_OF_LAYOUT_1}`;
  if (existsSync(old)) unlinkSync(old);
}

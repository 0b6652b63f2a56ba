// SPDX-License-Identifier: Apache-2.0
import { existsSync, unlinkSync } from 'node:fs';
import { BpfMap, type MapEntries } from '@relatd/native';
import { viewOf } from './bytes.js';
import {
  FlowFlag,
  FlowKind,
  Limit,
  RequestOp,
  readExpect,
  readFlow,
  readTuple,
  FLOW_SIZE,
  TUPLE_SIZE,
  type TupleRecord,
} from './generated/layout.js';
import { requestOf, type Requests } from './requests.js';
import { numberKey, type Tables } from './tables.js';
import { reverseTuple } from './tuple.js';

/**
 * Layouts whose pinned tables this version takes over. Structs of tables that are shared grow only into bytes that were zero, so
 * programs of both versions work on them side by side; what had to change otherwise has a new name, and is filled here.
 */
const TAKEN_OVER: ReadonlySet<number> = new Set([1, 2, Limit.layoutVersion]);

/** Whether pinned tables of this layout can be taken over. */
export const canTakeOver = (layout: number): boolean => TAKEN_OVER.has(layout);

/** Layout 1 kept what control connections need in a hash of this name; since then it is an array, for speed. */
const STREAMS_OF_LAYOUT_1 = 'streams';

/** Where programs keep what they need while they look at one packet: worth nothing to others, whose size may be another. */
const SCRATCHES = ['flow_scratches', 'packets', 'scratches', 'parked_scratch', 'order_scratch', 'request_scratch'];

/** Whether there is something of layout 1 that was not taken over yet. */
const isLayout1 = (directory: string): boolean => existsSync(`${directory}/maps/${STREAMS_OF_LAYOUT_1}`);

function unpin(directory: string, names: readonly string[]): void {
  for (const name of names) if (existsSync(`${directory}/maps/${name}`)) unlinkSync(`${directory}/maps/${name}`);
}

/**
 * Before this version is loaded: takes away the pins of what it may have in another size, which the programs of the version
 * before keep for as long as they run. Returns its counters, to be handed to {@link migrateCounters}; null: nothing to migrate.
 */
export function beginMigration(directory: string): MapEntries | null {
  unpin(directory, SCRATCHES);
  if (!isLayout1(directory)) return null;
  const pin = `${directory}/maps/counters`;
  const counters = existsSync(pin) ? BpfMap.openPinned(pin) : null;
  try {
    unpin(directory, ['counters']);
    return counters?.entriesSync() ?? null;
  } finally {
    counters?.close();
  }
}

/** Reasons are only ever added, so what was counted by number goes on. */
export function migrateCounters(before: MapEntries | null, tables: Tables): void {
  if (before === null) return;
  const counters = tables.map('counters');
  const stride = counters.valueStride;
  for (let index = 0; index < before.count; index++)
    counters.update(
      before.keys.subarray(index * 4, (index + 1) * 4),
      before.values.subarray(index * stride, (index + 1) * stride),
    );
}

/**
 * Gives every control connection of layout 1 its entry in the new table. Before the programs are switched, and again
 * afterwards for those that began in between. What was held then is gone with the daemon that held it.
 */
export function migrateStreams(directory: string, tables: Tables, requests: Requests): void {
  if (!isLayout1(directory)) return;
  requests.run([...mastersOf(tables).values()].map((master) => requestOf({ op: RequestOp.stream, master })));
}

/** Gives what these connections expect into their hands again. Only once no program of the version before reads it. */
export function migrateExpectations(directory: string, tables: Tables, requests: Requests): void {
  if (!isLayout1(directory)) return;
  const masters = mastersOf(tables);
  const { count, values } = tables.map('expect_index').entriesSync();
  const slots = viewOf(values);
  for (let index = 0; index < count; index++) {
    const slot = slots.getUint32(index * 4, true);
    const bytes = tables.map('expects').lookup(numberKey(slot));
    const expect = bytes === null ? null : readExpect(viewOf(bytes), 0);
    const master = expect === null ? undefined : masters.get(expect.master);
    if (expect === null || master === undefined || expect.live === 0n || expect.streamLow !== 0) continue;
    requests.run([requestOf({ op: RequestOp.stream, master, slot, id: expect.live })]);
  }
}

/** Control connections by id, from their openers. */
function mastersOf(tables: Tables): Map<bigint, TupleRecord> {
  const { count, keys, values } = tables.map('flows').entriesSync();
  const keyView = viewOf(keys);
  const valueView = viewOf(values);
  const masters = new Map<bigint, TupleRecord>();
  for (let index = 0; index < count; index++) {
    const flow = readFlow(valueView, index * FLOW_SIZE);
    if (flow.kind !== FlowKind.control) continue;
    const key = readTuple(keyView, index * TUPLE_SIZE);
    masters.set(flow.id, flow.flags & FlowFlag.openerIsSecond ? reverseTuple(key) : key);
  }
  return masters;
}

/** Nothing reads the old table any more. */
export function finishMigration(directory: string): void {
  unpin(directory, [STREAMS_OF_LAYOUT_1]);
}

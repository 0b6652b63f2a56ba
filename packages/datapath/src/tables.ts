// SPDX-License-Identifier: Apache-2.0
import { REASONS, type Reason } from '@relatd/model';
import { BpfMap, isNativeError } from '@relatd/native';
import {
  ASSIGNMENT_PORT_SIZE,
  CONFIG_SIZE,
  Limit,
  readAssignment,
  readAssignmentPort,
  EXPECT_AT,
  EXPECT_SIZE,
  FLOW_AT,
  FLOW_SIZE,
  INTERFACE_KEY_SIZE,
  INTERFACE_SIZE,
  TUPLE_SIZE,
  readAssignmentName,
  readConfig,
  readExpect,
  readFlow,
  readInterface,
  readInterfaceKey,
  readStream,
  readSyn,
  readTotals,
  readTuple,
  readUntracked,
  SYN_AT,
  SYN_SIZE,
  UNTRACKED_AT,
  UNTRACKED_SIZE,
  type AssignmentRecord,
  type ConfigRecord,
  type ExpectRecord,
  type FlowRecord,
  type InterfaceKeyRecord,
  type InterfaceRecord,
  type StreamRecord,
  type SynRecord,
  type TotalsRecord,
  type TupleRecord,
  type UntrackedRecord,
} from './generated/layout.js';
import { fieldText, viewOf } from './bytes.js';
import { inSlices } from './slices.js';
import { sortTuple, tupleBytes } from './tuple.js';

/** A flow with its key: endpoints sorted. */
export interface FlowEntry {
  readonly key: TupleRecord;
  readonly flow: FlowRecord;
}

/** The name and helper that user space gave to an assignment's number. */
export interface AssignmentName {
  readonly name: string;
  readonly helper: string;
}

/** An assignment as its tables tell it. */
export interface PinnedAssignment extends AssignmentName {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly mark: number;
  /** One for each pair of `from` and `to`. */
  readonly pairs: readonly AssignmentRecord[];
}

/** Fill and cost of one table. */
export interface TableFill {
  readonly name: string;
  readonly used: number;
  readonly size: number;
  /** What the kernel charges for it, bytes. */
  readonly bytes: number;
}

/** Maps that hold entries of a kind: the first is the one whose size is shown. */
const TABLES = {
  flows: ['flows', 'flow_slots', 'flow_free', 'flow_filter'],
  controls: ['stream_slots', 'stream_free'],
  expectations: ['expects', 'expect_index', 'expect_free', 'expect_filter'],
  embryonic: ['embryos'],
} as const;

export const interfaceId = ({ ifindex, vlan }: InterfaceKeyRecord): string => `${String(ifindex)}/${String(vlan)}`;

export function numberKey(value: number): Uint8Array {
  const key = new Uint8Array(4);
  viewOf(key).setUint32(0, value, true);
  return key;
}

/** Where notes stand that have a time. */
function placesInUse(view: DataView, count: number, size: number, time: number): number[] {
  const places: number[] = [];
  for (let at = 0; at < count * size; at += size) if (view.getBigUint64(at + time, true) !== 0n) places.push(at);
  return places;
}

/** What the datapath's tables say, whether a daemon runs or only their pins are left. Reads only. */
export class Tables {
  readonly #open: (name: string) => BpfMap;
  readonly #maps = new Map<string, BpfMap>();

  constructor(open: (name: string) => BpfMap) {
    this.#open = open;
  }

  /** The tables that are pinned in a directory. */
  static pinned(directory: string): Tables {
    return new Tables((name) => BpfMap.openPinned(`${directory}/maps/${name}`));
  }

  map(name: string): BpfMap {
    const known = this.#maps.get(name);
    if (known !== undefined) return known;
    const map = this.#open(name);
    this.#maps.set(name, map);
    return map;
  }

  /** A table that came with a later version of the same layout; null: what is pinned is older. */
  #later(name: string): BpfMap | null {
    try {
      return this.map(name);
    } catch (error) {
      if (isNativeError(error) && error.code === 'RELATD_NOT_FOUND') return null;
      throw error;
    }
  }

  #only<T>(name: string, read: (view: DataView, at: number) => T): T {
    const value = this.map(name).lookup(numberKey(0));
    if (value === null) throw new Error(`map ${name} is empty`);
    return read(viewOf(value), 0);
  }

  config(): ConfigRecord {
    const value = this.map('config');
    if (value.valueSize !== CONFIG_SIZE) throw new Error('the configuration map has another layout');
    return this.#only('config', readConfig);
  }

  totals(): TotalsRecord {
    return this.#only('totals', readTotals);
  }

  /** Boot time at which a daemon was last known to live, ns; 0: not known. */
  heartbeat(): bigint {
    if (this.#later('heartbeat') === null) return 0n;
    return this.#only('heartbeat', (view, at) => view.getBigUint64(at, true));
  }

  async flows(): Promise<FlowEntry[]> {
    const { count, keys, values } = await this.map('flows').entries();
    const keyView = viewOf(keys);
    const valueView = viewOf(values);
    return inSlices(count, (index) => ({
      key: readTuple(keyView, index * TUPLE_SIZE),
      flow: readFlow(valueView, index * FLOW_SIZE),
    }));
  }

  /** The ids of all flows. */
  async flowIds(): Promise<Set<bigint>> {
    const { count, values } = await this.map('flows').entries();
    const view = viewOf(values);
    const ids = await inSlices(count, (index) => view.getBigUint64(index * FLOW_SIZE + FLOW_AT.id, true));
    return new Set(ids);
  }

  /** The flow of a connection, given either way round. */
  flow(tuple: TupleRecord): FlowEntry | null {
    const { key } = sortTuple(tuple);
    const value = this.map('flows').lookup(tupleBytes(key));
    return value === null ? null : { key, flow: readFlow(viewOf(value), 0) };
  }

  /** What only control connections have. */
  stream({ id, stream }: FlowRecord): StreamRecord | null {
    const value = this.map('stream_slots').lookup(numberKey(stream));
    if (value === null) return null;
    const record = readStream(viewOf(value), 0);
    return record.flow === id ? record : null;
  }

  /** The live expectation of exactly this tuple, and where it stands. */
  expectation(tuple: TupleRecord): { readonly id: bigint; readonly slot: number } | null {
    const index = this.map('expect_index').lookup(tupleBytes(tuple));
    if (index === null) return null;
    const slot = viewOf(index).getUint32(0, true);
    const record = this.map('expects').lookup(numberKey(slot));
    const id = record === null ? 0n : viewOf(record).getBigUint64(EXPECT_AT.live, true);
    return id === 0n ? null : { id, slot };
  }

  async expectations(): Promise<ExpectRecord[]> {
    const { count, values } = await this.map('expect_index').entries();
    const slots = viewOf(values);
    const records = await inSlices(count, (index) => {
      const record = this.map('expects').lookup(numberKey(slots.getUint32(index * 4, true)));
      return record === null ? null : readExpect(viewOf(record), 0);
    });
    return records.filter((record): record is ExpectRecord => record !== null && record.live !== 0n);
  }

  /** The ids of all expectations that can be matched. */
  async expectationIds(): Promise<Set<bigint>> {
    const { count, values } = await this.map('expects').entries();
    const view = viewOf(values);
    const ids = await inSlices(count, (index) => view.getBigUint64(index * EXPECT_SIZE + EXPECT_AT.live, true));
    return new Set(ids);
  }

  /** SYNs that were seen, as far as none has taken their place. */
  async syns(): Promise<SynRecord[]> {
    const map = this.#later('syns');
    if (map === null) return [];
    const { count, values } = await map.entries();
    const view = viewOf(values);
    const used = placesInUse(view, count, SYN_SIZE, SYN_AT.time);
    return inSlices(used.length, (index) => readSyn(view, used[index] ?? 0));
  }

  /** Connections to assigned ports that are no control connections. */
  async untracked(): Promise<UntrackedRecord[]> {
    const map = this.#later('untracked');
    if (map === null) return [];
    const { count, values } = await map.entries();
    const view = viewOf(values);
    const used = placesInUse(view, count, UNTRACKED_SIZE, UNTRACKED_AT.time);
    return inSlices(used.length, (index) => readUntracked(view, used[index] ?? 0));
  }

  /** What the datapath knows of interfaces, by `ifindex/vlan`. */
  interfaces(): Map<string, InterfaceRecord & { readonly key: InterfaceKeyRecord }> {
    const { count, keys, values } = this.map('interfaces').entriesSync();
    const keyView = viewOf(keys);
    const valueView = viewOf(values);
    const found = new Map<string, InterfaceRecord & { readonly key: InterfaceKeyRecord }>();
    for (let index = 0; index < count; index++) {
      const key = readInterfaceKey(keyView, index * INTERFACE_KEY_SIZE);
      found.set(interfaceId(key), { ...readInterface(valueView, index * INTERFACE_SIZE), key });
    }
    return found;
  }

  /** Packets and refusals by reason, summed over CPUs. */
  counters(): Record<Reason, number> {
    const map = this.map('counters');
    const { count, keys, values } = map.entriesSync();
    const keyView = viewOf(keys);
    const valueView = viewOf(values);
    const result = Object.fromEntries(REASONS.map((reason) => [reason, 0])) as Record<Reason, number>;
    for (let index = 0; index < count; index++) {
      const reason = REASONS[keyView.getUint32(index * 4, true)];
      if (reason === undefined) continue;
      let total = 0n;
      for (let at = 0; at < map.valueStride; at += 8)
        total += valueView.getBigUint64(index * map.valueStride + at, true);
      result[reason] = Number(total);
    }
    return result;
  }

  assignmentName(id: number): AssignmentName | null {
    const value = this.map('assignment_names').lookup(numberKey(id));
    if (value === null) return null;
    const record = readAssignmentName(viewOf(value), 0);
    const name = fieldText(record.name);
    return name === '' ? null : { name, helper: fieldText(record.helper) };
  }

  /** The assignments in force, one line each as people know them. */
  assignments(): PinnedAssignment[] {
    const { bank } = this.config();
    const ports = this.map('assignment_ports').entriesSync();
    const keys = viewOf(ports.keys);
    const values = viewOf(ports.values);
    const found = new Map<number, PinnedAssignment>();
    for (let index = 0; index < ports.count; index++) {
      const key = keys.getUint32(index * 4, true);
      if (key >>> 24 !== bank) continue;
      const { first, count } = readAssignmentPort(values, index * ASSIGNMENT_PORT_SIZE);
      for (let at = first; at < first + count; at++) {
        const value = this.map('assignments').lookup(numberKey(bank * Limit.assignments + at));
        if (value === null) continue;
        const pair = readAssignment(viewOf(value), 0);
        const { id, mark } = pair;
        const { name, helper } = this.assignmentName(id) ?? { name: `#${String(id)}`, helper: 'unknown' };
        found.set(id, {
          name,
          helper,
          protocol: ((key >> 16) & 0xff) === 17 ? 'udp' : 'tcp',
          port: key & 0xffff,
          mark,
          pairs: [...(found.get(id)?.pairs ?? []), pair],
        });
      }
    }
    return [...found.values()];
  }

  fill(): TableFill[] {
    const totals = this.totals();
    const used = { flows: totals.flows, controls: totals.controls, expectations: totals.expectations, embryonic: 0 };
    return Object.entries(TABLES).map(([name, maps]) => ({
      name,
      used: used[name as keyof typeof used],
      size:
        name === 'controls' ? this.config().maxControls : this.map(maps[0]).maxEntries * (name === 'embryonic' ? 8 : 1),
      bytes: maps.reduce((bytes, map) => bytes + this.map(map).memoryBytes, 0),
    }));
  }

  close(): void {
    for (const map of this.#maps.values()) map.close();
    this.#maps.clear();
  }
}

// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Machine } from '@relatd/grammar';
import {
  BpfObject,
  Conntrack,
  EventRing,
  attach,
  attachCgroup,
  boottimeNs,
  isNativeError,
  lockDirectory,
  mountBpffs,
  removePins,
  type KeptMap,
  type Lock,
  type Namespace,
  type Related,
} from '@relatd/native';
import { viewOf } from './bytes.js';
import {
  assertFits,
  assignedPorts,
  portRequests,
  writeBank,
  writePortBits,
  type PortAssignments,
} from './assignmentBanks.js';
import { SIDES, attachedSides, hasOurs } from './chain.js';
import {
  ASSIGNMENT_NAME_SIZE,
  CONFIG_SIZE,
  GUARD_SIZE,
  HOST_SIZE,
  MACHINE_AT,
  POLICY_SIZE,
  Limit,
  RequestOp,
  writeAssignmentName,
  writeConfig,
  writeGuard,
  writeHost,
  writePolicy,
  zeroAssignmentName,
  zeroConfig,
  type ConfigRecord,
  type GuardRecord,
  type PolicyRecord,
  type RequestRecord,
  type TupleRecord,
} from './generated/layout.js';
import { Hold } from './hold.js';
import { machineBytes } from './machine.js';
import { writeInterfaces, type InterfaceEntry } from './interfaceTable.js';
import { beginMigration, finishMigration, migrateCounters, migrateExpectations, migrateStreams } from './migrate.js';
import { detachInterface, detachSide, isDead, layoutTrouble, pinnedInterfaces, removeState } from './pinnedState.js';
import {
  adoptMatchTables,
  hasMatches,
  keepMatchTables,
  removeDeadMatches,
  setMatches,
  type MatchedAssignment,
} from './matches.js';
import { CONNECT_PINS, OBJECT, linkPin, pinDirectory } from './pins.js';
import { Requests, type RequestAnswer } from './requests.js';
import { RingRecord, eachRecord, recordMemory, type RecordBatch } from './ringRecord.js';
import { Tables, numberKey, type AssignmentName } from './tables.js';
import { tupleBytes } from './tuple.js';

/** How many entries each table can take. */
export interface Sizes {
  readonly flows: number;
  readonly controls: number;
  readonly expectations: number;
  readonly embryonic: number;
}

/** What of the configuration the datapath needs as numbers. Times in nanoseconds. */
export type Settings = Pick<
  ConfigRecord,
  | 'markMask'
  | 'holdPolicy'
  | 'holdDeadline'
  | 'idleControl'
  | 'idleRelated'
  | 'idleHalfOpen'
  | 'idleClosed'
  | 'perSource'
>;

/** How programs get onto interfaces. */
export interface AttachSettings {
  readonly mode: 'auto' | 'tcx' | 'clsact';
  readonly ingress: 'first' | 'last';
  readonly egress: 'first' | 'last';
}

/** Who gets events and samples, in the order in which they happened. */
export type RecordSink = (record: RingRecord) => void;

/** Words of both generations of a filter: see flow_filter_words and expect_filter_words in bpf/lib/filter.h. */
const filterWords = (entries: number, hosts: number): number => 2 * (hosts + Math.floor(entries / 4) + 1);
/** The largest power of two that is not larger. */
const floorPower = (value: number): number => 2 ** Math.floor(Math.log2(Math.max(1, value)));

/**
 * The datapath of one network namespace, under the lock of its pins. Loading replaces the program on every
 * hook at one instant; tables that are pinned are taken over as they are.
 */
export class Datapath {
  readonly namespace: Namespace;
  readonly directory: string;
  readonly tables: Tables;
  /** Whether there was pinned state. */
  readonly adopted: boolean;
  /** Whether there were programs for `iptables -m bpf` already. */
  readonly hadMatches: boolean;
  /**
   * The daemon before, as far as it left something; boot times, ns. `stopped` 0: it did not stop in an orderly way; `alive`: when it
   * was last known to live, 0 where that is not known.
   */
  readonly before: { readonly stopped: bigint; readonly alive: bigint } | null;
  /** Tables that kept the size they had, because live entries stand in them. */
  readonly kept: readonly KeptMap[];
  readonly #object: BpfObject;
  readonly #lock: Lock;
  readonly #requests: Requests;
  #config: ConfigRecord;
  #ring: EventRing | null = null;
  #hold: Hold | null = null;
  #conntrack: Conntrack | null = null;

  private constructor(namespace: Namespace, directory: string, lock: Lock, sizes: Sizes) {
    this.namespace = namespace;
    this.directory = directory;
    this.#lock = lock;
    this.adopted = existsSync(`${directory}/maps/config`);
    this.hadMatches = hasMatches(namespace);
    adoptMatchTables(namespace, directory);
    const counters = beginMigration(directory);
    this.#object = new BpfObject({ file: OBJECT, pins: directory, namespace, maxEntries: maxEntries(sizes) });
    this.kept = this.#object.kept;
    this.tables = new Tables((name) => this.#object.map(name));
    this.#requests = new Requests(this.#object.program('relatd_request'));
    const previous = this.adopted ? this.tables.config() : zeroConfig();
    this.before = this.adopted ? { stopped: previous.stopped, alive: this.tables.heartbeat() } : null;
    this.beat();
    this.#config = this.#initialConfig(previous);
    this.#writeConfig();
    migrateCounters(counters, this.tables);
    writePortBits(this.tables, this.#config.bank, assignedPorts(this.tables, this.#config.bank));
    migrateStreams(directory, this.tables, this.#requests);
    this.tables.map('programs').setProgram(numberKey(0), this.#object.program('relatd_main'));
    this.#sweepArm();
    migrateStreams(directory, this.tables, this.#requests);
    migrateExpectations(directory, this.tables, this.#requests);
    finishMigration(directory);
    keepMatchTables(namespace, (name) => this.tables.map(name));
    this.tables.map('match_programs').setProgram(numberKey(0), this.#object.program('relatd_match'));
  }

  /**
   * Takes the lock, loads, switches.
   * @throws RELATD_LOCKED when another daemon serves this namespace; RELATD_LAYOUT when the pinned state cannot be
   * read and `discardState` is false; what loading throws (native/)
   */
  static open(namespace: Namespace, sizes: Sizes, discardState: boolean): Datapath {
    const directory = pinDirectory(namespace);
    mountBpffs();
    mountBpffs(directory);
    let lock = lockDirectory(directory);
    try {
      const trouble = layoutTrouble(directory);
      if (trouble !== null) {
        if (!discardState) throw trouble;
        removeState(namespace, directory, false);
        // The directory went with what was in it, and the lock on it.
        lock.close();
        mountBpffs(directory);
        lock = lockDirectory(directory);
      }
      return new Datapath(namespace, directory, lock, sizes);
    } catch (error) {
      if (!existsSync(`${directory}/maps/config`)) removePins(directory);
      lock.close();
      throw error;
    }
  }

  /**
   * Removes what daemons of namespaces that are gone have left: no daemon holds the lock, and the interface of every
   * link has vanished. Returns how many.
   */
  static removeDead(namespace: Namespace): number {
    const own = pinDirectory(namespace);
    const parent = dirname(own);
    if (!existsSync(parent)) return 0;
    const dead = readdirSync(parent)
      .map((name) => `${parent}/${name}`)
      .filter((directory) => directory !== own && isDead(directory));
    for (const directory of dead) {
      removePins(directory);
      removeDeadMatches(directory);
    }
    return dead.length;
  }

  /**
   * Detaches everything and removes the pins of a namespace; the programs for iptables only with `purge`. Returns what was
   * removed, a line each.
   */
  static remove(namespace: Namespace, purge: boolean): string[] {
    const directory = pinDirectory(namespace);
    if (!existsSync(directory) && !(purge && hasMatches(namespace))) return [];
    mountBpffs(directory);
    const lock = lockDirectory(directory);
    try {
      return removeState(namespace, directory, purge);
    } finally {
      lock.close();
    }
  }

  /** The pid of the daemon that serves a namespace, 0 when it cannot be told; null: there is none. */
  static holder(namespace: Namespace): number | null {
    try {
      lockDirectory(pinDirectory(namespace)).close();
      return null;
    } catch (error) {
      if (!isNativeError(error) || error.code !== 'RELATD_LOCKED') return null;
      return 'pid' in error && typeof error.pid === 'number' ? error.pid : 0;
    }
  }

  #initialConfig(previous: ConfigRecord): ConfigRecord {
    const embryonic = this.tables.map('embryos').maxEntries;
    return {
      ...previous,
      layout: Limit.layoutVersion,
      seed: previous.seed === 0n ? randomBytes(8).readBigUInt64LE() : previous.seed,
      releaseMark: randomBytes(4).readUInt32LE() | 1,
      holdIfindex: 0,
      maxFlows: this.tables.map('flows').maxEntries,
      maxControls: this.tables.map('stream_slots').maxEntries - 1,
      maxExpectations: this.tables.map('expects').maxEntries,
      embryoMask: floorPower(embryonic) - 1,
      started: boottimeNs(),
      stopped: 0n,
    };
  }

  #writeConfig(): void {
    const bytes = new Uint8Array(CONFIG_SIZE);
    writeConfig(viewOf(bytes), 0, this.#config);
    this.tables.map('config').update(numberKey(0), bytes);
  }

  #change(changes: Partial<ConfigRecord>): void {
    this.#config = { ...this.#config, ...changes };
    this.#writeConfig();
  }

  #sweepArm(): void {
    const { verdict } = this.#object
      .program('relatd_sweep')
      .testRun({ data: new Uint8Array(Limit.requestHeader), cb: [Limit.sweepArm] });
    if (verdict !== 0) throw new Error('the timer that removes expired entries could not be started');
  }

  /** Boot time at which this daemon took over, ns. */
  get started(): bigint {
    return this.#config.started;
  }

  /** Leaves word that this daemon lives. */
  beat(): void {
    const value = new Uint8Array(8);
    viewOf(value).setBigUint64(0, boottimeNs(), true);
    this.tables.map('heartbeat').update(numberKey(0), value);
  }

  /** Events that were lost since this was asked last, by whichever daemon. */
  takeLost(): number {
    const lost = this.tables.totals().eventsLost;
    const news = lost - this.#config.eventsTold;
    if (news !== 0n) this.#change({ eventsTold: lost });
    return Number(news);
  }

  configure(settings: Settings): void {
    this.#change(settings);
  }

  /** Serves requests; see struct request in bpf/lib/types.h. */
  request(requests: readonly RequestRecord[]): RequestAnswer[] {
    return requests.length === 0 ? [] : this.#requests.run(requests);
  }

  /**
   * Puts assignments into force: written to the bank that is not in use, which then becomes the one in use.
   * Flows that exist keep what they have. @throws RangeError when there are more than fit
   */
  assign(ports: readonly PortAssignments[]): void {
    assertFits(ports);
    const bank = 1 - this.#config.bank;
    const before = assignedPorts(this.tables, this.#config.bank);
    writeBank(this.tables, bank, ports);
    writePortBits(this.tables, bank, ports);
    this.request(portRequests(RequestOp.portTake, ports));
    this.#change({ bank });
    this.request(portRequests(RequestOp.portGive, before));
  }

  /** What an assignment allows, and which machine reads its control connections. Before it is assigned. */
  setPolicy(id: number, policy: PolicyRecord): void {
    const bytes = new Uint8Array(POLICY_SIZE);
    writePolicy(viewOf(bytes), 0, policy);
    this.tables.map('policies').update(numberKey(id), bytes);
  }

  /**
   * Brings a helper's machine into the datapath; gives the number by which policies name it. One that is there already, from
   * this daemon or one before, keeps its place; one that differs gets a place that no connection needs.
   * @throws RangeError when all places are taken
   */
  loadMachine(machine: Machine, inUse: ReadonlySet<number>): number {
    const bytes = machineBytes(machine);
    const map = this.tables.map('machines');
    const places = Array.from({ length: Limit.machines }, (_, index) => index);
    const there = places.map((index) => map.lookup(numberKey(index)) ?? new Uint8Array());
    const same = there.findIndex((one) => Buffer.compare(one, bytes) === 0);
    if (same >= 0) return same + 1;
    const empty = there.findIndex((one) => one[MACHINE_AT.endClass] === 0);
    const free = empty >= 0 ? empty : places.findIndex((index) => !inUse.has(index + 1));
    if (free < 0)
      throw new RangeError(
        `${String(Limit.machines)} helpers are in use by control connections; wait until some have ended, or remove one from the configuration`,
      );
    map.update(numberKey(free), bytes);
    return free + 1;
  }

  nameAssignment(id: number, { name, helper }: AssignmentName): void {
    const bytes = new Uint8Array(ASSIGNMENT_NAME_SIZE);
    const record = zeroAssignmentName();
    new TextEncoder().encodeInto(name, record.name);
    new TextEncoder().encodeInto(helper, record.helper);
    writeAssignmentName(viewOf(bytes), 0, record);
    this.tables.map('assignment_names').update(numberKey(id), bytes);
  }

  guard(guards: readonly GuardRecord[]): void {
    // Fewer first, so that no stale entry counts; more only after they are written.
    this.#change({ guards: Math.min(this.#config.guards, guards.length) });
    for (const [index, guard] of guards.entries()) {
      const bytes = new Uint8Array(GUARD_SIZE);
      writeGuard(viewOf(bytes), 0, guard);
      this.tables.map('guards').update(numberKey(index), bytes);
    }
    this.#change({ guards: guards.length });
  }

  /** Makes the program of each assignment for `iptables -m bpf` answer for it. @throws RangeError when there are too many */
  match(assignments: readonly MatchedAssignment[]): void {
    setMatches(this.namespace, (name) => this.tables.map(name), assignments);
  }

  /**
   * Says which network namespace's sockets are meant, and whether the first packet of a related connection waits until connection
   * tracking knows it (`related: conntrack`).
   */
  setHost({ conntrack }: { readonly conntrack: boolean }): void {
    const bytes = new Uint8Array(HOST_SIZE);
    writeHost(viewOf(bytes), 0, { netns: this.namespace.cookie, conntrack: conntrack ? 1 : 0 });
    this.tables.map('host').update(numberKey(0), bytes);
  }

  /**
   * Tells connection tracking that a connection which has not sent a packet yet is related to another; both as who opens them.
   * @throws RELATD_NO_PERMISSION, RELATD_SYSTEM
   */
  relate(connection: TupleRecord, master: TupleRecord): Related {
    this.#conntrack ??= new Conntrack(this.namespace);
    return this.#conntrack.relate(tupleBytes(connection), tupleBytes(master));
  }

  /**
   * Attaches the programs that mark connections which this host opens, so that OUTPUT sees it. After `setHost`.
   * @throws what `attachCgroup` throws: then OUTPUT sees no mark, and everything else works
   */
  attachConnects(): void {
    for (const type of ['sockops', 'connect4', 'connect6'] as const) {
      const program = this.#object.program(`relatd_${CONNECT_PINS[type]}`);
      attachCgroup({ program, type, pin: `${this.directory}/links/${CONNECT_PINS[type]}` });
    }
  }

  /** Replaces what the datapath knows of interfaces. What stays the same is not written. */
  setInterfaces(entries: readonly InterfaceEntry[]): void {
    writeInterfaces(this.tables, entries);
  }

  /** Puts the programs onto an interface; again is harmless. What is attached the other way goes. */
  attach(ifindex: number, hasEthernetHeader: boolean, settings: AttachSettings): 'tcx' | 'clsact' {
    const { namespace } = this;
    let mode: 'tcx' | 'clsact' = 'tcx';
    for (const side of SIDES) {
      const program = this.#object.program(`relatd_${side}${hasEthernetHeader ? '' : '_l3'}`);
      const pin = linkPin(this.directory, ifindex, side);
      const order = settings[side];
      mode = attach({ program, namespace, ifindex, side, mode: settings.mode, order, pin }).mode;
      // Twice on one hook would count every packet twice.
      const other = mode === 'tcx' ? 'clsact' : 'tcx';
      if (hasOurs(namespace, ifindex, side, other)) detachSide(this.namespace, this.directory, ifindex, side, other);
    }
    return mode;
  }

  /** Takes the programs off an interface, which may be gone already. */
  detach(ifindex: number): void {
    detachInterface(this.namespace, this.directory, ifindex);
  }

  /** Interfaces that have programs of ours: pinned links, clsact filters. */
  attachedInterfaces(): number[] {
    const seen = this.namespace.interfaces().filter(({ index }) => attachedSides(this.namespace, index).length > 0);
    return [...new Set([...pinnedInterfaces(this.directory), ...seen.map(({ index }) => index)])];
  }

  /**
   * Begins to read events; the returned function reads what is there at once. `done` gets each batch behind its last record, and the
   * batch is valid until it returns. Neither may throw.
   */
  readEvents(sink: RecordSink, done: (batch: RecordBatch) => void = () => undefined): () => void {
    const buffer = new ArrayBuffer(1 << 20);
    const memory = recordMemory(buffer);
    const record = new RingRecord(memory);
    let delivering = false;
    const deliver = (bytes: number): void => {
      delivering = true;
      try {
        eachRecord(memory, 0, bytes, record, sink);
        done({ memory, bytes });
      } finally {
        delivering = false;
      }
    };
    const ring = new EventRing(this.tables.map('events'), buffer, deliver);
    this.#ring = ring;
    return () => {
      // From within a sink: the batch in the buffer is still being read.
      if (delivering) return;
      for (let bytes = ring.drain(); bytes > 0; bytes = ring.drain()) deliver(bytes);
    };
  }

  /**
   * Makes the hold device and says so to the datapath. `onFrames` gets a batch of frames, views that are valid until
   * it returns; `onGone` when somebody deleted the device.
   */
  hold(onFrames: (frames: Uint8Array[]) => void, onGone: () => void): void {
    this.#hold?.close();
    const hold = new Hold(this.namespace, this.#object.program('relatd_hold'), onFrames, () => {
      hold.close();
      this.#hold = null;
      this.#change({ holdIfindex: 0 });
      onGone();
    });
    this.#hold = hold;
    this.#change({ holdIfindex: hold.ifindex });
  }

  get holdDevice(): string | null {
    return this.#hold?.name ?? null;
  }

  /** Writes frames back: the datapath sends each on from where it was taken. */
  release(frames: readonly Uint8Array[]): void {
    if (frames.length > 0) this.#hold?.release(frames);
  }

  /** Stops serving. Programs, links and tables stay pinned and go on; hold.unavailable rules from now on. */
  close(): void {
    try {
      this.#change({ holdIfindex: 0, stopped: boottimeNs() });
      this.#ring?.close();
      this.#hold?.close();
      this.#conntrack?.close();
    } finally {
      this.tables.close();
      this.#object.close();
      this.#lock.close();
    }
  }
}

function maxEntries(sizes: Sizes): Record<string, number> {
  return {
    flows: sizes.flows,
    flow_slots: sizes.flows,
    flow_free: sizes.flows,
    flow_filter: filterWords(sizes.flows, 0),
    stream_slots: sizes.controls + 1,
    stream_free: sizes.controls,
    expects: sizes.expectations,
    expect_index: sizes.expectations,
    expect_free: sizes.expectations,
    expect_filter: filterWords(sizes.expectations, Limit.filterHosts),
    embryos: floorPower(sizes.embryonic / Limit.embryoWays),
  };
}

// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  BpfObject,
  EventRing,
  HoldDevice,
  attach,
  boottimeNs,
  detach,
  linkInterface,
  lockDirectory,
  mountBpffs,
  query,
  recordHeader,
  records,
  removePins,
  type Attachment,
  type KeptMap,
  type Lock,
  type Namespace,
  type Side,
} from '@relatd/native';
import {
  ASSIGNMENT_NAME_SIZE,
  ASSIGNMENT_PORT_SIZE,
  ASSIGNMENT_SIZE,
  CONFIG_SIZE,
  EventType,
  GUARD_SIZE,
  INTERFACE_KEY_SIZE,
  INTERFACE_SIZE,
  Limit,
  RequestOp,
  readEvent,
  readInterfaceKey,
  readSample,
  writeAssignment,
  writeAssignmentName,
  writeAssignmentPort,
  writeConfig,
  writeGuard,
  writeInterface,
  writeInterfaceKey,
  zeroAssignmentName,
  zeroConfig,
  type AssignmentRecord,
  type ConfigRecord,
  type EventRecord,
  type GuardRecord,
  type InterfaceKeyRecord,
  type InterfaceRecord,
  type RequestRecord,
  type SampleRecord,
} from './generated/layout.js';
import { linkPin, pinDirectory } from './pins.js';
import { Requests, requestOf } from './requests.js';
import { Tables, numberKey, viewOf, type AssignmentName } from './tables.js';
import { tupleOf } from './tuple.js';

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

/** One assignment's port, for {@link Datapath.assign}. */
export interface PortAssignments {
  readonly protocol: number;
  readonly port: number;
  /** Most specific first. */
  readonly entries: readonly AssignmentRecord[];
}

/** Who gets events and samples. */
export interface EventSink {
  event(event: EventRecord): void;
  sample(sample: SampleRecord): void;
}

const OBJECT = fileURLToPath(import.meta.resolve('@relatd/bpf/dist/relatd.bpf.o'));
const HOLD_DEVICE = 'relatd-hold';
const HOLD_QUEUE = 8192;
const SIDES = ['ingress', 'egress'] as const;

/** The largest power of two that is not larger. */
const floorPower = (value: number): number => 2 ** Math.floor(Math.log2(Math.max(1, value)));

/** The pinned state has another layout than this version reads. */
export class LayoutError extends Error {
  readonly code = 'RELATD_LAYOUT';
}

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
  /** Tables that kept the size they had, because live entries stand in them. */
  readonly kept: readonly KeptMap[];
  readonly #object: BpfObject;
  readonly #lock: Lock;
  readonly #requests: Requests;
  #config: ConfigRecord;
  #ring: EventRing | null = null;
  #hold: HoldDevice | null = null;
  /** Kept: the link ends when the collector finds nobody who holds it. */
  #holdLink: Attachment | null = null;

  private constructor(namespace: Namespace, directory: string, lock: Lock, sizes: Sizes) {
    this.namespace = namespace;
    this.directory = directory;
    this.#lock = lock;
    this.adopted = existsSync(`${directory}/maps/config`);
    this.#object = new BpfObject({ file: OBJECT, pins: directory, namespace, maxEntries: maxEntries(sizes) });
    this.kept = this.#object.kept;
    this.tables = new Tables((name) => this.#object.map(name));
    this.#requests = new Requests(this.#object.program('relatd_request'));
    this.#config = this.#initialConfig();
    this.#writeConfig();
    this.tables.map('programs').setProgram(numberKey(0), this.#object.program('relatd_main'));
    this.#sweepArm();
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
    const lock = lockDirectory(directory);
    try {
      const trouble = layoutTrouble(directory);
      if (trouble !== null) {
        if (!discardState) throw new LayoutError(trouble);
        removeState(namespace, directory);
      }
      return new Datapath(namespace, directory, lock, sizes);
    } catch (error) {
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
    for (const directory of dead) removePins(directory);
    return dead.length;
  }

  /** Detaches everything and removes the pins of a namespace. Returns what was removed, a line each. */
  static remove(namespace: Namespace): string[] {
    const directory = pinDirectory(namespace);
    if (!existsSync(directory)) return [];
    const lock = lockDirectory(directory);
    try {
      return removeState(namespace, directory);
    } finally {
      lock.close();
    }
  }

  #initialConfig(): ConfigRecord {
    const previous = this.adopted ? this.tables.config() : zeroConfig();
    const embryonic = this.tables.map('embryos').maxEntries;
    return {
      ...previous,
      layout: Limit.layoutVersion,
      seed: previous.seed === 0n ? randomBytes(8).readBigUInt64LE() : previous.seed,
      releaseMark: randomBytes(4).readUInt32LE() | 1,
      holdIfindex: 0,
      maxFlows: this.tables.map('flows').maxEntries,
      maxControls: this.tables.map('streams').maxEntries,
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
  request(requests: readonly RequestRecord[]): RequestRecord[] {
    return requests.length === 0 ? [] : this.#requests.run(requests);
  }

  /**
   * Puts assignments into force: written to the bank that is not in use, which then becomes the one in use.
   * Flows that exist keep what they have.
   */
  assign(ports: readonly PortAssignments[]): void {
    const bank = 1 - this.#config.bank;
    const before = this.#assignedPorts(this.#config.bank);
    const portMap = this.tables.map('assignment_ports');
    for (const { key } of this.#assignedPorts(bank)) portMap.delete(numberKey(key));
    let first = 0;
    for (const { protocol, port, entries } of ports) {
      for (const [index, entry] of entries.entries()) {
        const bytes = new Uint8Array(ASSIGNMENT_SIZE);
        writeAssignment(viewOf(bytes), 0, entry);
        this.tables.map('assignments').update(numberKey(bank * Limit.assignments + first + index), bytes);
      }
      const bytes = new Uint8Array(ASSIGNMENT_PORT_SIZE);
      writeAssignmentPort(viewOf(bytes), 0, { first, count: entries.length });
      portMap.update(numberKey(portKey(bank, protocol, port)), bytes);
      first += entries.length;
    }
    const portUse = (op: number, list: readonly { protocol: number; port: number }[]): RequestRecord[] =>
      list.map(({ protocol, port }) => requestOf({ op, tuple: tupleOf({ protocol, destinationPort: port }) }));
    this.request(portUse(RequestOp.portTake, ports));
    this.#change({ bank });
    this.request(portUse(RequestOp.portGive, before));
  }

  #assignedPorts(bank: number): { key: number; protocol: number; port: number }[] {
    const { count, keys } = this.tables.map('assignment_ports').entriesSync();
    const view = viewOf(keys);
    return Array.from({ length: count }, (_, index) => view.getUint32(index * 4, true))
      .filter((key) => key >>> 24 === bank)
      .map((key) => ({ key, protocol: (key >> 16) & 0xff, port: key & 0xffff }));
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

  /** Replaces what the datapath knows of interfaces. */
  setInterfaces(entries: readonly { key: InterfaceKeyRecord; value: InterfaceRecord }[]): void {
    const map = this.tables.map('interfaces');
    const wanted = new Set<string>();
    for (const { key, value } of entries) {
      const keyBytes = new Uint8Array(INTERFACE_KEY_SIZE);
      const bytes = new Uint8Array(INTERFACE_SIZE);
      writeInterfaceKey(viewOf(keyBytes), 0, key);
      writeInterface(viewOf(bytes), 0, value);
      map.update(keyBytes, bytes);
      wanted.add(`${String(key.ifindex)}/${String(key.vlan)}`);
    }
    const { count, keys } = map.entriesSync();
    for (let index = 0; index < count; index++) {
      const bytes = keys.subarray(index * INTERFACE_KEY_SIZE, (index + 1) * INTERFACE_KEY_SIZE);
      const key = readInterfaceKey(viewOf(bytes), 0);
      if (!wanted.has(`${String(key.ifindex)}/${String(key.vlan)}`)) map.delete(bytes);
    }
  }

  /** Puts the programs onto an interface; again is harmless. */
  attach(ifindex: number, hasEthernetHeader: boolean, settings: AttachSettings): 'tcx' | 'clsact' {
    let mode: 'tcx' | 'clsact' = 'tcx';
    for (const side of SIDES) {
      const program = this.#object.program(`relatd_${side}${hasEthernetHeader ? '' : '_l3'}`);
      const pin = linkPin(this.directory, ifindex, side);
      const order = settings[side];
      mode = attach({ program, namespace: this.namespace, ifindex, side, mode: settings.mode, order, pin }).mode;
    }
    return mode;
  }

  /** Takes the programs off an interface, which may be gone already. */
  detach(ifindex: number): void {
    detachInterface(this.namespace, this.directory, ifindex);
  }

  /** Interfaces that have link pins of ours. */
  attachedInterfaces(): number[] {
    return pinnedInterfaces(this.directory);
  }

  /** Begins to read events; the returned function reads what is there at once. */
  readEvents(sink: EventSink): () => void {
    const buffer = new ArrayBuffer(1 << 20);
    const view = new DataView(buffer);
    const deliver = (bytes: number): void => {
      for (const { offset } of records(buffer, bytes)) {
        if (view.getUint8(offset) === EventType.sample) sink.sample(readSample(view, offset));
        else sink.event(readEvent(view, offset));
      }
    };
    const ring = new EventRing(this.tables.map('events'), buffer, deliver);
    this.#ring = ring;
    return () => {
      for (let bytes = ring.drain(); bytes > 0; bytes = ring.drain()) deliver(bytes);
    };
  }

  /**
   * Makes the hold device and says so to the datapath. `onFrames` gets a batch of frames, views that are valid until
   * it returns; `onGone` when somebody deleted the device.
   */
  hold(onFrames: (frames: Uint8Array[]) => void, onGone: () => void): void {
    const buffer = new ArrayBuffer(1 << 20);
    const device = new HoldDevice({
      namespace: this.namespace,
      name: HOLD_DEVICE,
      queueLength: HOLD_QUEUE,
      buffer,
      onFrames: (bytes) => {
        onFrames(Array.from(records(buffer, bytes), ({ offset, length }) => new Uint8Array(buffer, offset, length)));
      },
      onGone: () => {
        this.#hold = null;
        this.#change({ holdIfindex: 0 });
        onGone();
      },
    });
    const program = this.#object.program('relatd_hold');
    const { ifindex } = device;
    const { namespace } = this;
    this.#holdLink = attach({ program, namespace, ifindex, side: 'ingress', mode: 'auto', pin: null });
    this.#hold = device;
    this.#change({ holdIfindex: ifindex });
  }

  get holdDevice(): string | null {
    return this.#hold?.name ?? null;
  }

  /** Writes frames back: the datapath sends each on from where it was taken. */
  release(frames: readonly Uint8Array[]): void {
    if (frames.length === 0 || this.#hold === null) return;
    const total = frames.reduce((bytes, frame) => bytes + ((recordHeader + frame.length + 7) & ~7), 0);
    const buffer = new Uint8Array(total);
    const view = new DataView(buffer.buffer);
    let at = 0;
    for (const frame of frames) {
      view.setUint32(at, recordHeader + frame.length, true);
      buffer.set(frame, at + recordHeader);
      at += (recordHeader + frame.length + 7) & ~7;
    }
    this.#hold.write(buffer);
  }

  /** Stops serving. Programs, links and tables stay pinned and go on; hold.unavailable rules from now on. */
  close(): void {
    this.#change({ holdIfindex: 0, stopped: boottimeNs() });
    this.#ring?.close();
    this.#holdLink?.close();
    this.#hold?.close();
    this.tables.close();
    this.#object.close();
    this.#lock.close();
  }
}

/** A program on a hook. */
export interface HookProgram {
  readonly id: number;
  readonly name: string;
  readonly ours: boolean;
}

/** The programs on a hook in the order in which packets meet them; empty when the interface is gone. */
export function chainPrograms(namespace: Namespace, ifindex: number, side: Side): HookProgram[] {
  try {
    return query({ namespace, ifindex, side }).programs.map(({ id, name }) => ({ id, name, ours: isOurs(name) }));
  } catch {
    return [];
  }
}

/** The kernel cuts program names to 15 characters. */
function isOurs(name: string): boolean {
  return /^relatd_(ingress|egress|hold)/.test(name);
}

function portKey(bank: number, protocol: number, port: number): number {
  return ((bank << 24) | (protocol << 16) | port) >>> 0;
}

function maxEntries(sizes: Sizes): Record<string, number> {
  return {
    flows: sizes.flows,
    flow_slots: sizes.flows,
    flow_free: sizes.flows,
    streams: sizes.controls,
    expects: sizes.expectations,
    expect_index: sizes.expectations,
    expect_free: sizes.expectations,
    embryos: floorPower(sizes.embryonic / Limit.embryoWays),
  };
}

/** Why pinned state cannot be taken over; null when it can or there is none. */
function layoutTrouble(directory: string): string | null {
  if (!existsSync(`${directory}/maps/config`)) return null;
  const tables = Tables.pinned(directory);
  try {
    const { layout } = tables.config();
    if (layout === Limit.layoutVersion) return null;
    return `the pinned state has layout ${String(layout)}, this version reads ${String(Limit.layoutVersion)}: stop using it with \`relatd down\`, or start with --discard-state (running transfers stall)`;
  } catch {
    return 'the pinned state is of another version: remove it with `relatd down`, or start with --discard-state (running transfers stall)';
  } finally {
    tables.close();
  }
}

function isDead(directory: string): boolean {
  try {
    const links = readdirSync(`${directory}/links`);
    if (links.length === 0 || links.some((link) => linkInterface(`${directory}/links/${link}`) !== 0)) return false;
    lockDirectory(directory).close();
    return true;
  } catch {
    // Locked, without links (clsact), or going away at this moment: not ours to judge.
    return false;
  }
}

function pinnedInterfaces(directory: string): number[] {
  if (!existsSync(`${directory}/links`)) return [];
  const indexes = readdirSync(`${directory}/links`).map((name) => Number.parseInt(name, 10));
  return [...new Set(indexes)];
}

function detachInterface(namespace: Namespace, directory: string, ifindex: number): void {
  for (const side of SIDES) {
    const pin = linkPin(directory, ifindex, side);
    try {
      detach({ namespace, ifindex, side, mode: 'auto', pin });
    } catch {
      // The interface is gone, and the hook with it.
    }
    if (existsSync(pin)) unlinkSync(pin);
  }
}

function removeState(namespace: Namespace, directory: string): string[] {
  const lines: string[] = [];
  for (const { index, name } of namespace.interfaces()) {
    if (!SIDES.some((side) => chainPrograms(namespace, index, side).some(({ ours }) => ours))) continue;
    detachInterface(namespace, directory, index);
    lines.push(`detached from ${name}`);
  }
  for (const ifindex of pinnedInterfaces(directory)) detachInterface(namespace, directory, ifindex);
  const pins = removePins(directory);
  if (pins > 0) lines.push(`removed ${String(pins)} pins`);
  return lines;
}

// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import type { Machine } from '@relatd/grammar';
import { definitions } from '@relatd/helpers';
import { Namespace as LabNamespace, addressBytes } from '@relatd/lab';
import {
  BpfObject,
  EventRing,
  Namespace,
  records,
  skbField,
  type BpfMap,
  type BpfProgram,
  type TestResult,
} from '@relatd/native';
import {
  ASSIGNMENT_PORT_SIZE,
  ASSIGNMENT_SIZE,
  CONFIG_SIZE,
  FLOW_SIZE,
  GUARD_SIZE,
  Hook,
  INTERFACE_KEY_SIZE,
  INTERFACE_SIZE,
  InterfaceFlag,
  EventType,
  Limit,
  POLICY_SIZE,
  PORT_BITS_SIZE,
  REQUEST_SIZE,
  STREAM_SIZE,
  Reason,
  RequestOp,
  TUPLE_SIZE,
  readEvent,
  readExpect,
  readFlow,
  readRequest,
  readSource,
  readStream,
  readTotals,
  readTuple,
  writeAssignment,
  writeAssignmentPort,
  writeConfig,
  writeGuard,
  writeInterface,
  writeInterfaceKey,
  writePolicy,
  writeRequest,
  zeroAssignment,
  zeroConfig,
  zeroGuard,
  zeroPolicy,
  zeroRequest,
  zeroTuple,
  type ConfigRecord,
  type EventRecord,
  type ExpectRecord,
  type FlowRecord,
  type PolicyRecord,
  type RequestRecord,
  type SampleRecord,
  type SourceRecord,
  type StreamRecord,
  type TotalsRecord,
  type TupleRecord,
} from '../../packages/datapath/src/generated/layout.js';
import { machineBytes } from '../../packages/datapath/src/machine.js';
import { sampleAt } from '../../packages/datapath/src/sample.js';

export { EventType, Reason, RequestOp };

const object = fileURLToPath(new URL('../../bpf/dist/relatd.test.bpf.o', import.meta.url));

/** Small tables: a fresh set is made for every test. */
const sizes = {
  flows: 32,
  flow_slots: 32,
  flow_free: 32,
  stream_slots: 17,
  stream_free: 16,
  machines: 1,
  expects: 16,
  expect_index: 16,
  expect_free: 16,
  embryos: 16,
  events: 65536,
};

export const second = 1_000_000_000n;
export const millisecond = 1_000_000n;

/** Our bits of the mark, and a mark that somebody else has set. */
export const mask = 0xff000000;
export const related = 0x52000000;
export const foreign = 0x00000042;
export const releaseMark = 0x7a11d001;

/** Interfaces in the test namespace; `strange` is not watched, `hold` stands for the TAP. */
export type Port = 'lan' | 'wan' | 'third' | 'strange' | 'tun' | 'hold';
/** Ends of veth pairs, since not every kernel has dummies: test runs only ask whether an interface is there. */
const pairs: readonly (readonly [Port, Port])[] = [
  ['lan', 'wan'],
  ['third', 'strange'],
  ['tun', 'hold'],
];

/** Where a packet is: at which hook of which interface, and by which interface it came into this host. */
export interface Place {
  readonly on: Port;
  readonly side?: 'ingress' | 'egress';
  /** Egress only: the interface by which it came in; none: sent by this host. */
  readonly from?: Port;
  readonly mark?: number;
  readonly priority?: number;
  readonly ethernet?: boolean;
  readonly segments?: number;
}

export type Verdict = 'pass' | 'drop' | 'redirect';
export interface Outcome {
  readonly verdict: Verdict;
  readonly mark: number;
  readonly priority: number;
  readonly data: Uint8Array;
}

export interface AssignmentSpec {
  readonly port?: number;
  readonly protocol?: number;
  readonly id?: number;
  readonly mark?: number;
  readonly interface?: Port;
  readonly from?: string;
  readonly to?: string;
}

/** Interfaces for packets to be on. One per file: `close` it in afterAll. */
export class Wires {
  readonly namespace: Namespace;
  readonly ifindex: Readonly<Record<Port, number>>;
  readonly #lab: LabNamespace;

  private constructor(lab: LabNamespace) {
    this.#lab = lab;
    this.namespace = Namespace.open(lab.name);
    const found = Object.fromEntries(this.namespace.interfaces().map(({ name, index }) => [name, index]));
    this.ifindex = found as Record<Port, number>;
  }

  static async create(): Promise<Wires> {
    const lab = await LabNamespace.create(`relatd-${String(process.pid)}-datapath`);
    for (const [one, other] of pairs) {
      await lab.run('ip', ['link', 'add', one, 'type', 'veth', 'peer', 'name', other]);
      for (const port of [one, other]) await lab.run('ip', ['link', 'set', port, 'up']);
    }
    return new Wires(lab);
  }

  get path(): string {
    return this.#lab.path;
  }

  async close(): Promise<void> {
    this.namespace.close();
    await this.#lab.close();
  }
}

const number32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
};
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const encode = <T>(size: number, write: (view: DataView, at: number, value: T) => void, value: T): Uint8Array => {
  const bytes = new Uint8Array(size);
  write(viewOf(bytes), 0, value);
  return bytes;
};

/** An address in the mapped form that tables use. */
export function mapped(address: string): Uint8Array {
  const bytes = addressBytes(address);
  if (bytes.length === 16) return bytes;
  const full = new Uint8Array(16);
  full.set([0xff, 0xff], 10);
  full.set(bytes, 12);
  return full;
}

/** Prefix and mask of `10.0.0.0/8`; `undefined` covers everything. */
function prefix(text: string | undefined): { address: Uint8Array; mask: Uint8Array; family: number } {
  if (text === undefined) return { address: new Uint8Array(16), mask: new Uint8Array(16), family: 0 };
  const [address = '', length] = text.split('/');
  const four = !address.includes(':');
  const bits = (length === undefined ? (four ? 32 : 128) : Number(length)) + (four ? 96 : 0);
  const bytes = Uint8Array.from({ length: 16 }, (_, at) => 0xff & (0xff00 >> Math.min(8, Math.max(0, bits - at * 8))));
  return { address: mapped(address), mask: bytes, family: four ? 4 : 6 };
}

/** One end of a connection or expectation; port 0 and address null: any. */
export interface End {
  readonly address: string | null;
  readonly port: number;
}

export function tuple(source: End, destination: End, protocol = 6, zone = 0): TupleRecord {
  const address = destination.address ?? source.address ?? '0.0.0.0';
  return {
    ...zeroTuple(),
    source: source.address === null ? new Uint8Array(16) : mapped(source.address),
    destination: mapped(address),
    sourcePort: source.port,
    destinationPort: destination.port,
    protocol,
    family: address.includes(':') ? 6 : 4,
    zone,
  };
}

/** A batch of requests as the program takes it. */
export function requestBytes(list: readonly Partial<RequestRecord>[]): Uint8Array {
  const data = new Uint8Array(Limit.requestHeader + list.length * REQUEST_SIZE);
  const view = viewOf(data);
  // Not an IP type, so that test runs do not look behind the header.
  view.setUint16(12, 0x88b5);
  view.setUint16(14, list.length);
  list.forEach((parts, at) => {
    writeRequest(view, Limit.requestHeader + at * REQUEST_SIZE, { ...zeroRequest(), ...parts });
  });
  return data;
}

const compiled = new Map<string, Uint8Array>();

/** `struct machine` of one of our helpers; compiled once. */
function helperBytes(helper: string): Uint8Array {
  const known = compiled.get(helper);
  if (known !== undefined) return known;
  const result = definitions.find(({ name }) => name === helper)?.compile();
  if (result?.compiled === undefined) throw new Error(`there is no helper ${helper}, or it does not compile`);
  const bytes = machineBytes(result.compiled.machine);
  compiled.set(helper, bytes);
  return bytes;
}

/** The real program with fresh tables, a clock set by hand and `lan`, `wan`, `third` and `tun` watched. */
export class Rig {
  readonly wires: Wires;
  readonly #object: BpfObject;
  readonly #maps = new Map<string, BpfMap>();
  readonly #programs = new Map<string, BpfProgram>();
  readonly #ring: EventRing;
  readonly #batch = new ArrayBuffer(1 << 20);
  #config: ConfigRecord;
  #assigned = new Map<number, number>();
  #now = 1000n * second;

  /** `pins`: a directory in a bpffs, for tests that share the programs with other threads. */
  constructor(wires: Wires, entries: Partial<typeof sizes> = {}, pins: string | null = null) {
    this.wires = wires;
    const maxEntries = { ...sizes, ...entries };
    this.#object = new BpfObject({ file: object, pins, maxEntries });
    this.#config = {
      ...zeroConfig(),
      seed: 0x1234_5678_9abc_def0n,
      holdDeadline: 200n * millisecond,
      idleControl: 432_000n * second,
      idleRelated: 432_000n * second,
      idleHalfOpen: 60n * second,
      idleClosed: 10n * second,
      layout: Limit.layoutVersion,
      markMask: mask,
      releaseMark,
      perSource: 1024,
      maxFlows: maxEntries.flows,
      maxControls: maxEntries.stream_slots - 1,
      maxExpectations: maxEntries.expects,
      embryoMask: maxEntries.embryos - 1,
    };
    this.configure({});
    this.advance(0n);
    for (const port of ['lan', 'wan', 'third', 'tun'] as const) this.watch(port);
    this.#ring = new EventRing(this.map('events'), this.#batch, () => undefined, { intervalMs: 60_000 });
    this.#ring.unref();
  }

  close(): void {
    this.#ring.close();
    for (const map of this.#maps.values()) map.close();
    for (const program of this.#programs.values()) program.close();
    this.#object.close();
  }

  map(name: string): BpfMap {
    const map = this.#maps.get(name) ?? this.#object.map(name);
    this.#maps.set(name, map);
    return map;
  }

  program(name: string): BpfProgram {
    const program = this.#programs.get(name) ?? this.#object.program(name);
    this.#programs.set(name, program);
    return program;
  }

  /** Changes the configuration. */
  configure(change: Partial<ConfigRecord>): void {
    this.#config = { ...this.#config, ...change };
    this.map('config').update(number32(0), encode(CONFIG_SIZE, writeConfig, this.#config));
  }

  get releaseMark(): number {
    return this.#config.releaseMark;
  }

  get now(): bigint {
    return this.#now;
  }

  advance(nanoseconds: bigint): void {
    this.#now += nanoseconds;
    const clock = new Uint8Array(8);
    viewOf(clock).setBigUint64(0, this.#now, true);
    this.map('test_clock').update(number32(0), clock);
  }

  watch(port: Port, options: { zone?: number; vlan?: number; flags?: number; routing?: Port } = {}): void {
    const { zone = 0, vlan = 0, flags = InterfaceFlag.watched, routing = port } = options;
    const ifindex = this.wires.ifindex;
    this.map('interfaces').update(
      encode(INTERFACE_KEY_SIZE, writeInterfaceKey, { ifindex: ifindex[port], vlan }),
      encode(INTERFACE_SIZE, writeInterface, { routing: ifindex[routing], zone, flags }),
    );
  }

  /** Writes the assignments of one port, in the order given, and takes the port into use. */
  assign(...specs: AssignmentSpec[]): void {
    const { port = 21, protocol = 6 } = specs[0] ?? {};
    const first = [...this.#assigned.values()].reduce((sum, count) => sum + count, 0);
    specs.forEach((spec, index) => {
      const from = prefix(spec.from);
      const to = prefix(spec.to);
      const value = {
        ...zeroAssignment(),
        from: from.address,
        fromMask: from.mask,
        to: to.address,
        toMask: to.mask,
        ifindex: spec.interface === undefined ? 0 : this.wires.ifindex[spec.interface],
        mark: spec.mark ?? related,
        id: spec.id ?? index + 1,
        family: from.family || to.family,
      };
      this.map('assignments').update(number32(first + index), encode(ASSIGNMENT_SIZE, writeAssignment, value));
    });
    const key = (protocol << 16) | port;
    this.map('assignment_ports').update(
      number32(key),
      encode(ASSIGNMENT_PORT_SIZE, writeAssignmentPort, { first, count: specs.length }),
    );
    this.#assigned.set(key, specs.length);
    this.#writePortBits();
    this.request({ op: RequestOp.portTake, tuple: { ...zeroTuple(), protocol, destinationPort: port } });
  }

  /** Takes all assignments out again, as a reload would: then nothing uses their ports. */
  unassign(): void {
    for (const key of this.#assigned.keys()) {
      const end = { ...zeroTuple(), protocol: key >>> 16, destinationPort: key & 0xffff };
      this.map('assignment_ports').delete(number32(key));
      this.request({ op: RequestOp.portGive, tuple: end });
    }
    this.#assigned.clear();
    this.#writePortBits();
  }

  #writePortBits(): void {
    for (const udp of [0, 1]) {
      const bits = new Uint8Array(PORT_BITS_SIZE);
      for (const key of this.#assigned.keys())
        if (key >>> 16 === (udp === 1 ? 17 : 6))
          bits[(key & 0xffff) >> 3] = (bits[(key & 0xffff) >> 3] ?? 0) | (1 << (key & 7));
      this.map('assigned_ports').update(number32(udp), bits);
    }
  }

  /** Takes so many ports into use that the filter of ports lets everything through. */
  crowdPorts(): void {
    const ports = Array.from({ length: 16_385 }, (_, at) => ({
      op: RequestOp.portTake,
      tuple: { ...zeroTuple(), protocol: 6, destinationPort: 1 + at },
    }));
    for (let at = 0; at < ports.length; at += Limit.requestBatch)
      this.requests(ports.slice(at, at + Limit.requestBatch));
  }

  /** Puts a machine, or that of one of our helpers, into a place in the tables, by default the first; what policies call it. */
  load(helper: string | Machine, machine = 1): number {
    const bytes = typeof helper === 'string' ? helperBytes(helper) : machineBytes(helper);
    this.map('machines').update(number32(machine - 1), bytes);
    return machine;
  }

  /** What an assignment allows, and which machine reads its control connections: see `struct policy`. */
  allow(policy: Partial<PolicyRecord> = {}, id = 1): void {
    const all = { ...zeroPolicy(), machine: 1, fromPort: 1024, toPort: 65535, limit: 1, timeout: 300n * second };
    this.map('policies').update(number32(id), encode(POLICY_SIZE, writePolicy, { ...all, ...policy }));
  }

  guard(...specs: { to: string; ports: readonly [number, number] }[]): void {
    specs.forEach(({ to, ports: [fromPort, toPort] }, index) => {
      const { address, mask: bits, family } = prefix(to);
      const value = { ...zeroGuard(), to: address, mask: bits, fromPort, toPort, family };
      this.map('guards').update(number32(index), encode(GUARD_SIZE, writeGuard, value));
    });
    this.configure({ guards: specs.length });
  }

  /** Runs the program on a packet. */
  packet(bytes: Uint8Array, place: Place): Outcome {
    const { namespace } = this.wires;
    return outcome(this.program('relatd_main').testRun({ data: bytes, ctx: this.context(place), namespace }));
  }

  /** The struct __sk_buff of a packet at a place. */
  context(place: Place): Uint8Array {
    const { on, side = 'ingress', from, mark = 0, priority = 0, ethernet = true, segments = 0 } = place;
    const ctx = new Uint8Array(192);
    const words = new Uint32Array(ctx.buffer);
    words[skbField.mark / 4] = mark;
    words[skbField.priority / 4] = priority;
    words[skbField.ifindex / 4] = this.wires.ifindex[on];
    const incoming = side === 'ingress' ? on : from;
    words[skbField.ingressIfindex / 4] = incoming === undefined ? 0 : this.wires.ifindex[incoming];
    words[skbField.cb / 4] = (side === 'ingress' ? Hook.ingress : Hook.egress) | (ethernet ? 0 : Hook.noEthernet);
    // gso_segs is at 164, gso_size at 176 in struct __sk_buff.
    words[164 / 4] = segments;
    return ctx;
  }

  /** A frame written back into the hold device. */
  holdReturn(bytes: Uint8Array): Outcome {
    const run = { data: bytes, ifindex: this.wires.ifindex.hold, cb: [Hook.hold], namespace: this.wires.namespace };
    return outcome(this.program('relatd_main').testRun(run));
  }

  requests(list: readonly Partial<RequestRecord>[]): RequestRecord[] {
    const answer = this.program('relatd_request').testRun({ data: requestBytes(list) });
    if (answer.verdict !== 0) throw new Error(`requests refused: ${String(answer.verdict)}`);
    return list.map((_, at) => readRequest(viewOf(answer.data), Limit.requestHeader + at * REQUEST_SIZE));
  }

  request(parts: Partial<RequestRecord>): RequestRecord {
    const [answer] = this.requests([parts]);
    if (answer === undefined) throw new Error('no answer');
    return answer;
  }

  /** One tick of the sweep; `all`: a whole round. */
  sweep(all = true): void {
    const data = new Uint8Array(16);
    for (let tick = 0; tick < (all ? 40 : 1); tick++) {
      this.program('relatd_sweep').testRun({ data, cb: [0] });
    }
  }

  /** Starts the timer that sweeps by itself. */
  arm(): number {
    const run = { data: new Uint8Array(16), cb: [Limit.sweepArm] };
    return this.program('relatd_sweep').testRun(run).verdict;
  }

  totals(): TotalsRecord {
    return readTotals(viewOf(this.map('totals').lookup(number32(0)) ?? new Uint8Array()), 0);
  }

  flows(): { key: TupleRecord; flow: FlowRecord }[] {
    const { count, keys, values } = this.map('flows').entriesSync();
    return Array.from({ length: count }, (_, at) => ({
      key: readTuple(viewOf(keys), at * TUPLE_SIZE),
      flow: readFlow(viewOf(values), at * FLOW_SIZE),
    }));
  }

  /** The one flow that there is. */
  flow(): FlowRecord {
    const [entry, more] = this.flows();
    if (entry === undefined || more !== undefined) throw new Error('there is not exactly one flow');
    return entry.flow;
  }

  stream({ id, stream }: FlowRecord): StreamRecord {
    const value = this.map('stream_slots').lookup(number32(stream));
    const record = value === null ? null : readStream(viewOf(value), 0);
    if (record?.flow !== id) throw new Error(`no stream of flow ${String(id)}`);
    return record;
  }

  /** How many entries of the table of streams belong to a flow. */
  streams(): number {
    const { count, values } = this.map('stream_slots').entriesSync();
    const used = Array.from({ length: count }, (_, at) => viewOf(values).getBigUint64(at * STREAM_SIZE, true));
    return used.filter((flow) => flow !== 0n).length;
  }

  expectations(): ExpectRecord[] {
    const { count, values } = this.map('expect_index').entriesSync();
    return Array.from({ length: count }, (_, at) => {
      const record = this.map('expects').lookup(number32(viewOf(values).getUint32(at * 4, true)));
      return readExpect(viewOf(record ?? new Uint8Array()), 0);
    });
  }

  /** How often each reason was counted, those with 0 left out. */
  counters(): Partial<Record<keyof typeof Reason, number>> {
    const map = this.map('counters');
    const { count, keys, values } = map.entriesSync();
    const names = Object.fromEntries(Object.entries(Reason).map(([name, value]) => [value, name]));
    const result: Partial<Record<keyof typeof Reason, number>> = {};
    for (let at = 0; at < count; at++) {
      let total = 0n;
      for (let cpu = 0; cpu < map.valueStride; cpu += 8) {
        total += viewOf(values).getBigUint64(at * map.valueStride + cpu, true);
      }
      const name = names[viewOf(keys).getUint32(at * 4, true)] as keyof typeof Reason;
      if (total > 0n) result[name] = Number(total);
    }
    return result;
  }

  /** All sources with anything in use. */
  sources(): SourceRecord[] {
    const { count, values } = this.map('sources').entriesSync();
    return Array.from({ length: count }, (_, at) => readSource(viewOf(values), at * 24)).filter(
      ({ controls, expectations }) => controls !== 0 || expectations !== 0,
    );
  }

  /** Users of each port in use, by `tcp/21`. */
  ports(): Record<string, number> {
    const { count, keys, values } = this.map('ports').entriesSync();
    const used: Record<string, number> = {};
    for (let at = 0; at < count; at++) {
      const users = viewOf(values).getUint32(at * 4, true);
      const port = viewOf(keys).getUint32(at * 4, true);
      if (users !== 0) used[`${port < 65536 ? 'tcp' : 'udp'}/${String(port & 0xffff)}`] = users;
    }
    return used;
  }

  /** The events since the last call, samples left out. */
  events(): EventRecord[] {
    return this.#drain().flatMap((view) => (view.getUint8(0) === EventType.sample ? [] : [readEvent(view, 0)]));
  }

  /** Types and reasons of the events since the last call, as `controlEnd fin`. */
  eventNames(): string[] {
    const name = (list: Readonly<Record<string, number>>, value: number): string =>
      Object.keys(list).find((key) => list[key] === value) ?? String(value);
    return this.events().map(({ type, reason }) =>
      reason === Reason.none ? name(EventType, type) : `${name(EventType, type)} ${name(Reason, reason)}`,
    );
  }

  samples(): SampleRecord[] {
    return this.#drain().flatMap((view) =>
      view.getUint8(0) === EventType.sample ? [sampleAt(view, 0, view.byteLength)] : [],
    );
  }

  /** Looks at each record since the last call, samples among them, where it lies: valid until the function returns. */
  scan(each: (record: DataView) => void): void {
    for (let bytes = this.#ring.drain(); bytes > 0; bytes = this.#ring.drain()) {
      for (const { offset, length } of records(this.#batch, bytes)) each(new DataView(this.#batch, offset, length));
    }
  }

  #drain(): DataView[] {
    const found: DataView[] = [];
    for (let bytes = this.#ring.drain(); bytes > 0; bytes = this.#ring.drain()) {
      for (const { offset, length } of records(this.#batch, bytes)) {
        found.push(new DataView(this.#batch.slice(offset, offset + length)));
      }
    }
    return found;
  }

  /**
   * What is left behind once everything has ended and the assignments are taken out: must be all zero. Ends nothing by
   * itself.
   */
  leaks(): Record<string, unknown> {
    this.unassign();
    const { flows, controls, expectations, ports: distinct, shapes } = this.totals();
    return {
      flows,
      controls,
      expectations,
      distinct,
      shapes,
      ports: this.ports(),
      sources: this.sources(),
      flowTable: this.flows().length,
      streamTable: this.streams(),
      parked: this.map('parked').entriesSync().count,
      expectTable: this.expectations().length,
    };
  }
}

/** What {@link Rig.leaks} gives when nothing leaked. */
export const nothing = {
  flows: 0,
  controls: 0,
  expectations: 0,
  distinct: 0,
  shapes: [0, 0, 0, 0],
  ports: {},
  sources: [],
  flowTable: 0,
  streamTable: 0,
  parked: 0,
  expectTable: 0,
};

const verdicts: Readonly<Record<number, Verdict>> = { [-1]: 'pass', 2: 'drop', 7: 'redirect' };

function outcome(result: TestResult): Outcome {
  const verdict = verdicts[result.verdict];
  if (verdict === undefined) throw new Error(`verdict ${String(result.verdict)}`);
  if (result.ctx.length === 0) return { verdict, mark: 0, priority: 0, data: result.data };
  const view = viewOf(result.ctx);
  return {
    verdict,
    mark: view.getUint32(skbField.mark, true),
    priority: view.getUint32(skbField.priority, true),
    data: result.data,
  };
}

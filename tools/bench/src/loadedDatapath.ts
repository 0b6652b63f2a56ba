// SPDX-License-Identifier: Apache-2.0
import {
  Datapath,
  HoldPolicy,
  InterfaceFlag,
  Limit,
  RequestOp,
  requestOf,
  tupleOf,
  type RecordSink,
  type Namespace,
  type RequestAnswer,
  type RequestRecord,
  type Sizes,
} from '@relatd/datapath';
import { definitions } from '@relatd/helpers';
import { BpfProgram } from '@relatd/native';
import { atEnd } from './cleanup.js';
import { FLAG, header } from './header.js';
import { CONTROL_PORT, PER_MASTER, dataConnection, dataPort, master, type Connection, type End } from './plan.js';
import type { Ring } from './ring.js';

const DAY = 86_400_000_000_000n;
const RELATED = 0x5200_0000;
const ASSIGNMENT = 1;
export const MARK_MASK = 0xff00_0000;

/** Sequence numbers of every connection of the plan behind its handshake. */
export const CLIENT_NEXT = 1001;
export const SERVER_NEXT = 5001;

/** Tables that have room for what the benchmarks load; the same in all that are compared. */
export const ROOMY: Sizes = { flows: 262_144, controls: 131_072, expectations: 196_608, embryonic: 32_768 };

const nobody: RecordSink = () => undefined;

/** The interfaces on which a datapath sees clients and servers. */
export interface Sides {
  readonly client: number;
  readonly server: number;
}

/**
 * The datapath of a namespace, without a daemon: connections are made by packets of test runs, expectations by requests.
 * Assigned is port 21. Remove it with {@link close}.
 */
export class LoadedDatapath {
  readonly datapath: Datapath;
  readonly main: BpfProgram;
  readonly requestProgram: BpfProgram;
  readonly sides: Sides;
  readonly namespace: Namespace;
  readonly #drain: () => void;
  readonly #withdraw: () => void;

  constructor(namespace: Namespace, sides: Sides, sizes: Sizes = ROOMY) {
    this.namespace = namespace;
    this.sides = sides;
    this.datapath = Datapath.open(namespace, sizes, true);
    this.#withdraw = atEnd(() => {
      this.close();
    });
    const { directory } = this.datapath;
    this.main = BpfProgram.openPinned(`${directory}/programs/relatd_main`);
    this.requestProgram = BpfProgram.openPinned(`${directory}/programs/relatd_request`);
    this.datapath.configure({
      markMask: MARK_MASK,
      holdPolicy: HoldPolicy.pass,
      // Nothing answers what test runs hold.
      holdDeadline: DAY,
      idleControl: DAY,
      idleRelated: DAY,
      idleHalfOpen: DAY,
      idleClosed: DAY,
      perSource: 1 << 30,
    });
    const any = new Uint8Array(16);
    const id = ASSIGNMENT;
    const assignment = { from: any, fromMask: any, to: any, toMask: any, ifindex: 0, mark: RELATED, id, family: 0 };
    this.datapath.assign([{ protocol: 6, port: CONTROL_PORT, entries: [assignment] }]);
    this.datapath.setInterfaces(
      [sides.client, sides.server].map((ifindex) => ({
        key: { ifindex, vlan: 0 },
        value: { routing: ifindex, zone: 0, flags: InterfaceFlag.watched },
      })),
    );
    this.#drain = this.datapath.readEvents(nobody);
  }

  /** Lets the tables of the FTP helper decide from here on; without them user space does. As by default, one expectation per connection. */
  walkTables(): void {
    const definition = definitions.find(({ name }) => name === 'ftp');
    const machine = definition?.compile().compiled?.machine;
    if (machine === undefined) throw new Error('the FTP helper cannot be compiled');
    const number = this.datapath.loadMachine(machine, new Set());
    const policy = { timeout: DAY, fromPort: 1024, toPort: 65_535, machine: number, limit: 1, thirdParty: 0 };
    this.datapath.setPolicy(ASSIGNMENT, policy);
  }

  /** Puts the programs onto both interfaces. */
  attach(): void {
    for (const ifindex of [this.sides.client, this.sides.server])
      this.datapath.attach(ifindex, true, { mode: 'auto', ingress: 'first', egress: 'last' });
  }

  /** Makes control connections number `first` up to `first + count - 1` by their handshakes. */
  masters(ring: Ring, count: number, first = 0): void {
    const connections = Array.from({ length: count }, (_, at) => master(first + at));
    this.#handshakes(ring, connections, [FLAG.syn, FLAG.syn | FLAG.ack, FLAG.ack]);
    const { controls } = this.datapath.tables.totals();
    if (controls < first + count)
      throw new Error(`only ${String(controls)} of ${String(first + count)} control connections were made`);
  }

  /** Makes related flows number `first` up to `first + count - 1`, established; their masters must be there. */
  relatedFlows(ring: Ring, first: number, count: number): void {
    const before = this.datapath.tables.totals().flows;
    this.expect(first, count);
    const connections = Array.from({ length: count }, (_, at) => dataConnection(first + at));
    this.#handshakes(ring, connections, [FLAG.syn, FLAG.syn | FLAG.ack]);
    const made = this.datapath.tables.totals().flows - before;
    if (made !== count) throw new Error(`only ${String(made)} of ${String(count)} related flows were made`);
  }

  /** Pushes expectations number `first` up to `first + count - 1`. */
  expect(first: number, count: number): void {
    const chunk = 4800;
    for (let at = first; at < first + count; at += chunk) {
      const requests = expectRequests(at, Math.min(chunk, first + count - at));
      const refused = this.datapath.request(requests).find(({ result }) => result !== 0);
      if (refused !== undefined) throw new Error(`an expectation was refused: reason ${String(refused.result)}`);
      this.drain();
    }
  }

  /** Reads the events that have come: an unread ring is full soon, and then cheaper to write. */
  drain(): void {
    this.#drain();
  }

  close(): void {
    this.#withdraw();
    const { namespace } = this;
    this.main.close();
    this.requestProgram.close();
    this.datapath.close();
    Datapath.remove(namespace, true);
  }

  #handshakes(ring: Ring, connections: readonly Connection[], steps: readonly number[]): void {
    for (let at = 0; at < connections.length; at += ring.size) {
      const piece = connections.slice(at, at + ring.size);
      for (const flags of steps) {
        const reply = flags === (FLAG.syn | FLAG.ack);
        const seq = reply ? SERVER_NEXT - 1 : CLIENT_NEXT - (flags === FLAG.syn ? 1 : 0);
        const ack = reply ? CLIENT_NEXT : flags === FLAG.syn ? 0 : SERVER_NEXT;
        ring.once(
          piece.map((connection) => header(connection, { flags, reply, seq, ack })),
          this,
          reply,
        );
        this.drain();
      }
    }
  }
}

/** Requests for expectations by the plan, each from its control connection's tuple and a port, as the engine makes them. */
export function expectRequests(first: number, count: number): RequestRecord[] {
  const requests: RequestRecord[] = [];
  let owner = tuple(master(Math.floor(first / PER_MASTER)));
  for (let index = first; index < first + count; index++) {
    if (index % PER_MASTER === 0) owner = tuple(master(index / PER_MASTER));
    const { source, destination, protocol, family } = owner;
    const data = tupleOf({ source, destination, destinationPort: dataPort(index), protocol, family });
    requests.push(requestOf({ op: RequestOp.expect, limit: PER_MASTER, timeout: DAY, master: owner, tuple: data }));
  }
  return requests;
}

/** Requests that take expectations away again, from the answers to those that made them. */
export function removalRequests(answers: readonly RequestAnswer[]): RequestRecord[] {
  return answers.map(({ id, slot }) => requestOf({ op: RequestOp.unexpect, id, slot }));
}

/** The largest number of requests in one call of the kernel. */
export const BATCH: number = Limit.requestBatch;

function tuple({ source, destination }: Connection): RequestRecord['tuple'] {
  return tupleOf({
    source: mapped(source),
    destination: mapped(destination),
    sourcePort: source.port,
    destinationPort: destination.port,
    protocol: 6,
    family: 4,
  });
}

function mapped({ address }: End): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(10, 0xffff);
  view.setUint32(12, address);
  return bytes;
}

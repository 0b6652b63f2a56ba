// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import {
  FlowFlag,
  FlowKind,
  RequestOp,
  StreamFlag,
  readHeldFrame,
  requestOf,
  sortTuple,
  tupleBytes,
  tupleId,
  type Datapath,
  type EventRecord,
  type FlowEntry,
  type SampleRecord,
  type StreamRecord,
  type TupleRecord,
} from '@relatd/datapath';
import type { Helper } from '@relatd/helpers';
import { REASONS, type Reason } from '@relatd/model';
import {
  ControlConnection,
  type ControlSegment,
  type DetailBox,
  type DirectionName,
  type Outcome,
} from './connection.js';
import { openerTuple, reasonOf } from './convert.js';
import { sequenceDistance } from './segments.js';

/** What the control connections need from the rest of the engine. */
export interface ConnectionsContext {
  readonly datapath: Datapath;
  /** The assignment of a number; null when it is no longer configured. */
  assignment(id: number): Assignment | null;
  helper(name: string): Helper | null;
  /** An announcement was turned down. */
  refused(connection: ControlConnection, expect: Outcome['refusals'][number]['expect'], reason: Reason): void;
}

const DIRECTIONS: readonly DirectionName[] = ['original', 'reply'];

/** All control connections that are parsed, from held frames, samples and events to requests and releases. */
export class Connections {
  readonly #context: ConnectionsContext;
  readonly #byTuple = new Map<string, ControlConnection>();
  readonly #byId = new Map<bigint, ControlConnection>();
  readonly #boxes = new Map<bigint, DetailBox>();

  constructor(context: ConnectionsContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#byId.size;
  }

  byId(id: bigint): ControlConnection | undefined {
    return this.#byId.get(id);
  }

  /** What an expectation was announced for; forgotten with the call, because it is asked when it is over. */
  takeBox(expectation: bigint): DetailBox | undefined {
    const box = this.#boxes.get(expectation);
    this.#boxes.delete(expectation);
    return box;
  }

  /** Judges a batch of held frames: expectations go in first, then the frames go on. */
  frames(frames: readonly Uint8Array[]): void {
    const outcome: Outcome = { requests: [], refusals: [], frames: [] };
    for (const frame of frames) {
      const segment = readHeldFrame(frame);
      if (segment === null) continue;
      const { connection, direction } = this.#find(segment.tuple, outcome);
      // A flow that is gone: the datapath has nowhere to send the frame, and its sender repeats it.
      if (connection === null) outcome.frames.push(frame);
      else this.#push(connection, { ...segment, direction, frame }, outcome);
    }
    this.#commit(outcome);
  }

  /** A payload that went on unjudged is still read, so that the dialogue can be followed. */
  sample(sample: SampleRecord): void {
    const outcome: Outcome = { requests: [], refusals: [], frames: [] };
    const { connection, direction } = this.#find(sample.tuple, outcome);
    if (connection !== null && sample.length <= sample.data.length) {
      const payload = sample.data.subarray(0, sample.length);
      const { seq, tcpFlags: flags } = sample;
      this.#push(connection, { direction, seq, flags, urgent: 0, payload, intact: true, frame: null }, outcome);
    }
    this.#commit(outcome);
  }

  /** A control connection began. */
  began(event: EventRecord): void {
    this.#adopt({ key: sortTuple(event.tuple).key, flow: event.flow }, null);
  }

  ended(id: bigint): void {
    const connection = this.#byId.get(id);
    if (connection === undefined) return;
    this.#byId.delete(id);
    const key = tupleId(sortTuple(connection.tuple).key);
    if (this.#byTuple.get(key) === connection) this.#byTuple.delete(key);
  }

  /** The datapath no longer trusts a connection. */
  distrusted(id: bigint, reason: number): void {
    const connection = this.#byId.get(id);
    if (connection !== undefined) connection.distrusted ??= reasonOf(reason);
  }

  /** Held packets of a connection waited too long, but we are here again: hold its packets as before. */
  attend(tuple: TupleRecord): void {
    this.#context.datapath.request(attendRequests(tuple));
  }

  /** Forgets what the tables no longer have: the event of its end may have been lost. */
  prune(flows: ReadonlySet<bigint>, expectations: ReadonlySet<bigint>): void {
    for (const id of this.#byId.keys()) if (!flows.has(id)) this.ended(id);
    for (const id of this.#boxes.keys()) if (!expectations.has(id)) this.#boxes.delete(id);
  }

  /** Takes over what a daemon before us left. */
  async adoptAll(): Promise<number> {
    const entries = await this.#context.datapath.tables.flows();
    let count = 0;
    for (const entry of entries) {
      if (entry.flow.kind !== FlowKind.control || entry.flow.ended !== 0) continue;
      if (this.#adopt(entry, this.#context.datapath.tables.stream(entry.flow.id)) !== null) count++;
    }
    return count;
  }

  #commit({ requests, refusals, frames }: Outcome): void {
    const answers = this.#context.datapath.request(requests.map(({ request }) => request));
    answers.forEach((answer, index) => requests[index]?.answered?.(answer));
    for (const { connection, expect, reason } of refusals) this.#context.refused(connection, expect, reason);
    this.#context.datapath.release(frames);
  }

  #push(connection: ControlConnection, segment: ControlSegment, outcome: Outcome): void {
    const { direction, seq } = segment;
    if (connection.distrusted === null && sequenceDistance(seq, connection.next(direction)) > 0) {
      // A gap. If the datapath is ahead of us, bytes went on unseen and will not come: go on behind them.
      const entry = this.#context.datapath.tables.flow(connection.tuple);
      const next = entry?.flow.side[direction === 'original' ? 0 : 1]?.next;
      if (next !== undefined && sequenceDistance(next, connection.next(direction)) > 0)
        connection.skip(direction, next, outcome);
    }
    const wasRecognised = connection.parser.recognised;
    connection.push(segment, outcome);
    if (connection.parser.recognised && !wasRecognised)
      outcome.requests.push({ request: requestOf({ op: RequestOp.trust, master: connection.tuple, reason: 0 }) });
  }

  #find(tuple: TupleRecord, outcome: Outcome): { connection: ControlConnection | null; direction: DirectionName } {
    const { key } = sortTuple(tuple);
    let connection = this.#byTuple.get(tupleId(key)) ?? null;
    if (connection === null) {
      const entry = this.#context.datapath.tables.flow(key);
      if (entry?.flow.kind === FlowKind.control && entry.flow.ended === 0) {
        connection = this.#adopt(entry, this.#context.datapath.tables.stream(entry.flow.id), outcome);
      }
    }
    const original =
      connection !== null && tupleBytes(connection.tuple).every((byte, index) => byte === tupleBytes(tuple)[index]);
    return { connection, direction: original ? 'original' : 'reply' };
  }

  /**
   * Begins to parse a flow of the datapath. One that lived before us may be parsed on only if its dialogue was recognised
   * then, or if none of it has gone by unseen.
   */
  #adopt(entry: FlowEntry, stream: StreamRecord | null, outcome?: Outcome): ControlConnection | null {
    const { flow } = entry;
    const known = this.#byId.get(flow.id);
    if (known !== undefined) return known;
    const assignment = this.#context.assignment(flow.assignment);
    const helper = assignment === null ? null : this.#context.helper(assignment.helper);
    if (assignment === null || helper === null) return null;

    const skipped = stream?.side.some(({ flags }) => (flags & StreamFlag.skipped) !== 0) ?? false;
    const whole = flow.created >= this.#context.datapath.started && !skipped;
    const recognised = (flow.flags & FlowFlag.recognised) !== 0;
    const tuple = openerTuple(entry);
    const connection = new ControlConnection({
      id: flow.id,
      tuple,
      translated: (flow.flags & FlowFlag.translated) !== 0,
      assignment,
      parser: helper.create({ adopted: !whole }),
      next: { original: flow.side[0]?.next ?? 0, reply: flow.side[1]?.next ?? 0 },
      expected: (id, box) => this.#boxes.set(id, box),
    });
    if (flow.trust !== 0) connection.distrusted = reasonOf(flow.trust);
    else if (!whole && !recognised) {
      connection.distrusted = 'gap';
      const request = requestOf({ op: RequestOp.trust, master: tuple, reason: REASONS.indexOf('gap') });
      if (outcome === undefined) this.#context.datapath.request([request]);
      else outcome.requests.push({ request });
    } else if (!whole) {
      for (const direction of DIRECTIONS) connection.parser.resync(direction);
    }
    if (stream?.side.some(({ flags }) => flags !== 0) === true) this.attend(tuple);
    this.#byId.set(flow.id, connection);
    this.#byTuple.set(tupleId(entry.key), connection);
    return connection;
  }
}

function attendRequests(tuple: TupleRecord): ReturnType<typeof requestOf>[] {
  return [0, 1].map((direction) => requestOf({ op: RequestOp.attend, master: tuple, direction }));
}

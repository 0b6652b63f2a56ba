// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import {
  DialogueFlag,
  FlowFlag,
  FlowKind,
  RequestOp,
  StreamFlag,
  readHeldFrame,
  requestOf,
  sortTuple,
  tupleId,
  type Datapath,
  type EventRecord,
  type ExpectRecord,
  type FlowEntry,
  type SampleRecord,
  type StreamRecord,
  type TupleRecord,
} from '@relatd/datapath';
import type { Helper } from '@relatd/helpers';
import { REASONS, reasonOf } from '@relatd/model';
import {
  ControlConnection,
  trustRequest,
  type ControlSegment,
  type DetailBox,
  type DirectionName,
} from './connection.js';
import { openerTuple } from './convert.js';
import { emptyOutcome, type Outcome, type Refusal } from './outcome.js';
import { Budget, sequenceDistance } from './segments.js';

/** What the control connections need of the datapath. */
export type ConnectionsDatapath = Pick<Datapath, 'request' | 'release' | 'started'> & {
  readonly tables: Pick<Datapath['tables'], 'flow' | 'flows' | 'stream' | 'expectation'>;
};

/** What the control connections need from the rest of the engine. */
export interface ConnectionsContext {
  readonly datapath: ConnectionsDatapath;
  /** The assignment of a number; null when it is no longer configured. */
  assignment(id: number): Assignment | null;
  helper(name: string): Helper | null;
  /** Brings what is kept of a connection here, before anything else of it is looked at. */
  read(id: bigint): void;
  /** A held packet is read. */
  heard(connection: ControlConnection, segment: ControlSegment): void;
  /** An announcement was turned down. */
  refused(refusal: Refusal): void;
  /** A fault of ours: what it concerns goes on unparsed. */
  failed(error: unknown): void;
}

const DIRECTIONS: readonly DirectionName[] = ['original', 'reply'];
const DECIDED = REASONS.indexOf('decided');

/** All control connections that are parsed, from held frames, samples and events to requests and releases. */
export class Connections {
  readonly #context: ConnectionsContext;
  readonly #byTuple = new Map<string, ControlConnection>();
  readonly #byId = new Map<bigint, ControlConnection>();
  readonly #boxes = new Map<bigint, DetailBox>();
  /** Those whose samples wait for something that may still be on its way. */
  readonly #behind = new Set<ControlConnection>();
  readonly #budget = new Budget();

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

  /** The datapath expects what a connection announced. */
  expected(expect: Pick<ExpectRecord, 'live' | 'tuple' | 'master'>): void {
    this.#byId.get(expect.master)?.sawExpectation(expect);
  }

  /** An expectation was given back under another id: it is for what its master's last announcement is for. */
  gaveBack(expectation: bigint, master: bigint): void {
    const box = this.#byId.get(master)?.box;
    if (box !== undefined) this.#boxes.set(expectation, box);
  }

  /** Judges a batch of held frames: expectations go in first, then the frames go on. */
  frames(frames: readonly Uint8Array[]): void {
    const outcome = emptyOutcome();
    for (const frame of frames) {
      try {
        this.#judge(frame, outcome);
      } catch (error) {
        this.#context.failed(error);
        outcome.frames.push(frame);
      }
    }
    this.#commit(outcome);
  }

  #judge(frame: Uint8Array, outcome: Outcome): void {
    const segment = readHeldFrame(frame);
    const found = segment === null ? null : this.#find({ ...segment, held: true }, outcome);
    // Not readable, or of a flow that is gone: the datapath knows better what to do with it.
    if (segment === null || found === null) outcome.frames.push(frame);
    else {
      const held = { ...segment, direction: found.direction, frame, decided: false };
      this.#context.heard(found.connection, held);
      this.#push(found.connection, held, outcome);
    }
  }

  /** A payload that went on unjudged is still read, so that the dialogue can be followed. */
  sample({ flow, direction: side, tuple, seq, tcpFlags: flags, length, data, reason }: SampleRecord): void {
    if (length > data.length) return;
    const outcome = emptyOutcome();
    const known = this.#byId.get(flow);
    const found =
      known === undefined
        ? this.#find({ tuple, seq, held: false }, outcome)
        : { connection: known, direction: DIRECTIONS[side] ?? 'original' };
    if (found !== null) {
      const { connection, direction } = found;
      const decided = reason === DECIDED;
      const segment = { direction, seq, flags, urgent: 0, payload: data, intact: true, frame: null, decided };
      this.#push(connection, segment, outcome);
    }
    this.#commit(outcome);
  }

  /**
   * A control connection began. Its event tells where its streams begin: what has gone on meanwhile comes as samples, even if
   * nobody was here then, and what does not come is seen as a gap.
   */
  began(event: Pick<EventRecord, 'tuple' | 'flow'>): void {
    this.#adopt({ key: sortTuple(event.tuple).key, flow: event.flow }, true, emptyOutcome());
  }

  ended(id: bigint): void {
    const connection = this.#byId.get(id);
    if (connection === undefined) return;
    connection.close();
    this.#behind.delete(connection);
    this.#byId.delete(id);
    const key = tupleId(sortTuple(connection.tuple).key);
    if (this.#byTuple.get(key) === connection) this.#byTuple.delete(key);
  }

  /** The datapath no longer trusts a connection. */
  distrusted(id: bigint, reason: number): void {
    const outcome = emptyOutcome();
    this.#byId.get(id)?.abandoned(reasonOf(reason), outcome);
    this.#commit(outcome);
  }

  /** Held packets of a connection waited too long, but we are here again: hold its packets as before. */
  attend(tuple: TupleRecord): void {
    this.#context.datapath.request(
      [0, 1].map((direction) => requestOf({ op: RequestOp.attend, master: tuple, direction })),
    );
  }

  /** Assignments changed: announcements are judged by the new ones; of one that is gone, as before. */
  reassign(): void {
    for (const connection of this.#byId.values())
      connection.assignment = this.#context.assignment(connection.assignmentId) ?? connection.assignment;
  }

  /** Goes on behind what went by unseen and did not come after all. */
  catchUp(): void {
    const outcome = emptyOutcome();
    for (const connection of this.#behind) {
      const entry = this.#context.datapath.tables.flow(connection.tuple);
      if (entry?.flow.id === connection.id)
        for (const direction of DIRECTIONS) skipUnseen(connection, direction, entry, outcome);
    }
    this.#behind.clear();
    this.#commit(outcome);
  }

  /** The connections and expectations known now, to be compared with tables that are read later. */
  known(): { connections: bigint[]; boxes: bigint[] } {
    this.#readAll();
    return { connections: [...this.#byId.keys()], boxes: [...this.#boxes.keys()] };
  }

  /** An expectation that is gone may have become a flow, of which nobody has asked yet. */
  #readAll(): void {
    for (const id of [...this.#byId.keys()]) this.#context.read(id);
  }

  /** Forgets those of `known` that the tables no longer have: the event of their end may have been lost. */
  prune(known: ReturnType<Connections['known']>, flows: ReadonlySet<bigint>, expectations: ReadonlySet<bigint>): void {
    this.#readAll();
    for (const id of known.connections) {
      const connection = flows.has(id) ? undefined : this.#byId.get(id);
      // A table is not read at one instant: ask again before giving up a connection that lives.
      if (connection !== undefined && this.#context.datapath.tables.flow(connection.tuple)?.flow.id !== id)
        this.ended(id);
    }
    for (const id of known.boxes) if (!expectations.has(id)) this.#boxes.delete(id);
  }

  /** Takes over what the tables have and is not known: left by a daemon before us, or its event was lost. */
  async adoptAll(): Promise<number> {
    const { tables } = this.#context.datapath;
    let count = 0;
    for (const entry of await tables.flows()) {
      const { flow } = entry;
      if (flow.kind !== FlowKind.control || flow.ended !== 0) continue;
      this.#context.read(flow.id);
      const known = this.#byId.get(flow.id);
      const stream = tables.stream(flow);
      const outcome = emptyOutcome();
      if (known === undefined) {
        if (this.#adopt(entry, this.#wasFollowed(entry, stream), outcome) !== null) count++;
      } else if (flow.trust !== 0) known.abandoned(reasonOf(flow.trust), outcome);
      this.#commit(outcome);
      if (needsAttention(stream)) this.attend(openerTuple(entry));
    }
    return count;
  }

  #commit({ requests, refusals, frames }: Outcome): void {
    const { datapath } = this.#context;
    try {
      const answers = datapath.request(requests.map(({ request }) => request));
      for (const [index, answer] of answers.entries()) requests[index]?.answered?.(answer);
      for (const refusal of refusals) this.#context.refused(refusal);
    } catch (error) {
      this.#context.failed(error);
    }
    // Whatever happened: a frame that does not go on stops its connection.
    try {
      datapath.release(frames);
    } catch (error) {
      this.#context.failed(error);
    }
  }

  #push(connection: ControlConnection, segment: ControlSegment, outcome: Outcome): void {
    const wasRecognised = connection.recognised;
    connection.push(segment, outcome);
    // What the sample lacks may be in the hold device, to be read next.
    if (segment.frame === null && connection.waits) this.#behind.add(connection);
    if (!segment.decided && connection.recognised && !wasRecognised)
      outcome.requests.push({ request: trustRequest(connection.tuple, 'none') });
  }

  /** The connection of a segment; null: none that is followed. */
  #find(
    { tuple, seq, held }: { tuple: TupleRecord; seq: number; held: boolean },
    outcome: Outcome,
  ): { connection: ControlConnection; direction: DirectionName } | null {
    const { key, swapped } = sortTuple(tuple);
    const directionIn = (one: ControlConnection): DirectionName =>
      one.openerIsSecond === swapped ? 'original' : 'reply';
    const id = tupleId(key);
    let known = this.#byTuple.get(id);
    if (known !== undefined) this.#context.read(known.id);
    if (known?.distrusted === null) {
      const direction = directionIn(known);
      if (known.next(direction) === seq) return { connection: known, direction };
    }
    // Anything but the next byte: see what the datapath has.
    const { tables } = this.#context.datapath;
    const entry = tables.flow(key);
    if (entry !== null && entry.flow.id !== known?.id) {
      this.#context.read(entry.flow.id);
      known = this.#byTuple.get(id);
    }
    if (known !== undefined) {
      const direction = directionIn(known);
      if (entry?.flow.id === known.id) {
        // What was held before this frame has been read. For a sample, see catchUp.
        if (held && sequenceDistance(seq, known.next(direction)) > 0) skipUnseen(known, direction, entry, outcome);
        return { connection: known, direction };
      }
      // Another connection with the same addresses and ports; the event of the first one's end was lost.
      this.ended(known.id);
    }
    if (entry?.flow.kind !== FlowKind.control || entry.flow.ended !== 0) return null;
    const stream = tables.stream(entry.flow);
    const connection = this.#adopt(entry, this.#wasFollowed(entry, stream), outcome);
    if (connection !== null && needsAttention(stream)) this.attend(connection.tuple);
    return connection === null ? null : { connection, direction: directionIn(connection) };
  }

  /** Whether everything of a flow that has gone on since its beginning was seen by this daemon. */
  #wasFollowed({ flow }: FlowEntry, stream: StreamRecord | null): boolean {
    const skipped = stream?.side.some(({ flags }) => (flags & StreamFlag.skipped) !== 0) ?? false;
    return flow.created >= this.#context.datapath.started && !skipped;
  }

  /**
   * Begins to parse a flow of the datapath at what goes on next. If that is not its beginning, its dialogue must have been
   * recognised before.
   */
  #adopt(entry: FlowEntry, fromTheBeginning: boolean, outcome: Outcome): ControlConnection | null {
    const { flow } = entry;
    const known = this.#byId.get(flow.id);
    if (known !== undefined) return known;
    const assignment = this.#context.assignment(flow.assignment);
    const helper = assignment === null ? null : this.#context.helper(assignment.helper);
    if (assignment === null || helper === null) return null;

    const parser = helper.create({ adopted: !fromTheBeginning });
    // As after any hole (see ControlConnection.skip): the next segment begins a line.
    if (!fromTheBeginning) for (const direction of DIRECTIONS) parser.resync(direction, { lineStart: true });
    const connection = new ControlConnection({
      id: flow.id,
      tuple: openerTuple(entry),
      translated: (flow.flags & FlowFlag.translated) !== 0,
      assignmentId: flow.assignment,
      assignment,
      parser,
      next: { original: flow.side[0]?.next ?? 0, reply: flow.side[1]?.next ?? 0 },
      budget: this.#budget,
      expected: (id, box) => this.#boxes.set(id, box),
      find: (tuple) => this.#context.datapath.tables.expectation(tuple),
      failed: (error) => {
        this.#context.failed(error);
      },
    });
    if (flow.trust !== 0) connection.abandoned(reasonOf(flow.trust), outcome);
    else if (!fromTheBeginning && (flow.flags & FlowFlag.recognised) === 0) {
      // What the tables decide goes on without us.
      if (isJudged(this.#context.datapath.tables.stream(flow))) connection.giveUp('gap', outcome);
      else connection.abandoned('gap', outcome);
    }
    this.#byId.set(flow.id, connection);
    this.#byTuple.set(tupleId(entry.key), connection);
    return connection;
  }
}

/** Goes on where the datapath is, if it is ahead: what lies between went on unseen. */
function skipUnseen(connection: ControlConnection, direction: DirectionName, entry: FlowEntry, outcome: Outcome): void {
  const next = entry.flow.side[direction === 'original' ? 0 : 1]?.next;
  if (next !== undefined) connection.skip(direction, next, outcome);
}

/** Whether the datapath has given up waiting for us, or let bytes go on. */
function needsAttention(stream: StreamRecord | null): boolean {
  const asking = StreamFlag.unattended | StreamFlag.skipped | StreamFlag.gap | StreamFlag.ended;
  return isJudged(stream) && (stream?.side.some(({ flags }) => (flags & asking) !== 0) ?? false);
}

/** Whether the datapath leaves the decisions to us. */
function isJudged(stream: StreamRecord | null): boolean {
  return stream === null || (stream.dialogue.flags & DialogueFlag.judged) !== 0;
}

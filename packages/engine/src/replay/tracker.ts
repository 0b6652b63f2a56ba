// SPDX-License-Identifier: Apache-2.0
import type { Assignment, Config } from '@relatd/config';
import {
  RequestOp,
  TCP_FLAG,
  reverseTuple,
  sortTuple,
  tupleId,
  type RequestAnswer,
  type RequestRecord,
  type TupleRecord,
} from '@relatd/datapath';
import type { Helper } from '@relatd/helpers';
import { REASONS, reasonOf, type Event, type Reason } from '@relatd/model';
import { PROTOCOL_NUMBER } from '../assignments.js';
import { ControlConnection, type DirectionName } from '../connection.js';
import { emptyOutcome, type Outcome, type Refusal } from '../outcome.js';
import { Budget } from '../segments.js';
import { Assigned } from './assigned.js';
import { controlPacket } from './control.js';
import { announcementView, expectationView, flowView, isoTime } from './events.js';
import { Expectations, openerOf, type ExpectOrder, type Expected } from './expectations.js';
import {
  idleLimit,
  isOpener,
  isReused,
  newSide,
  type TrackedControl,
  type TrackedFlow,
  type TrackedRelated,
} from './flow.js';
import { Handshakes } from './handshakes.js';
import { PortsInUse, Quota } from './limits.js';
import type { Packet } from './packet.js';
import { relatedPacket, type RelatedContext } from './related.js';
import { Timeouts } from './timeouts.js';

export interface TrackerOptions {
  readonly config: Pick<Config, 'assignments' | 'idle' | 'limits' | 'zones'>;
  /** By name. */
  readonly helpers: ReadonlyMap<string, Helper>;
  readonly emit: (event: Event) => void;
  /** A fault of ours: the connection that it concerns is given up. */
  readonly failed: (error: unknown) => void;
}

/** Connections that are remembered to be counted once. */
const UNFOLLOWED_LIMIT = 65_536;
const HANDSHAKE_FLAGS = TCP_FLAG.syn | TCP_FLAG.ack | TCP_FLAG.rst;

/**
 * The datapath's rules (docs/datapath.md) once more, for packets of a capture: which packets begin a control connection, what is
 * expected, which flow matches it, and when each is over. Its clock is that of the capture.
 */
export class Tracker implements RelatedContext {
  /** Milliseconds since 1970; never goes back. */
  now = 0;
  /** How often each reason was met. */
  readonly reasons = new Map<Reason, number>();
  /** Announcements that were turned down. */
  readonly refused = new Map<Reason, number>();
  /** Control connections that were not read to their end, by why. */
  readonly distrusted = new Map<Reason, number>();
  readonly begun = { control: 0, expectation: 0, related: 0 };
  readonly alive = { control: 0, related: 0 };
  readonly ports = new PortsInUse();
  readonly #options: TrackerOptions;
  readonly #assigned: Assigned;
  readonly #flows = new Map<string, TrackedFlow>();
  readonly #handshakes: Handshakes;
  readonly #expectations: Expectations;
  readonly #controlsOf: Quota;
  readonly #timeouts = new Timeouts<TrackedFlow | Expected>();
  readonly #budget = new Budget();
  /** Connections that are not followed, by whether anything of their handshake was seen. */
  readonly #alreadyOpen = new Set<string>();
  readonly #incomplete = new Set<string>();
  #lastId = 0n;
  #controls = 0;

  constructor(options: TrackerOptions) {
    this.#options = options;
    const { assignments, limits, idle } = options.config;
    this.#assigned = new Assigned(assignments);
    for (const assignment of assignments) {
      this.ports.take(PROTOCOL_NUMBER[assignment.protocol], assignment.port);
    }
    this.#handshakes = new Handshakes(limits.embryonic, idle.halfOpen);
    this.#controlsOf = new Quota(limits.perSource);
    this.#expectations = new Expectations({
      limits,
      ports: this.ports,
      newId: () => ++this.#lastId,
      ended: (expected, reason) => {
        this.#timeouts.delete(expected);
        const expectation = expectationView(expected, this.now);
        this.#emit({ time: isoTime(this.now), type: 'expectation.expired', expectation, reason });
      },
    });
  }

  /** Connections to assigned ports that were there before the capture, and those of which it lacks a part of the handshake. */
  get unfollowed(): { readonly alreadyOpen: number; readonly incomplete: number } {
    return { alreadyOpen: this.#alreadyOpen.size, incomplete: this.#incomplete.size };
  }

  /** An assignment with `interface` was taken for packets of which the capture does not name the interface. */
  get guessedInterface(): boolean {
    return this.#assigned.guessedInterface;
  }

  /** Live expectations. */
  get expected(): number {
    return this.#expectations.size;
  }

  /** Lets the clock go on: what is due by then happens. */
  advance(time: number): void {
    for (let next = this.#timeouts.take(time); next !== null; next = this.#timeouts.take(time)) {
      this.now = Math.max(this.now, next.due);
      if ('kind' in next.item) this.#timedOut(next.item);
      else this.#expectations.end(next.item, 'expired');
    }
    this.now = Math.max(this.now, time);
  }

  /** Takes a packet, in the order of the capture. */
  packet(seen: Packet): void {
    const zone = this.#options.config.zones.get(seen.interface ?? '') ?? 0;
    const packet = zone === 0 ? seen : { ...seen, tuple: { ...seen.tuple, zone } };
    const { key, swapped } = sortTuple(packet.tuple);
    const id = tupleId(key);
    let flow = this.#flows.get(id);
    if (flow !== undefined && isReused(flow, packet)) {
      this.end(flow, 'reused');
      this.#remove(flow);
      flow = undefined;
    }
    if (flow === undefined) {
      if (isOpener(packet) && this.#beginRelated(id, packet)) return;
      flow = this.#beginControl(id, packet);
      if (flow === undefined) return;
    }
    const direction: DirectionName = sortTuple(flow.tuple).swapped === swapped ? 'original' : 'reply';
    if (flow.kind === 'control') controlPacket(flow, direction, packet, this);
    else relatedPacket(flow, direction, packet, this);
    if (this.#flows.get(id) === flow) this.#timeouts.set(flow, idleLimit(flow, this.#options.config.idle), this.now);
  }

  count(reason: Reason): void {
    increment(this.reasons, reason);
  }

  end(flow: TrackedFlow, reason: Reason): void {
    if (flow.state === 'closed') return;
    flow.state = 'closed';
    this.alive[flow.kind]--;
    const time = isoTime(this.now);
    if (flow.kind === 'related') {
      const view = flowView(flow, this.now);
      if (view.kind === 'related') this.#emit({ time, type: 'related.end', flow: view, reason });
      return;
    }
    this.#controlsOf.give(openerOf(flow));
    for (const expected of flow.expectations) this.#expectations.end(expected, 'master-ended');
    flow.connection.close();
    this.#emit({ time, type: 'control.end', flow: flowView(flow, this.now), reason });
  }

  giveBack({ expected, master }: TrackedRelated): void {
    if (expected.givenBack || expected.deadline <= this.now || master.state === 'closed') return;
    const again = this.#expectations.giveBack({
      ...expected,
      created: this.now,
      givenBack: true,
      box: master.connection.box,
    });
    if (again !== null) this.#isExpected(again);
  }

  commit(flow: TrackedControl, { requests, refusals }: Outcome): void {
    for (const { request, answered } of requests) {
      const answer = this.#serve(flow, request);
      answered?.(answer);
    }
    for (const refusal of refusals) this.#refuse(flow, refusal);
  }

  /** What the datapath does for a parser that judges. Its other requests change nothing here. */
  #serve(flow: TrackedControl, request: RequestRecord): RequestAnswer {
    if (request.op === RequestOp.unexpect) {
      const expected = [...flow.expectations].find(({ id }) => id === request.id);
      if (expected !== undefined) this.#expectations.end(expected, reasonOf(request.reason));
    }
    if (request.op === RequestOp.trust && request.reason !== 0) increment(this.distrusted, reasonOf(request.reason));
    if (request.op !== RequestOp.expect) return request;
    const order: ExpectOrder = {
      tuple: request.tuple,
      master: flow,
      created: this.now,
      deadline: this.now + flow.assignment.limits.expectation,
      givenBack: false,
      box: null,
    };
    const answer = this.#expectations.announce(order);
    if (typeof answer === 'string') {
      this.#tellRefusal(flow, answer, request.tuple);
      return { ...request, result: REASONS.indexOf(answer) };
    }
    const { expected, isNew } = answer;
    if (isNew) this.#isExpected(expected);
    else this.#timeouts.set(expected, expected.deadline - this.now, this.now);
    return { ...request, id: expected.id };
  }

  #isExpected(expected: Expected): void {
    this.begun.expectation++;
    this.#timeouts.set(expected, expected.deadline - this.now, this.now);
    const expectation = expectationView(expected, this.now);
    this.#emit({ time: isoTime(this.now), type: 'expectation.new', expectation });
  }

  #refuse(flow: TrackedControl, { connection, expect, reason }: Refusal): void {
    this.#tellRefusal(flow, reason, expect === null ? null : { ...connection.tuple, sourcePort: 0, ...expect });
  }

  /** Null: what was announced could not be read. */
  #tellRefusal(flow: TrackedControl, reason: Reason, tuple: TupleRecord | null): void {
    increment(this.refused, reason);
    const common = { time: isoTime(this.now), type: 'expectation.refused', reason, count: 1 } as const;
    if (tuple === null) this.#emit({ ...common, flow: flowView(flow, this.now) });
    else this.#emit({ ...common, expectation: announcementView(tuple, flow) });
  }

  /** Whether a packet matches an expectation. */
  #beginRelated(id: string, packet: Packet): boolean {
    const { tuple } = packet;
    const expected = this.#expectations.find(tuple);
    if (expected === null) return false;
    if (this.#flows.size >= this.#options.config.limits.flows) {
      this.count('flows-full');
      return false;
    }
    this.#timeouts.delete(expected);
    this.#expectations.take(expected);
    const flow: TrackedRelated = {
      kind: 'related',
      id: ++this.#lastId,
      tuple,
      assignment: expected.master.assignment,
      interface: packet.interface,
      sides: { original: newSide(packet.place, (packet.end + 1) >>> 0), reply: newSide(null) },
      created: this.now,
      last: this.now,
      state: 'new',
      master: expected.master,
      expected,
      initial: packet.seq,
      completed: false,
      segmentSize: packet.segmentSize,
      box: expected.box,
    };
    flow.sides.original.packets = 1;
    flow.sides.original.bytes = packet.length;
    this.#insert(id, flow);
    this.begun.related++;
    this.alive.related++;
    const view = flowView(flow, this.now);
    if (view.kind === 'related') this.#emit({ time: isoTime(this.now), type: 'related.new', flow: view });
    return true;
  }

  /** A packet of no known flow: it may be a step of a handshake, or begin a control connection. */
  #beginControl(id: string, packet: Packet): TrackedControl | undefined {
    if (packet.tuple.protocol === PROTOCOL_NUMBER.udp) {
      const assignment = this.#assigned.find(packet.tuple, packet.interface);
      return assignment === null ? undefined : this.#control(id, packet, assignment, packet.ttl);
    }
    const { tuple, flags, seq, ack, payloadLength, ttl } = packet;
    const step = flags & HANDSHAKE_FLAGS;
    const seen = this.now;
    if (step === (TCP_FLAG.syn | TCP_FLAG.ack)) {
      if (this.#assigned.covers(reverseTuple(tuple)))
        this.#handshakes.put(id, { client: ack, server: (seq + 1) >>> 0, ttl, seen, kind: 'plain' });
      else if (this.#assigned.covers(tuple))
        this.#handshakes.put(id, { client: 0, server: 0, ttl, seen, kind: 'never' });
      return undefined;
    }
    if (step === TCP_FLAG.syn) {
      if (payloadLength > 0 && this.#assigned.covers(tuple))
        this.#handshakes.put(id, { client: (seq + 1) >>> 0, server: 0, ttl, seen, kind: 'syn-data' });
      return undefined;
    }
    const isFromOpener = this.#assigned.covers(tuple);
    if (step === TCP_FLAG.ack && isFromOpener) {
      const embryo = this.#handshakes.completedBy(id, seq, ack, seen);
      if (embryo === 'handshake') this.count('handshake');
      else if (embryo !== null) {
        const assignment = this.#assigned.find(tuple, packet.interface);
        if (assignment === null) return undefined;
        const flow = this.#control(id, packet, assignment, embryo.ttl);
        if (flow === undefined) return undefined;
        this.#handshakes.delete(id);
        this.#incomplete.delete(id);
        if (embryo.kind === 'fast-open') {
          increment(this.distrusted, 'fast-open');
          flow.connection.abandoned('fast-open', emptyOutcome());
        }
        return flow;
      }
    }
    if (payloadLength > 0 && (isFromOpener || this.#assigned.covers(reverseTuple(tuple)))) {
      const unfollowed = this.#handshakes.has(id) ? this.#incomplete : this.#alreadyOpen;
      if (unfollowed.size < UNFOLLOWED_LIMIT) unfollowed.add(id);
    }
    return undefined;
  }

  #control(id: string, packet: Packet, assignment: Assignment, replyTtl: number): TrackedControl | undefined {
    const { limits } = this.#options.config;
    const { tuple, seq, ack, ttl } = packet;
    const helper = this.#options.helpers.get(assignment.helper);
    if (helper === undefined) throw new Error(`no helper ${assignment.helper}`);
    const full =
      this.#flows.size >= limits.flows ? 'flows-full' : this.#controls >= limits.control ? 'controls-full' : null;
    if (full !== null || !this.#controlsOf.take(openerOf({ tuple }))) {
      this.count(full ?? 'per-source');
      return undefined;
    }
    const flow: TrackedControl = {
      kind: 'control',
      id: ++this.#lastId,
      tuple,
      assignment,
      interface: packet.interface,
      sides: { original: newSide(packet.place, seq), reply: newSide(null, ack) },
      created: this.now,
      last: this.now,
      state: 'established',
      connection: new ControlConnection({
        id: this.#lastId,
        tuple,
        translated: false,
        assignmentId: 0,
        assignment,
        parser: helper.create(),
        next: { original: seq, reply: ack },
        budget: this.#budget,
        expected: (expected, box) => {
          for (const one of flow.expectations) if (one.id === expected) one.box = box;
        },
        find: () => null,
        failed: this.#options.failed,
      }),
      ttl: { original: ttl, reply: replyTtl },
      fins: { original: null, reply: null },
      expectations: new Set(),
    };
    this.#insert(id, flow);
    this.#controls++;
    this.begun.control++;
    this.alive.control++;
    this.#emit({ time: isoTime(this.now), type: 'control.new', flow: flowView(flow, this.now) });
    return flow;
  }

  #insert(id: string, flow: TrackedFlow): void {
    this.#flows.set(id, flow);
    this.ports.take(flow.tuple.protocol, flow.tuple.destinationPort);
    this.#timeouts.set(flow, idleLimit(flow, this.#options.config.idle), this.now);
  }

  #remove(flow: TrackedFlow): void {
    this.#flows.delete(tupleId(sortTuple(flow.tuple).key));
    this.ports.give(flow.tuple.protocol, flow.tuple.destinationPort);
    this.#timeouts.delete(flow);
    if (flow.kind === 'control') this.#controls--;
  }

  #timedOut(flow: TrackedFlow): void {
    const unanswered = flow.kind === 'related' && flow.state === 'new' && flow.tuple.protocol === PROTOCOL_NUMBER.tcp;
    this.end(flow, 'idle');
    if (unanswered) this.giveBack(flow);
    this.#remove(flow);
  }

  #emit(event: Event): void {
    this.#options.emit(event);
  }
}

function increment(counts: Map<Reason, number>, reason: Reason): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}

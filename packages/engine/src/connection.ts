// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import {
  Direction,
  RequestOp,
  TCP_FLAG,
  requestOf,
  sortTuple,
  tupleId,
  tupleOf,
  type ExpectRecord,
  type TupleRecord,
} from '@relatd/datapath';
import type { Announce, Fact, Parser } from '@relatd/helpers';
import { REASONS, type FlowDetail, type Reason } from '@relatd/model';
import { AnnouncedBytes } from './announcedBytes.js';
import { PROTOCOL_NUMBER } from './assignments.js';
import { emptyOutcome, type Outcome, type Pending } from './outcome.js';
import { judge, type Verdict } from './policy.js';
import { SegmentQueue, sequenceDistance, type Budget, type Segment } from './segments.js';

export type DirectionName = 'original' | 'reply';

/** What is known of a transfer; filled in when its command comes, which may be before or after its connection. */
export interface DetailBox {
  detail: FlowDetail | null;
}

/** A segment of a control connection as it reaches the control plane. */
export interface ControlSegment {
  readonly direction: DirectionName;
  readonly seq: number;
  readonly flags: number;
  readonly urgent: number;
  /** Of a held frame: a view into it. */
  readonly payload: Uint8Array;
  readonly intact: boolean;
  /** The held frame, to be released; null for a sample, which is gone already. */
  readonly frame: Uint8Array | null;
  /** The datapath's tables have decided about it: it is read for people only. */
  readonly decided: boolean;
}

/** What a connection is made of. */
export interface ConnectionOptions {
  readonly id: bigint;
  /** From its opener. */
  readonly tuple: TupleRecord;
  readonly translated: boolean;
  /** By which the datapath knows the assignment. */
  readonly assignmentId: number;
  readonly assignment: Assignment;
  readonly parser: Parser;
  /** Next sequence number of each direction. */
  readonly next: Readonly<Record<DirectionName, number>>;
  /** What all connections together may keep waiting. */
  readonly budget?: Budget;
  /** Remembers what an expectation is for. */
  readonly expected: (id: bigint, box: DetailBox) => void;
  /** The live expectation of exactly this tuple. */
  readonly find: (tuple: TupleRecord) => { readonly id: bigint; readonly slot: number } | null;
  /** A fault of ours. The connection is given up, what it says goes on. */
  readonly failed: (error: unknown) => void;
}

/** Telnet's Interpret Process and Data Mark, RFC 854: what an honest FTP client sends as urgent data (RFC 959, 4.1.3). */
const URGENT_BYTES = new Set([0xff, 0xf4, 0xf2]);

/** An announcement that lies further back than any window is not sent again. */
const WATCHED_BYTES = 1 << 20;

/** One direction: its queue, where the parser's offsets are in sequence space, and its last announcement. */
interface Side {
  readonly queue: SegmentQueue<ControlSegment>;
  /** Sequence number of the parser's offset 0. */
  base: number;
  readonly announced: AnnouncedBytes;
}

/**
 * The last announcement's expectation: asked for, and in place once `answer` is there. Without `pending` the datapath made it
 * by itself.
 */
interface Current {
  readonly tuple: TupleRecord;
  readonly pending: Pending | null;
  answer: { readonly id: bigint; readonly slot: number } | null;
}

/** Expectations of the datapath's own making whose ids are remembered, for what they are for. */
const OWN_EXPECTATIONS = 64;

/** A control connection in the control plane: both streams in order, into the helper's parser, out come requests. */
export class ControlConnection {
  readonly id: bigint;
  readonly tuple: TupleRecord;
  /** Whether the sorted key of its tuple begins with the other end. */
  readonly openerIsSecond: boolean;
  readonly translated: boolean;
  readonly assignmentId: number;
  assignment: Assignment;
  /** What the last announcement is for. */
  box: DetailBox = { detail: null };
  readonly #parser: Parser;
  readonly #sides: Readonly<Record<DirectionName, Side>>;
  readonly #options: ConnectionOptions;
  readonly #own = new Map<string, bigint>();
  #distrusted: Reason | null = null;
  /** The datapath knows that it is not trusted. */
  #told = false;
  /** It has left the decision to us. */
  #judging = false;
  #current: Current | null = null;
  #outcome: Outcome = emptyOutcome();

  constructor(options: ConnectionOptions) {
    this.id = options.id;
    this.tuple = options.tuple;
    this.openerIsSecond = sortTuple(options.tuple).swapped;
    this.translated = options.translated;
    this.assignmentId = options.assignmentId;
    this.assignment = options.assignment;
    this.#parser = options.parser;
    this.#options = options;
    this.#sides = { original: this.#side('original'), reply: this.#side('reply') };
  }

  #side(direction: DirectionName): Side {
    const next = this.#options.next[direction];
    const queue = new SegmentQueue<ControlSegment>(
      next,
      {
        read: (bytes, segment) => {
          this.#read(direction, bytes, segment);
        },
        again: ({ seq, payload }, old) => {
          const { announced, queue } = this.#sides[direction];
          // A keep-alive (RFC 1122, 4.2.3.6): one byte of garbage at the place of the last one.
          if (payload.length === 1 && sequenceDistance(queue.next, seq) === 1) return;
          if (!this.#judging || this.#distrusted !== null || !announced.contradicts(seq, payload, old)) return;
          this.#withdraw('rewritten');
          this.#distrust('rewritten');
        },
        release: ({ carrier }) => {
          if (carrier.frame !== null) this.#outcome.frames.push(carrier.frame);
        },
        keep: ({ seq, carrier }) => {
          const kept = keep(carrier);
          return { seq, payload: kept.payload, carrier: kept };
        },
      },
      this.#options.budget,
    );
    return { queue, base: next, announced: new AnnouncedBytes() };
  }

  /** Why it is no longer parsed; null while it is. */
  get distrusted(): Reason | null {
    return this.#distrusted;
  }

  /** Whether the dialogue was found to be the helper's protocol. */
  get recognised(): boolean {
    return this.#parser.recognised;
  }

  /** Sequence number of the next byte to be read. */
  next(direction: DirectionName): number {
    return this.#sides[direction].queue.next;
  }

  /** Whether segments wait behind a gap. */
  get waits(): boolean {
    return this.#sides.original.queue.waiting > 0 || this.#sides.reply.queue.waiting > 0;
  }

  /** Takes a segment; what comes of it is added to `outcome`. */
  push(segment: ControlSegment, outcome: Outcome): void {
    this.#outcome = outcome;
    if (!segment.decided) this.#judging = true;
    if (this.#distrusted !== null) {
      this.#tell(this.#distrusted);
      if (segment.frame !== null) outcome.frames.push(segment.frame);
      return;
    }
    if (this.tuple.protocol === PROTOCOL_NUMBER.udp) {
      this.#read(segment.direction, segment.payload, { seq: 0, payload: segment.payload, carrier: segment });
      return;
    }
    if (!segment.intact) {
      this.#damaged(segment);
      return;
    }
    this.#sides[segment.direction].queue.push({ seq: segment.seq, payload: segment.payload, carrier: segment });
    this.#settle();
  }

  /**
   * Bytes of a direction that are not here went on unseen, up to `upTo`. The parser goes on behind each hole, as at the
   * beginning of a line: segments of such dialogues end with one, and who can write a line in two halves can write
   * it in one.
   */
  skip(direction: DirectionName, upTo: number, outcome: Outcome): void {
    this.#outcome = outcome;
    const side = this.#sides[direction];
    const { queue } = side;
    while (sequenceDistance(upTo, queue.next) > 0) {
      const { gapEnd } = queue;
      const next = gapEnd !== null && sequenceDistance(gapEnd, upTo) < 0 ? gapEnd : upTo;
      side.base = (side.base + sequenceDistance(next, queue.next)) >>> 0;
      side.announced.interrupt();
      if (this.#distrusted === null) this.#parser.resync(direction, { lineStart: true });
      queue.skip(next);
    }
    this.#settle();
  }

  /** It is not parsed any more, and the datapath has to be told. What waits goes on. */
  giveUp(reason: Reason, outcome: Outcome): void {
    this.#outcome = outcome;
    this.#judging = true;
    this.#distrust(reason);
    this.#settle();
  }

  /** The datapath does not trust it any more, or we cannot follow what it follows. What waits goes on. */
  abandoned(reason: Reason, outcome: Outcome): void {
    this.#outcome = outcome;
    this.#distrusted ??= reason;
    this.#settle();
  }

  /** The datapath expects something that this connection announced. */
  sawExpectation({ live, tuple }: Pick<ExpectRecord, 'live' | 'tuple'>): void {
    const [oldest] = this.#own.keys();
    if (this.#own.size >= OWN_EXPECTATIONS && oldest !== undefined) this.#own.delete(oldest);
    this.#own.set(tupleId(tuple), live);
  }

  /** It is over. */
  close(): void {
    this.#sides.original.queue.forget();
    this.#sides.reply.queue.forget();
  }

  /**
   * A receiver throws away what has a wrong checksum, so it is not read, but it is not ours to stop. The datapath will be
   * past it: what comes in its place has to be judged all the same.
   */
  #damaged({ direction, seq, payload, frame }: ControlSegment): void {
    const { next } = this.#sides[direction].queue;
    // Behind a gap it would take the datapath past bytes that may still come. It is sent again in any case.
    if (sequenceDistance(seq, next) > 0) return;
    const end = (seq + payload.length) >>> 0;
    if (sequenceDistance(end, next) > 0) this.#watch(direction, next, end);
    if (frame !== null) this.#outcome.frames.push(frame);
  }

  /** Retransmissions from `start` to `end` are to be judged, those of the last announcement as well. */
  #watch(direction: DirectionName, start: number, end: number): void {
    const last = this.#sides[direction].announced.start;
    const recent = last !== null && sequenceDistance(end, last) < WATCHED_BYTES;
    const watch = { op: RequestOp.watch, master: this.tuple, direction: Direction[direction] };
    this.#outcome.requests.push({ request: requestOf({ ...watch, start: recent ? last : start, end }) });
  }

  /** Nothing waits for a connection that is not followed. Only now, so that frames go on in stream order. */
  #settle(): void {
    if (this.#distrusted === null) return;
    this.#sides.original.queue.flush();
    this.#sides.reply.queue.flush();
  }

  #read(direction: DirectionName, bytes: Uint8Array, { seq, payload, carrier }: Segment<ControlSegment>): void {
    if (this.#distrusted !== null) return;
    if (carrier.flags & TCP_FLAG.urg && !urgentIsTelnet(carrier)) {
      this.#distrust('urgent');
      return;
    }
    const { announced } = this.#sides[direction];
    try {
      announced.begin(bytes, (seq + payload.length - bytes.length) >>> 0);
      const decided = carrier.decided && !this.#judging;
      for (const fact of this.#parser.feed(direction, bytes)) {
        if (decided) this.#note(fact);
        else this.#take(fact);
        // Given up: later facts of these bytes do not count.
        if (this.distrusted !== null) break;
      }
      announced.finish();
    } catch (error) {
      this.#options.failed(error);
      this.#distrust('gap');
    }
  }

  #take(fact: Fact): void {
    switch (fact.kind) {
      case 'announce':
        this.#announce(fact);
        break;
      case 'withdraw':
        this.#withdraw(fact.reason);
        break;
      case 'refuse':
        this.#outcome.refusals.push({ connection: this, expect: null, reason: fact.reason });
        break;
      case 'detail':
        this.box.detail = fact.detail;
        break;
      case 'encrypted':
        this.#distrust('encrypted');
        break;
      case 'abandon':
        this.#distrust(fact.reason);
        break;
    }
  }

  /** A fact that the datapath knows as well: what people may want to see of it. */
  #note(fact: Fact): void {
    switch (fact.kind) {
      case 'announce': {
        const box: DetailBox = { detail: fact.detail };
        const verdict = judge(fact, this, this.assignment);
        this.box = box;
        this.#current = null;
        if (verdict.refused !== null) return;
        // A retransmission of a part of it is left to us: the datapath has the hash of all.
        const { base, announced } = this.#sides[fact.direction];
        announced.announce((base + fact.start) >>> 0, (base + fact.end) >>> 0);
        const tuple = this.#expected(fact, verdict.expect);
        const id = this.#own.get(tupleId(tuple));
        if (id !== undefined) this.#options.expected(id, box);
        this.#current = { tuple, pending: null, answer: null };
        return;
      }
      case 'withdraw':
        this.#current = null;
        return;
      case 'detail':
        this.box.detail = fact.detail;
        return;
      case 'refuse':
        return;
      case 'encrypted':
        this.#distrusted = 'encrypted';
        return;
      case 'abandon':
        // Samples may have been lost: the datapath has seen everything, and goes on.
        this.#distrusted = fact.reason;
    }
  }

  #expected({ protocol }: Announce, expect: Verdict['expect']): TupleRecord {
    return tupleOf({ ...expect, protocol: PROTOCOL_NUMBER[protocol], zone: this.tuple.zone });
  }

  #announce(fact: Announce): void {
    // Also where it is turned down: what follows is then about nothing.
    const box: DetailBox = { detail: fact.detail };
    this.box = box;
    this.#current = null;
    const verdict = judge(fact, this, this.assignment);
    if (verdict.refused !== null) {
      this.#outcome.refusals.push({ connection: this, expect: verdict.expect, reason: verdict.refused });
      return;
    }
    const { base, announced } = this.#sides[fact.direction];
    const start = (base + fact.start) >>> 0;
    const end = (base + fact.end) >>> 0;
    const direction = Direction[fact.direction];
    announced.announce(start, end);
    const tuple = this.#expected(fact, verdict.expect);
    const pending: Pending = {
      request: requestOf({
        op: RequestOp.expect,
        master: this.tuple,
        direction,
        limit: this.assignment.limits.perMaster,
        timeout: BigInt(this.assignment.limits.expectation) * 1_000_000n,
        mark: this.assignment.mark,
        tuple,
      }),
      answered: ({ id, slot, result }) => {
        if (REASONS[result] !== 'none') return;
        current.answer = { id, slot };
        this.#options.expected(id, box);
      },
    };
    const current: Current = { tuple, pending, answer: null };
    this.#current = current;
    this.#outcome.requests.push(pending);
    this.#watch(fact.direction, start, end);
  }

  #withdraw(reason: Reason): void {
    const current = this.#current;
    if (current === null) return;
    this.#current = null;
    const { requests } = this.#outcome;
    const answer = current.pending === null ? this.#options.find(current.tuple) : current.answer;
    if (answer !== null) {
      const { id, slot } = answer;
      const why = REASONS.indexOf(reason);
      requests.push({ request: requestOf({ op: RequestOp.unexpect, id, slot, reason: why }) });
      return;
    }
    // It stands in this very batch: nobody has asked for it yet. Or it was refused.
    const unsent = requests.findIndex((pending) => pending === current.pending);
    if (unsent >= 0) requests.splice(unsent, 1);
  }

  #distrust(reason: Reason): void {
    if (this.#distrusted !== null) return;
    this.#distrusted = reason;
    this.#tell(reason);
  }

  /** Says to the datapath, once, why it is not parsed any more, if the datapath relies on us. */
  #tell(reason: Reason): void {
    if (this.#told || !this.#judging) return;
    this.#told = true;
    this.#outcome.requests.push({ request: trustRequest(this.tuple, reason) });
  }
}

/** Says that a dialogue is the helper's protocol (`none`), or why it is no longer parsed. */
export function trustRequest(master: TupleRecord, reason: Reason): Pending['request'] {
  return requestOf({ op: RequestOp.trust, master, reason: REASONS.indexOf(reason) });
}

/** The byte before the urgent pointer and the one at it (RFC 6093, 2.1: both readings are in use). */
function urgentIsTelnet({ urgent, payload }: ControlSegment): boolean {
  return [payload[urgent - 1], payload[urgent]].some((byte) => byte !== undefined && URGENT_BYTES.has(byte));
}

/** A copy that outlives the buffer that frames are read into. */
function keep(segment: ControlSegment): ControlSegment {
  const { frame, payload } = segment;
  if (frame === null) return { ...segment, payload: new Uint8Array(payload) };
  const kept = new Uint8Array(frame);
  const offset = payload.byteOffset - frame.byteOffset;
  return { ...segment, frame: kept, payload: kept.subarray(offset, offset + payload.length) };
}

// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import {
  Direction,
  RequestOp,
  TCP_FLAG,
  requestOf,
  tupleOf,
  type RequestRecord,
  type TupleRecord,
} from '@relatd/datapath';
import type { Announce, Fact, Parser } from '@relatd/helpers';
import { REASONS, type FlowDetail, type Reason } from '@relatd/model';
import { judge, type Verdict } from './policy.js';
import { PROTOCOL_NUMBER } from './assignments.js';
import { SegmentQueue, sequenceDistance, type Segment } from './segments.js';

export type DirectionName = 'original' | 'reply';

/** What is known of a transfer; filled in when its command comes, which may be before or after its connection. */
export interface DetailBox {
  detail: FlowDetail | null;
}

/** A request to the datapath and what to do with its answer. */
export interface Pending {
  readonly request: RequestRecord;
  readonly answered?: (answer: RequestRecord) => void;
}

/** An announcement that was turned down. */
export interface Refusal {
  readonly connection: ControlConnection;
  readonly expect: Verdict['expect'] | null;
  readonly reason: Reason;
}

/** What comes of a batch of segments, in the order in which it must happen: requests first, then frames go on. */
export interface Outcome {
  readonly requests: Pending[];
  readonly refusals: Refusal[];
  readonly frames: Uint8Array[];
}

/** A segment of a control connection as it reaches the control plane. */
export interface ControlSegment {
  readonly direction: DirectionName;
  readonly seq: number;
  readonly flags: number;
  readonly urgent: number;
  readonly payload: Uint8Array;
  readonly intact: boolean;
  /** The held frame, to be released; null for a sample, which is gone already. */
  readonly frame: Uint8Array | null;
}

/** What a connection is made of. */
export interface ConnectionOptions {
  readonly id: bigint;
  /** From its opener. */
  readonly tuple: TupleRecord;
  readonly translated: boolean;
  readonly assignment: Assignment;
  readonly parser: Parser;
  /** Next sequence number of each direction. */
  readonly next: Readonly<Record<DirectionName, number>>;
  /** Remembers what an expectation is for. */
  readonly expected: (id: bigint, box: DetailBox) => void;
}

/** Telnet's Interpret Process and Data Mark, RFC 854: what an honest FTP client sends as urgent data (RFC 959, 4.1.3). */
const URGENT_BYTES = new Set([0xff, 0xf4, 0xf2]);
/** Bytes behind the read position that are kept to recognise a rewritten announcement. */
const MEMORY = 4096;

type Carrier = ControlSegment;

/** One direction: its queue, where the parser's offsets are in sequence space, and its last bytes. */
interface Side {
  readonly queue: SegmentQueue<Carrier>;
  /** Sequence number of the parser's offset 0. */
  base: number;
  memory: Uint8Array;
  announced: { readonly start: number; readonly end: number } | null;
}

/** A control connection in the control plane: both streams in order, into the helper's parser, out come requests. */
export class ControlConnection {
  readonly id: bigint;
  readonly tuple: TupleRecord;
  readonly translated: boolean;
  readonly parser: Parser;
  assignment: Assignment;
  /** Why it is no longer parsed; null while it is. */
  distrusted: Reason | null = null;
  /** What the last announcement is for. */
  box: DetailBox = { detail: null };
  readonly #sides: Readonly<Record<DirectionName, Side>>;
  readonly #expected: ConnectionOptions['expected'];
  #current: { readonly id: bigint; readonly slot: number } | null = null;
  #outcome: Outcome = { requests: [], refusals: [], frames: [] };

  constructor({ id, tuple, translated, assignment, parser, next, expected }: ConnectionOptions) {
    this.id = id;
    this.tuple = tuple;
    this.translated = translated;
    this.assignment = assignment;
    this.parser = parser;
    this.#expected = expected;
    this.#sides = { original: this.#side('original', next.original), reply: this.#side('reply', next.reply) };
  }

  #side(direction: DirectionName, next: number): Side {
    const queue = new SegmentQueue<Carrier>(next, {
      read: (bytes, segment) => {
        this.#read(direction, bytes, segment);
      },
      again: (segment, old) => {
        this.#again(direction, segment, old);
      },
      release: ({ carrier }) => {
        if (carrier.frame !== null) this.#outcome.frames.push(carrier.frame);
      },
      keep: ({ seq, carrier }) => {
        const payload = carrier.payload.slice();
        return { seq, payload, carrier: { ...carrier, payload, frame: carrier.frame?.slice() ?? null } };
      },
      // A frame that is not released is lost to its connection, which will repeat it.
      drop: () => undefined,
    });
    return { queue, base: next, memory: new Uint8Array(0), announced: null };
  }

  /** Takes a segment; what comes of it is added to `outcome`. */
  push(segment: ControlSegment, outcome: Outcome): void {
    this.#outcome = outcome;
    if (this.distrusted !== null || !segment.intact) {
      // A receiver throws away what has a wrong checksum: so must we, but it is not ours to stop.
      if (segment.frame !== null) outcome.frames.push(segment.frame);
      return;
    }
    this.#sides[segment.direction].queue.push({ seq: segment.seq, payload: segment.payload, carrier: segment });
  }

  /** Bytes of a direction went on unseen, up to `next`: the parser starts again at a line. */
  skip(direction: DirectionName, next: number, outcome: Outcome): void {
    this.#outcome = outcome;
    const side = this.#sides[direction];
    const unseen = sequenceDistance(next, side.queue.next);
    if (unseen > 0) {
      side.base = (side.base + unseen) >>> 0;
      side.memory = new Uint8Array(0);
      side.announced = null;
      if (this.distrusted === null) this.parser.resync(direction);
    }
    side.queue.skip(next);
  }

  /** Where a direction stands, for comparing with the datapath. */
  next(direction: DirectionName): number {
    return this.#sides[direction].queue.next;
  }

  #read(direction: DirectionName, bytes: Uint8Array, { carrier }: Segment<Carrier>): void {
    if (this.distrusted !== null) return;
    if (carrier.flags & TCP_FLAG.urg && !this.#urgentIsTelnet(carrier)) {
      this.#distrust('urgent');
      return;
    }
    const side = this.#sides[direction];
    side.memory = remember(side.memory, bytes);
    for (const fact of this.parser.feed(direction, bytes)) {
      this.#take(fact);
      // The parser has given up, or the connection is left alone: later facts of these bytes do not count.
      if (this.#isOver()) return;
    }
  }

  #isOver(): boolean {
    return this.distrusted !== null;
  }

  /** The byte before the urgent pointer and the one at it (RFC 6093, 2.1: both readings are in use). */
  #urgentIsTelnet({ urgent, payload }: ControlSegment): boolean {
    const bytes = [payload[urgent - 1], payload[urgent]].filter((byte) => byte !== undefined);
    return bytes.length > 0 && bytes.some((byte) => URGENT_BYTES.has(byte));
  }

  /** Payload that was read before: an announcement in it must still be the same. */
  #again(direction: DirectionName, { seq, payload }: Segment<Carrier>, old: number): void {
    const side = this.#sides[direction];
    if (side.announced === null) return;
    const known = side.memory;
    // Sequence number of memory's first byte: what was read ends at `next`, or before it within this very push.
    const first = (side.queue.next - known.length) >>> 0;
    const { start, end } = side.announced;
    for (let index = 0; index < old; index++) {
      const at = (seq + index) >>> 0;
      if (sequenceDistance(at, start) < 0 || sequenceDistance(at, end) >= 0) continue;
      const offset = sequenceDistance(at, first);
      if (offset >= 0 && offset < known.length && known[offset] !== payload[index]) {
        this.#withdraw('rewritten');
        this.#distrust('rewritten');
        return;
      }
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

  #announce(fact: Announce): void {
    const side = this.#sides[fact.direction];
    const verdict = judge(fact, this, this.assignment);
    if (verdict.refused !== null) {
      this.#outcome.refusals.push({ connection: this, expect: verdict.expect, reason: verdict.refused });
      return;
    }
    const start = (side.base + fact.start) >>> 0;
    const end = (side.base + fact.end) >>> 0;
    const direction = Direction[fact.direction];
    const box: DetailBox = { detail: fact.detail };
    side.announced = { start, end };
    this.box = box;
    this.#outcome.requests.push(
      {
        request: requestOf({
          op: RequestOp.expect,
          master: this.tuple,
          direction,
          limit: this.assignment.limits.perMaster,
          timeout: BigInt(this.assignment.limits.expectation) * 1_000_000n,
          mark: this.assignment.mark,
          tuple: tupleOf({ ...verdict.expect, protocol: PROTOCOL_NUMBER[fact.protocol], zone: this.tuple.zone }),
        }),
        answered: (answer) => {
          if (REASONS[answer.result] !== 'none') return;
          this.#current = { id: answer.id, slot: answer.slot };
          this.#expected(answer.id, box);
        },
      },
      { request: requestOf({ op: RequestOp.watch, master: this.tuple, direction, start, end }) },
    );
  }

  #withdraw(reason: Reason): void {
    if (this.#current === null) return;
    const { id, slot } = this.#current;
    this.#current = null;
    this.#outcome.requests.push({
      request: requestOf({ op: RequestOp.unexpect, id, slot, reason: REASONS.indexOf(reason) }),
    });
  }

  #distrust(reason: Reason): void {
    if (this.distrusted !== null) return;
    this.distrusted = reason;
    this.#outcome.requests.push({
      request: requestOf({ op: RequestOp.trust, master: this.tuple, reason: REASONS.indexOf(reason) }),
    });
    this.#sides.original.queue.flush();
    this.#sides.reply.queue.flush();
  }
}

function remember(memory: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (bytes.length >= MEMORY) return bytes.slice(-MEMORY);
  const kept = memory.subarray(Math.max(0, memory.length + bytes.length - MEMORY));
  const joined = new Uint8Array(kept.length + bytes.length);
  joined.set(kept);
  joined.set(bytes, kept.length);
  return joined;
}

// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import { Direction, type SampleRecord, type TupleRecord } from '@relatd/datapath';
import type { Fact, Helper, Parser, Span } from '@relatd/helpers';
import { reasonOf, type FlowDetail } from '@relatd/model';
import { PROTOCOL_NUMBER } from '../assignments.js';
import type { DirectionName } from '../connection.js';
import { destinationOf } from '../convert.js';
import { judge } from '../policy.js';
import { SegmentQueue } from '../segments.js';
import type { Said } from './evidence.js';

/** Bytes of a direction that are at hand when the parser speaks of them. */
const RECENT = 4096;
/** Characters of a line that are shown. */
const SHOWN = 200;
const UNJUDGED: ReadonlySet<string> = new Set(['hold-unavailable', 'hold-unattended', 'hold-strips']);
const DIRECTIONS: readonly DirectionName[] = ['original', 'reply'];

/** A control connection whose samples are read once more. */
export interface ReadAgain {
  /** From its opener. */
  readonly tuple: TupleRecord;
  readonly translated: boolean;
  readonly assignment: Assignment;
  readonly helper: Helper;
  /** Sequence numbers at which its streams begin; null: its beginning is not in the history. */
  readonly begins: Readonly<Record<DirectionName, number>> | null;
}

interface Side {
  queue: SegmentQueue<SampleRecord> | null;
  recent: Uint8Array;
  /** Bytes that were read. */
  read: number;
}

/** What a control connection said that matters, out of its samples. */
export class Dialogue {
  readonly said: Said[] = [];
  readonly #connection: ReadAgain;
  readonly #parser: Parser;
  readonly #sides: Record<DirectionName, Side> = { original: newSide(), reply: newSide() };
  readonly #timeOf: (boot: bigint) => number;
  #current: { detail: FlowDetail | null } | null = null;

  /** `timeOf` makes milliseconds since 1970 of boot times. */
  constructor(connection: ReadAgain, timeOf: (boot: bigint) => number) {
    const { begins, helper } = connection;
    this.#connection = connection;
    this.#timeOf = timeOf;
    this.#parser = helper.create({ adopted: begins === null });
    for (const direction of DIRECTIONS) {
      if (begins === null) this.#parser.resync(direction, { lineStart: true });
      else this.#sides[direction].queue = this.#queue(direction, begins[direction]);
    }
  }

  /** Takes a copy of a payload; its bytes must stay. */
  sample(sample: SampleRecord): void {
    const direction = sample.direction === Direction.original ? 'original' : 'reply';
    const segment = { seq: sample.seq, payload: sample.data, carrier: sample };
    if (this.#connection.tuple.protocol === PROTOCOL_NUMBER.udp) {
      this.#read(direction, sample.data, sample);
      return;
    }
    const side = this.#sides[direction];
    side.queue ??= this.#queue(direction, sample.seq);
    side.queue.push(segment);
  }

  /** No more will come: what waits behind a gap is read without it. */
  finish(): void {
    for (const direction of DIRECTIONS) {
      const { queue } = this.#sides[direction];
      for (let end = queue?.gapEnd ?? null; queue !== null && end !== null; end = queue.gapEnd) {
        this.#parser.resync(direction, { lineStart: true });
        queue.skip(end);
      }
    }
  }

  #queue(direction: DirectionName, next: number): SegmentQueue<SampleRecord> {
    return new SegmentQueue<SampleRecord>(next, {
      read: (bytes, { carrier }) => {
        const side = this.#sides[direction];
        side.recent = Buffer.concat([side.recent, bytes]).subarray(-RECENT);
        side.read += bytes.length;
        this.#read(direction, bytes, carrier);
      },
      again: () => undefined,
      release: () => undefined,
      keep: (segment) => segment,
    });
  }

  #read(direction: DirectionName, bytes: Uint8Array, sample: SampleRecord): void {
    const datagram = this.#connection.tuple.protocol === PROTOCOL_NUMBER.udp;
    for (const fact of this.#parser.feed(direction, bytes)) {
      this.#take(fact, sample, ({ direction: side, start, end }) => {
        const { recent, read } = datagram ? { recent: bytes, read: bytes.length } : this.#sides[side];
        const from = read - recent.length;
        return lineOf(recent.subarray(Math.max(0, start - from), Math.max(0, end - from)));
      });
    }
  }

  #take(fact: Fact, sample: SampleRecord, line: (span: Span) => string): void {
    const common = { time: this.#timeOf(sample.time), unjudged: UNJUDGED.has(reasonOf(sample.reason)) };
    const shown = this.#connection.assignment.detail;
    switch (fact.kind) {
      case 'announce': {
        const { expect, refused } = judge(fact, this.#connection, this.#connection.assignment);
        const said = {
          ...common,
          kind: 'announce' as const,
          direction: fact.direction,
          line: shown === 'full' ? line(fact) : '',
          destination: destinationOf({ ...this.#connection.tuple, ...expect }),
          reason: refused,
          detail: shownDetail(fact.detail, shown),
        };
        this.#current = said;
        this.said.push(said);
        return;
      }
      case 'detail':
        if (this.#current !== null) this.#current.detail = shownDetail(fact.detail, shown);
        return;
      case 'refuse':
        this.said.push({
          ...common,
          ...{ kind: 'refuse', direction: fact.direction, destination: null, reason: fact.reason, detail: null },
          line: shown === 'full' ? line(fact) : '',
        });
        return;
      default:
    }
  }
}

const newSide = (): Side => ({ queue: null, recent: new Uint8Array(), read: 0 });

function shownDetail(detail: FlowDetail | null, level: Assignment['detail']): FlowDetail | null {
  if (detail === null || level === 'none') return null;
  return level === 'full' ? detail : { command: detail['command'] ?? null };
}

function lineOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes)
    .toString('utf8')
    .replace(/[\r\n]+$/, '');
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

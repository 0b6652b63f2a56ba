// SPDX-License-Identifier: Apache-2.0
import {
  EVENT_AT,
  EVENT_SIZE,
  EXPECT_AT,
  EventType,
  FLOW_AT,
  SAMPLE_AT,
  SAMPLE_SIZE,
  TUPLE_AT,
  readEvent,
  writeEvent,
  writeSample,
  type EventRecord,
  type SampleRecord,
} from './generated/layout.js';
import { sampleAt } from './sample.js';

/** Memory that records stand in, one after the other, each at a multiple of 8. */
export interface RecordMemory {
  readonly view: DataView;
  readonly words: Uint32Array;
}

/**
 * A record of the ring, where it stands: an event or a sample. Nothing is decoded before it is asked for, because most of them
 * nobody asks about. Valid until whoever was given it returns.
 */
export class RingRecord {
  #memory: RecordMemory;
  #at = 0;
  #length = 0;

  constructor(memory: RecordMemory) {
    this.#memory = memory;
  }

  /** Stands for other bytes from here on. */
  place(memory: RecordMemory, at: number, length: number): void {
    this.#memory = memory;
    this.#at = at;
    this.#length = length;
  }

  /** Of {@link EventType}. */
  get type(): number {
    return this.#memory.view.getUint8(this.#at + EVENT_AT.type);
  }

  get isSample(): boolean {
    return this.type === EventType.sample;
  }

  get reason(): number {
    return this.#memory.view.getUint8(this.#at + EVENT_AT.reason);
  }

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  /** Of a sample: id of its control connection. */
  get sampledFlow(): bigint {
    return this.#id(SAMPLE_AT.flow);
  }

  /** Of an event about a flow: its id. */
  get flow(): bigint {
    return this.#id(EVENT_AT.flow + FLOW_AT.id);
  }

  /** Of an event about a related flow: id of its control connection. */
  get flowMaster(): bigint {
    return this.#id(EVENT_AT.flow + FLOW_AT.master);
  }

  /** Of an event about a flow: number of its assignment. */
  get flowAssignment(): number {
    return this.#memory.view.getUint16(this.#at + EVENT_AT.flow + FLOW_AT.assignment, true);
  }

  /** Of an event about an expectation: id of its control connection. */
  get expectMaster(): bigint {
    return this.#id(EVENT_AT.expect + EXPECT_AT.master);
  }

  /** Of an event about an expectation: number of its assignment. */
  get expectAssignment(): number {
    return this.#memory.view.getUint16(this.#at + EVENT_AT.expect + EXPECT_AT.assignment, true);
  }

  /** Boot time, ns. */
  get time(): bigint {
    return this.#id(this.isSample ? SAMPLE_AT.time : EVENT_AT.time);
  }

  /** Of an event: whether one end of what it is about has this address, 16 bytes as four words of this machine. */
  hasAddress(words: Uint32Array): boolean {
    return this.#addressIs(TUPLE_AT.source, words) || this.#addressIs(TUPLE_AT.destination, words);
  }

  #addressIs(end: number, words: Uint32Array): boolean {
    const from = (this.#at + EVENT_AT.tuple + end) >>> 2;
    for (let index = 3; index >= 0; index--) if (this.#memory.words[from + index] !== words[index]) return false;
    return true;
  }

  /** What an event says. */
  event(): EventRecord {
    return readEvent(this.#memory.view, this.#at);
  }

  /** What a sample says; `data` is a view. */
  sample(): SampleRecord {
    return sampleAt(this.#memory.view, this.#at, this.#length);
  }

  /** Copies the record; `at` is a multiple of 4. */
  copyTo(memory: RecordMemory, at: number): void {
    const { words } = this.#memory;
    const from = this.#at >>> 2;
    const to = at >>> 2;
    const count = (this.#length + 3) >>> 2;
    // A few dozen words: making views of them would cost more.
    for (let index = 0; index < count; index++) memory.words[to + index] = words[from + index] ?? 0;
  }

  #id(offset: number): bigint {
    return this.#memory.view.getBigUint64(this.#at + offset, true);
  }
}

export const recordMemory = (buffer: ArrayBuffer): RecordMemory => ({
  view: new DataView(buffer),
  words: new Uint32Array(buffer),
});

/** What user space has to tell of its own, in the form of the datapath's records. */
export function eventRecord(event: EventRecord): RingRecord {
  const memory = recordMemory(new ArrayBuffer(EVENT_SIZE));
  writeEvent(memory.view, 0, event);
  return placed(memory, EVENT_SIZE);
}

/** The same of a payload. */
export function sampleRecord(sample: SampleRecord): RingRecord {
  const length = SAMPLE_AT.data + sample.length;
  const memory = recordMemory(new ArrayBuffer((SAMPLE_SIZE + sample.length + 7) & ~7));
  writeSample(memory.view, 0, sample);
  new Uint8Array(memory.view.buffer).set(sample.data.subarray(0, sample.length), SAMPLE_AT.data);
  return placed(memory, length);
}

function placed(memory: RecordMemory, length: number): RingRecord {
  const record = new RingRecord(memory);
  record.place(memory, 0, length);
  return record;
}

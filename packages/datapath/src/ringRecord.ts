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
import { recordHeader } from '@relatd/native';
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

  /** Where it stands in its memory, bytes. */
  get at(): number {
    return this.#at;
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

  /** Makes it one that says nothing, where it stands: nobody who comes later is to read it. */
  erase(): void {
    const { words } = this.#memory;
    words.fill(0, this.#at >>> 2, (this.#at + this.#length + 3) >>> 2);
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

/** Records one after the other, each behind its header, as the ring gives them (native/src/ring.ts). */
export interface RecordBatch {
  readonly memory: RecordMemory;
  /** From the beginning of the memory. */
  readonly bytes: number;
}

/** Calls `look` with each record that stands between two places of a memory; `record` is what it is called with. */
export function eachRecord(
  memory: RecordMemory,
  start: number,
  end: number,
  record: RingRecord,
  look: (record: RingRecord) => void,
): void {
  for (let at = start; at + recordHeader <= end;) {
    const length = memory.words[at >>> 2] ?? 0;
    if (length < recordHeader) return;
    record.place(memory, at + recordHeader, length - recordHeader);
    look(record);
    at = (at + length + 7) & ~7;
  }
}

/** What user space has to tell of its own, in the form of the datapath's records. */
export function eventBatch(event: EventRecord): RecordBatch {
  return batchOf(EVENT_SIZE, EVENT_SIZE, (view, at) => {
    writeEvent(view, at, event);
  });
}

/** The same of a payload of up to `Limit.sampleBytes`. */
export function sampleBatch(sample: SampleRecord): RecordBatch {
  return batchOf(SAMPLE_AT.data + sample.length, SAMPLE_SIZE, (view, at) => {
    writeSample(view, at, sample);
  });
}

function batchOf(length: number, room: number, write: (view: DataView, at: number) => void): RecordBatch {
  const memory = recordMemory(new ArrayBuffer(recordHeader + ((room + 7) & ~7)));
  memory.words[0] = recordHeader + length;
  write(memory.view, recordHeader);
  return { memory, bytes: (recordHeader + length + 7) & ~7 };
}

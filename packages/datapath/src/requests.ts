// SPDX-License-Identifier: Apache-2.0
import type { BpfProgram } from '@relatd/native';
import { Limit, REQUEST_AT, REQUEST_SIZE, writeRequest, zeroRequest, type RequestRecord } from './generated/layout.js';

/** What the datapath writes into a request. */
export type RequestAnswer = Pick<RequestRecord, 'result' | 'created' | 'id' | 'evicted' | 'slot'>;

const { tuple: NO_TUPLE } = zeroRequest();

/** A request with the fields that it uses; the others are zero. Each by its name: spreading objects would cost more than serving it. */
export function requestOf(parts: Partial<RequestRecord>): RequestRecord {
  return {
    op: parts.op ?? 0,
    result: 0,
    class: parts.class ?? 0,
    flags: parts.flags ?? 0,
    limit: parts.limit ?? 0,
    direction: parts.direction ?? 0,
    reason: parts.reason ?? 0,
    created: 0,
    id: parts.id ?? 0n,
    evicted: 0n,
    timeout: parts.timeout ?? 0n,
    mark: parts.mark ?? 0,
    start: parts.start ?? 0,
    end: parts.end ?? 0,
    slot: parts.slot ?? 0,
    master: parts.master ?? NO_TUPLE,
    tuple: parts.tuple ?? NO_TUPLE,
  };
}

function answerAt(view: DataView, at: number): RequestAnswer {
  return {
    result: view.getUint8(at + REQUEST_AT.result),
    created: view.getUint8(at + REQUEST_AT.created),
    id: view.getBigUint64(at + REQUEST_AT.id, true),
    evicted: view.getBigUint64(at + REQUEST_AT.evicted, true),
    slot: view.getUint32(at + REQUEST_AT.slot, true),
  };
}

/** Behind an Ethernet header: how many requests there are. */
const COUNT_AT = 14;

/**
 * Asks the datapath to change its tables: the program that serves requests is run on batches of them, and
 * is the only writer of flows and expectations besides the packets themselves.
 */
export class Requests {
  readonly #program: BpfProgram;
  readonly #bytes = new Uint8Array(Limit.requestHeader + Limit.requestBatch * REQUEST_SIZE);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(program: BpfProgram) {
    this.#program = program;
    // Not an IP ethertype, so that test runs do not look behind the header.
    this.#bytes[12] = 0x88;
    this.#bytes[13] = 0xb5;
  }

  /** Serves all, in order; the answers stand in the same order. */
  run(requests: readonly RequestRecord[]): RequestAnswer[] {
    const answers: RequestAnswer[] = [];
    let count = 0;
    for (const request of requests) {
      writeRequest(this.#view, Limit.requestHeader + count * REQUEST_SIZE, request);
      if (++count < Limit.requestBatch) continue;
      this.#serve(count, answers);
      count = 0;
    }
    if (count > 0) this.#serve(count, answers);
    return answers;
  }

  #serve(count: number, answers: RequestAnswer[]): void {
    this.#view.setUint16(COUNT_AT, count);
    const bytes = this.#bytes.subarray(0, Limit.requestHeader + count * REQUEST_SIZE);
    const { verdict, data } = this.#program.testRun({ data: bytes });
    if (verdict !== 0) throw new Error(`the datapath refused a batch of ${String(count)} requests`);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    for (let index = 0; index < count; index++)
      answers.push(answerAt(view, Limit.requestHeader + index * REQUEST_SIZE));
  }
}

// SPDX-License-Identifier: Apache-2.0
import type { BpfProgram } from '@relatd/native';
import { Limit, REQUEST_AT, REQUEST_SIZE, writeRequest, zeroRequest, type RequestRecord } from './generated/layout.js';

/** A request with the fields that it uses; the others are zero. */
export function requestOf(parts: Partial<RequestRecord>): RequestRecord {
  return { ...zeroRequest(), ...parts };
}

/** The request with what the datapath writes into it: decoding all of it would cost more than serving it. */
function withAnswer(request: RequestRecord, view: DataView, at: number): RequestRecord {
  return {
    ...request,
    result: view.getUint8(at + REQUEST_AT.result),
    created: view.getUint8(at + REQUEST_AT.created),
    id: view.getBigUint64(at + REQUEST_AT.id, true),
    evicted: view.getBigUint64(at + REQUEST_AT.evicted, true),
    slot: view.getUint32(at + REQUEST_AT.slot, true),
  };
}

/**
 * Asks the datapath to change its tables: the program that serves requests is run on batches of them, and
 * is the only writer of flows and expectations besides the packets themselves.
 */
export class Requests {
  readonly #program: BpfProgram;
  readonly #buffer = new Uint8Array(Limit.requestHeader + Limit.requestBatch * REQUEST_SIZE);

  constructor(program: BpfProgram) {
    this.#program = program;
    // Not an IP ethertype, so that test runs do not look behind the header.
    this.#buffer[12] = 0x88;
    this.#buffer[13] = 0xb5;
  }

  /** Serves all, in order; the answers stand in the same order. */
  run(requests: readonly RequestRecord[]): RequestRecord[] {
    const answers: RequestRecord[] = [];
    for (let first = 0; first < requests.length; first += Limit.requestBatch) {
      const batch = requests.slice(first, first + Limit.requestBatch);
      const bytes = this.#buffer.subarray(0, Limit.requestHeader + batch.length * REQUEST_SIZE);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      view.setUint16(14, batch.length);
      batch.forEach((request, index) => {
        writeRequest(view, Limit.requestHeader + index * REQUEST_SIZE, request);
      });
      const { verdict, data } = this.#program.testRun({ data: bytes });
      if (verdict !== 0) throw new Error(`the datapath refused a batch of ${String(batch.length)} requests`);
      const answer = new DataView(data.buffer, data.byteOffset, data.byteLength);
      batch.forEach((request, index) => {
        answers.push(withAnswer(request, answer, Limit.requestHeader + index * REQUEST_SIZE));
      });
    }
    return answers;
  }
}

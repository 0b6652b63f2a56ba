// SPDX-License-Identifier: Apache-2.0
import { viewOf } from '@relatd/datapath';
import { createReadStream } from 'node:fs';
import { RelatdError, printable } from '@relatd/model';
import { type CaptureFormat, type CapturedPacket } from './capture.js';
import { PCAP_HEADER, PcapFormat, isPcap } from './pcap.js';
import { PCAPNG_MAGIC, PcapngFormat } from './pcapng.js';

const NOTHING = new Uint8Array(0);
const CHUNK_BYTES = 1 << 18;

/** Takes a capture file apart, in pieces of any size as they are read. Keeps no more than one record. */
export class CaptureDecoder {
  readonly #file: string;
  #format: CaptureFormat | null = null;
  #pending: Uint8Array = NOTHING;
  /** Where in the file `#pending` begins. */
  #offset = 0;
  /** Bytes of a record that nobody reads which are still to come. */
  #skip = 0;

  /** `file` is its name, for messages. */
  constructor(file: string) {
    this.#file = printable(file);
  }

  /**
   * The packets that are complete with these bytes. What was given before an error is thrown counts.
   * @throws RelatdError `CAPTURE_UNREADABLE`, `CAPTURE_DAMAGED`
   */
  *push(chunk: Uint8Array): Generator<CapturedPacket> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const skipped = Math.min(this.#skip, this.#pending.length);
      this.#skip -= skipped;
      this.#consume(skipped);
      this.#format ??= this.#begin();
      const record = this.#skip > 0 ? null : (this.#format?.measure(this.#pending) ?? null);
      if (record === null) return;
      if (!record.wanted) {
        this.#skip = record.size;
        continue;
      }
      if (this.#pending.length < record.size) return;
      const packet = this.#format?.read(this.#pending.subarray(0, record.size)) ?? null;
      this.#consume(record.size);
      if (packet !== null) yield packet;
    }
  }

  /** Nothing comes any more. @throws RelatdError when the file ends within a record */
  end(): void {
    if (this.#format === null) this.#unreadable('it is too short for a capture');
    if (this.#skip > 0 || this.#pending.length > 0) this.#damage('the file ends within a packet or block');
  }

  /** What kind of file it is; null: that takes more bytes to tell. */
  #begin(): CaptureFormat | null {
    const bytes = this.#pending;
    if (bytes.length < 4) return null;
    const magic = viewOf(bytes).getUint32(0, true);
    const damage = (what: string): never => this.#damage(what);
    if (magic === PCAPNG_MAGIC) return new PcapngFormat(damage);
    if ((magic & 0xffff) === 0x8b1f) this.#unreadable('it is compressed; unpack it with gunzip first');
    if (!isPcap(magic)) this.#unreadable('it is neither pcap nor pcapng');
    if (bytes.length < PCAP_HEADER) return null;
    this.#consume(PCAP_HEADER);
    return new PcapFormat(bytes, damage);
  }

  #consume(bytes: number): void {
    this.#pending = this.#pending.subarray(bytes);
    this.#offset += bytes;
  }

  #unreadable(why: string): never {
    throw RelatdError.of('CAPTURE_UNREADABLE', this.#file, why);
  }

  #damage(what: string): never {
    throw RelatdError.of('CAPTURE_DAMAGED', this.#file, this.#offset, what);
  }
}

/**
 * The packets of a capture file, pcap or pcapng, in the order in which they stand there. They come in groups as they are
 * read, each of which is to be gone through before the next is asked for.
 * @throws RelatdError `CAPTURE_UNREADABLE`, or behind what could be read `CAPTURE_DAMAGED`
 */
export async function* readCapture(path: string): AsyncGenerator<Iterable<CapturedPacket>> {
  const decoder = new CaptureDecoder(path);
  const chunks = createReadStream(path, { highWaterMark: CHUNK_BYTES })[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await nextOf(chunks, path);
      if (done === true) break;
      yield decoder.push(value as Buffer);
    }
  } finally {
    await chunks.return?.();
  }
  decoder.end();
}

async function nextOf(chunks: AsyncIterator<unknown>, path: string): Promise<IteratorResult<unknown, unknown>> {
  try {
    return await chunks.next();
  } catch (error) {
    throw RelatdError.with({ cause: error }, 'CAPTURE_UNREADABLE', printable(path), whyNot(error));
  }
}

function whyNot(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'no permission';
  return code === 'EISDIR' ? 'it is a directory' : message;
}

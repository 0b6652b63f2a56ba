// SPDX-License-Identifier: Apache-2.0
import { viewOf } from '@relatd/datapath';
import { RECORD_LIMIT, timeWithin, type CaptureFormat, type CapturedPacket, type Damage } from './capture.js';

/** Of the file's header and of each record's. */
export const PCAP_HEADER = 24;
const RECORD = 16;

/** By the first four bytes, read as little-endian: parts of a second that its times count, and its byte order. */
const KINDS: ReadonlyMap<number, { readonly perMillisecond: number; readonly little: boolean }> = new Map([
  [0xa1b2c3d4, { perMillisecond: 1e3, little: true }],
  [0xa1b23c4d, { perMillisecond: 1e6, little: true }],
  [0xd4c3b2a1, { perMillisecond: 1e3, little: false }],
  [0x4d3cb2a1, { perMillisecond: 1e6, little: false }],
]);

/** Whether a file that begins with these four bytes, read as little-endian, is a pcap file. */
export const isPcap = (magic: number): boolean => KINDS.has(magic);

/** The format that libpcap writes (draft-ietf-opsawg-pcap): a header, then records, all of one link type. */
export class PcapFormat implements CaptureFormat {
  readonly #little: boolean;
  readonly #perMillisecond: number;
  readonly #link: number;
  readonly #damage: Damage;

  /** `header` are the first {@link PCAP_HEADER} bytes of the file. */
  constructor(header: Uint8Array, damage: Damage) {
    const view = viewOf(header);
    const { little, perMillisecond } = KINDS.get(view.getUint32(0, true)) ?? { little: true, perMillisecond: 1e3 };
    this.#little = little;
    this.#perMillisecond = perMillisecond;
    // The upper half says how long a frame check sequence is, which stands behind what is read here.
    this.#link = view.getUint32(20, little) & 0xffff;
    this.#damage = damage;
  }

  measure(bytes: Uint8Array): { size: number; wanted: boolean } | null {
    if (bytes.length < RECORD) return null;
    const captured = viewOf(bytes).getUint32(8, this.#little);
    if (captured > RECORD_LIMIT) this.#damage(`a packet of ${String(captured)} bytes`);
    return { size: RECORD + captured, wanted: true };
  }

  read(record: Uint8Array): CapturedPacket {
    const view = viewOf(record);
    const seconds = view.getUint32(0, this.#little);
    const data = record.subarray(RECORD);
    return {
      time: timeWithin(seconds * 1000 + view.getUint32(4, this.#little) / this.#perMillisecond),
      length: Math.max(view.getUint32(12, this.#little), data.length),
      data,
      link: this.#link,
      interface: 0,
      name: null,
      side: null,
    };
  }
}

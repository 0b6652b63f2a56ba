// SPDX-License-Identifier: Apache-2.0

/** By which side of the capturing host's interface a packet went; null where the capture does not say. */
export type CaptureSide = 'in' | 'out' | null;

/** One packet of a capture, as its file has it. */
export interface CapturedPacket {
  /** Milliseconds since 1970. Null: the file does not say. */
  readonly time: number | null;
  /** Bytes on the wire; `data` has fewer where the capture cut it. A view into what was read. */
  readonly length: number;
  readonly data: Uint8Array;
  /** What the data begins with: a LINKTYPE number of tcpdump.org. */
  readonly link: number;
  /** Number of the interface within the file. */
  readonly interface: number;
  /** Its name, where the file has one. */
  readonly name: string | null;
  readonly side: CaptureSide;
}

/** Says what is wrong with the record that is being read. */
export type Damage = (what: string) => never;

/** What a format makes of the bytes of its file, record by record. */
export interface CaptureFormat {
  /**
   * The size of the record that begins here, and whether it is to be read; null: that takes more bytes to tell. A size that
   * is to be read is bounded by {@link RECORD_LIMIT}.
   */
  measure(bytes: Uint8Array): { readonly size: number; readonly wanted: boolean } | null;
  /** Reads a record that is wanted; null: it is no packet. */
  read(record: Uint8Array): CapturedPacket | null;
}

/** More than any interface hands to a capture, and little enough to be kept in memory. */
export const RECORD_LIMIT = 1 << 20;

/** The last millisecond that ISO 8601 writes with a year of four digits. */
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** A time as the capture has it, within what can be written down. */
export function timeWithin(milliseconds: number): number {
  return Math.min(Math.max(milliseconds, 0), LAST);
}

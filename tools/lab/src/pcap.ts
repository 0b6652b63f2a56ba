// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { concat } from './packet.js';

/** Link types of pcap files: Ethernet frames, or packets that begin with the IP header. */
export const linkType = { ethernet: 1, raw: 101 } as const;

/** One captured packet. */
export interface CapturedPacket {
  /** Seconds since the epoch. */
  time: number;
  /** Length on the wire; `data` is shorter when the capture cut it. */
  length: number;
  data: Uint8Array;
}

/** Bytes of a classic pcap file; packets are stamped one millisecond apart, from zero. */
export function pcapBytes(packets: readonly Uint8Array[], link: number = linkType.ethernet): Uint8Array {
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0xa1b2c3d4, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, 0x40000, true);
  view.setUint32(20, link, true);
  const records = packets.flatMap((packet, i) => {
    const record = new Uint8Array(16);
    const recordView = new DataView(record.buffer);
    recordView.setUint32(0, Math.floor(i / 1000), true);
    recordView.setUint32(4, (i % 1000) * 1000, true);
    recordView.setUint32(8, packet.length, true);
    recordView.setUint32(12, packet.length, true);
    return [record, packet];
  });
  return concat(header, ...records);
}

/** Writes packets to a classic pcap file. */
export async function writePcap(path: string, packets: readonly Uint8Array[], link?: number): Promise<void> {
  await writeFile(path, pcapBytes(packets, link));
}

/** Reads a classic pcap file (microseconds or nanoseconds, either byte order). A cut last record is left out. */
export async function readPcap(path: string): Promise<{ link: number; packets: CapturedPacket[] }> {
  const data = new Uint8Array(await readFile(path));
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 24) throw new Error(`${path}: too short for a pcap file`);
  const little = [0xa1b2c3d4, 0xa1b23c4d].includes(view.getUint32(0, true));
  const magic = view.getUint32(0, little);
  if (magic !== 0xa1b2c3d4 && magic !== 0xa1b23c4d) throw new Error(`${path}: not a classic pcap file`);
  const fraction = magic === 0xa1b23c4d ? 1e9 : 1e6;
  const packets: CapturedPacket[] = [];
  for (let at = 24; at + 16 <= data.length;) {
    const size = view.getUint32(at + 8, little);
    if (at + 16 + size > data.length) break;
    packets.push({
      time: view.getUint32(at, little) + view.getUint32(at + 4, little) / fraction,
      length: view.getUint32(at + 12, little),
      data: data.subarray(at + 16, at + 16 + size),
    });
    at += 16 + size;
  }
  return { link: view.getUint32(20, little), packets };
}

// SPDX-License-Identifier: Apache-2.0
import type { Connection } from './plan.js';

/** IPv4 and TCP without options; a UDP packet is filled up to the same length. */
export const HEADER_BYTES = 40;
export const ETHERNET_BYTES = 14;

export const FLAG = { fin: 1, syn: 2, rst: 4, push: 8, ack: 16 } as const;

/** What a packet is, besides where it goes. */
export interface PacketKind {
  readonly protocol?: 'tcp' | 'udp';
  readonly flags?: number;
  readonly seq?: number;
  readonly ack?: number;
  /** Follows the header; TCP only. */
  readonly payload?: Uint8Array;
  /** From who was connected to. */
  readonly reply?: boolean;
  /** The TCP checksum is left to the device, as senders with offload do: it holds that of the pseudo header. */
  readonly offloaded?: boolean;
}

/** The 40 bytes of headers, with both checksums right. */
export function header(connection: Connection, kind: PacketKind): Uint8Array {
  const { protocol = 'tcp', flags = FLAG.ack, seq = 0, ack = 0, payload = new Uint8Array(), reply = false } = kind;
  const { offloaded = false } = kind;
  const [source, destination] = reply
    ? [connection.destination, connection.source]
    : [connection.source, connection.destination];
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const length = HEADER_BYTES + payload.length;
  view.setUint8(0, 0x45);
  view.setUint16(2, length);
  view.setUint16(6, 0x4000);
  view.setUint8(8, 64);
  view.setUint8(9, protocol === 'tcp' ? 6 : 17);
  view.setUint32(12, source.address);
  view.setUint32(16, destination.address);
  view.setUint16(10, checksum(sum(bytes.subarray(0, 20))));
  view.setUint16(20, source.port);
  view.setUint16(22, destination.port);
  if (protocol === 'udp') {
    // No checksum: IPv4 allows that.
    view.setUint16(24, length - 20);
    return bytes;
  }
  view.setUint32(24, seq);
  view.setUint32(28, ack);
  view.setUint8(32, 0x50);
  view.setUint8(33, flags);
  view.setUint16(34, 0xffff);
  const pseudo = sum(bytes.subarray(12, 20)) + 6 + (length - 20);
  if (offloaded) view.setUint16(36, ~checksum(pseudo) & 0xffff);
  else view.setUint16(36, checksum(pseudo + sum(bytes.subarray(20)) + sum(payload)));
  return bytes;
}

function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return total;
}

function checksum(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}

/** Headers back to back. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

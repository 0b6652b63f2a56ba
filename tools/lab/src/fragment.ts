// SPDX-License-Identifier: Apache-2.0
import { concat, internetChecksum } from './packet.js';

/** How {@link fragments} cuts. */
export interface FragmentOptions {
  /** False when the packet has no Ethernet header. Default true. */
  ethernet?: boolean;
  /** Identification, default 0x1234. */
  id?: number;
}

/**
 * Cuts an IPv4 or IPv6 packet into fragments of `size` bytes of payload each (a multiple of 8; the last may be shorter).
 * For IPv6 the fragment header follows the hop-by-hop and routing headers, as RFC 8200 section 4.5 has it.
 */
export function fragments(packet: Uint8Array, size: number, options: FragmentOptions = {}): Uint8Array[] {
  if (size <= 0 || size % 8 !== 0) throw new RangeError('a fragment carries a positive multiple of 8 bytes');
  const start = options.ethernet === false ? 0 : networkOffset(packet);
  const link = packet.subarray(0, start);
  const network = packet.subarray(start);
  const id = options.id ?? 0x1234;
  const cut = (network[0] ?? 0) >> 4 === 4 ? cutIpv4(network, size, id) : cutIpv6(network, size, id);
  return cut.map((piece) => concat(link, piece));
}

/** Offset of the network header in an Ethernet frame, behind any VLAN tags. */
export function networkOffset(frame: Uint8Array): number {
  let at = 12;
  for (;;) {
    const type = ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
    if (type !== 0x8100 && type !== 0x88a8) return at + 2;
    at += 4;
  }
}

function cutIpv4(packet: Uint8Array, size: number, id: number): Uint8Array[] {
  const headerLength = ((packet[0] ?? 0) & 0xf) * 4;
  return slices(packet.subarray(headerLength), size).map(({ offset, data, more }) => {
    const header = packet.slice(0, headerLength);
    const view = new DataView(header.buffer);
    view.setUint16(2, headerLength + data.length);
    view.setUint16(4, id);
    view.setUint16(6, (more ? 0x2000 : 0) | (offset >> 3));
    view.setUint16(10, 0);
    view.setUint16(10, internetChecksum(header));
    return concat(header, data);
  });
}

function cutIpv6(packet: Uint8Array, size: number, id: number): Uint8Array[] {
  let nextAt = 6;
  let at = 40;
  while (packet[nextAt] === 0 || packet[nextAt] === 43) {
    nextAt = at;
    at += ((packet[at + 1] ?? 0) + 1) * 8;
  }
  const next = packet[nextAt] ?? 59;
  return slices(packet.subarray(at), size).map(({ offset, data, more }) => {
    const header = concat(packet.subarray(0, at), new Uint8Array(8));
    const view = new DataView(header.buffer);
    view.setUint8(nextAt, 44);
    view.setUint16(4, at - 40 + 8 + data.length);
    view.setUint8(at, next);
    view.setUint16(at + 2, offset | (more ? 1 : 0));
    view.setUint32(at + 4, id);
    return concat(header, data);
  });
}

function slices(data: Uint8Array, size: number): { offset: number; data: Uint8Array; more: boolean }[] {
  const out = [];
  for (let offset = 0; offset < data.length || offset === 0; offset += size) {
    out.push({ offset, data: data.subarray(offset, offset + size), more: offset + size < data.length });
  }
  return out;
}

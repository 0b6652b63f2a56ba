// SPDX-License-Identifier: Apache-2.0
import { mappedIPv4, viewOf } from './bytes.js';
import type { TupleRecord } from './generated/layout.js';

/** TCP's control bits, RFC 9293, 3.1. */
export const TCP_FLAG = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 } as const;

/** A TCP segment read from a held frame. */
export interface TcpFrame {
  /** As on the wire, with the zone of the interface that held it. */
  readonly tuple: TupleRecord;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** Offset of the urgent byte in the payload plus one; 0 without URG (RFC 6093). */
  readonly urgent: number;
  readonly payload: Uint8Array;
  /** Whether the TCP checksum is right. */
  readonly intact: boolean;
}

/** Of these only SYN is set where a connection is opened, as far as it is held. */
const OPENING = TCP_FLAG.syn | TCP_FLAG.ack;

const ETHERNET = 14;
const TAG = 4;

/** Where a frame's transport header is. */
interface Located extends Pick<TupleRecord, 'source' | 'destination' | 'family' | 'zone'> {
  readonly protocol: number;
  /** Offsets of the transport header and of what follows the packet. */
  readonly at: number;
  readonly end: number;
  /** Sum over the addresses, for the checksum. */
  readonly pseudo: number;
}

const TCP = 6;
const UDP = 17;

/**
 * Reads a frame from the hold device: Ethernet header, the datapath's own 802.1ad tag with the zone, what
 * other tags there were, IP, TCP. Null when it is not such a frame. Views into `frame`, no copies.
 */
export function readHeldFrame(frame: Uint8Array): TcpFrame | null {
  const view = viewOf(frame);
  const located = locate(frame, view);
  return located?.protocol === TCP ? readTcp(frame, view, located) : null;
}

/**
 * The tuple of a held packet that opens a connection: a SYN or a datagram. Null when it is none: of control connections only what
 * comes later is held.
 */
export function readHeldOpener(frame: Uint8Array): TupleRecord | null {
  const view = viewOf(frame);
  const located = locate(frame, view);
  if (located === null) return null;
  if (located.protocol === UDP) return located.at + 8 > located.end ? null : tupleOf(view, located);
  // Every held packet is asked this: its checksum is not summed up for that.
  const opens = tcpHeader(view, located) !== null && (flagsOf(view, located) & OPENING) === TCP_FLAG.syn;
  return opens ? tupleOf(view, located) : null;
}

function locate(frame: Uint8Array, view: DataView): Located | null {
  if (frame.length < ETHERNET + TAG || view.getUint16(12) !== 0x88a8) return null;
  const zone = view.getUint16(14);
  let at = ETHERNET + TAG;
  let protocol = view.getUint16(16);
  for (let tags = 0; tags < 2 && (protocol === 0x8100 || protocol === 0x88a8); tags++) {
    if (frame.length < at + TAG) return null;
    protocol = view.getUint16(at + 2);
    at += TAG;
  }
  if (protocol === 0x0800) return locateIPv4(frame, view, at, zone);
  return protocol === 0x86dd ? locateIPv6(frame, view, at, zone) : null;
}

function locateIPv4(frame: Uint8Array, view: DataView, at: number, zone: number): Located | null {
  if (frame.length < at + 20 || view.getUint8(at) >> 4 !== 4) return null;
  const protocol = view.getUint8(at + 9);
  const header = (view.getUint8(at) & 0xf) * 4;
  const end = at + view.getUint16(at + 2);
  if (header < 20 || end > frame.length || at + header > end || (protocol !== TCP && protocol !== UDP)) return null;
  return {
    ...{ source: mappedIPv4(frame, at + 12), destination: mappedIPv4(frame, at + 16), family: 4, zone, protocol },
    ...{ at: at + header, end, pseudo: sum(view, at + 12, at + 20) },
  };
}

function locateIPv6(frame: Uint8Array, view: DataView, at: number, zone: number): Located | null {
  if (frame.length < at + 40 || view.getUint8(at) >> 4 !== 6) return null;
  const end = at + 40 + view.getUint16(at + 4);
  if (end > frame.length) return null;
  let next = view.getUint8(at + 6);
  let here = at + 40;
  // The datapath has walked these headers already; the same kinds in the same number (bpf/lib/packet.h).
  for (let headers = 0; headers < 6 && next !== TCP && next !== UDP; headers++) {
    if (here + 8 > end || ![0, 43, 44, 51, 60].includes(next)) return null;
    const length = view.getUint8(here + 1);
    const size = next === 44 ? 8 : next === 51 ? (length + 2) * 4 : (length + 1) * 8;
    next = view.getUint8(here);
    here += size;
  }
  if (next !== TCP && next !== UDP) return null;
  return {
    ...{ source: frame.slice(at + 8, at + 24), destination: frame.slice(at + 24, at + 40), family: 6, zone },
    ...{ protocol: next, at: here, end, pseudo: sum(view, at + 8, at + 40) },
  };
}

function tupleOf(view: DataView, { source, destination, family, zone, protocol, at }: Located): TupleRecord {
  const ports = { sourcePort: view.getUint16(at), destinationPort: view.getUint16(at + 2) };
  return { source, destination, ...ports, protocol, family, zone };
}

/** Bytes of a TCP header; null where it is no such thing, or not whole. */
function tcpHeader(view: DataView, { at, end }: Located): number | null {
  if (at + 20 > end) return null;
  const header = (view.getUint8(at + 12) >> 4) * 4;
  return header < 20 || at + header > end ? null : header;
}

const flagsOf = (view: DataView, { at }: Located): number => view.getUint8(at + 13);

function readTcp(frame: Uint8Array, view: DataView, located: Located): TcpFrame | null {
  const { at, end, pseudo } = located;
  const header = tcpHeader(view, located);
  if (header === null) return null;
  const flags = flagsOf(view, located);
  return {
    tuple: tupleOf(view, located),
    seq: view.getUint32(at + 4),
    ack: view.getUint32(at + 8),
    flags,
    urgent: flags & TCP_FLAG.urg ? view.getUint16(at + 18) : 0,
    payload: frame.subarray(at + header, end),
    intact: fold(pseudo + TCP + (end - at) + sum(view, at, end)) === 0xffff,
  };
}

/** The one's complement sum of 16-bit words, RFC 1071. */
function sum(view: DataView, from: number, to: number): number {
  let total = 0;
  let at = from;
  for (; at + 1 < to; at += 2) total += view.getUint16(at);
  return at < to ? total + (view.getUint8(at) << 8) : total;
}

function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

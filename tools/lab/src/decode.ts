// SPDX-License-Identifier: Apache-2.0
import { addressText } from './address.js';
import { tcpFlags } from './packet.js';

/** What a frame says, as far as it can be read. */
export interface DecodedFrame {
  /** Absent without Ethernet header. */
  sourceMac?: string;
  destinationMac?: string;
  /** Tag control informations, outermost first. */
  vlan: number[];
  etherType: number;
  ip?: DecodedIp;
  tcp?: DecodedTcp;
  udp?: { sport: number; dport: number; payload: Uint8Array };
}

/** The network layer of a {@link DecodedFrame}. */
export interface DecodedIp {
  version: 4 | 6;
  src: string;
  dst: string;
  ttl: number;
  /** Protocol behind the extension headers. */
  protocol: number;
  /** Of a fragment; the offset in bytes. */
  fragment?: { offset: number; more: boolean; id: number };
}

/** The TCP segment of a {@link DecodedFrame}. */
export interface DecodedTcp {
  sport: number;
  dport: number;
  seq: number;
  ack: number;
  /** Letters in the order `FSRPAUEC`. */
  flags: string;
  window: number;
  options: Uint8Array;
  payload: Uint8Array;
}

/** Reads a frame, or with `ethernet: false` a packet that begins with its IP header. What is cut or unknown is left out. */
export function decode(frame: Uint8Array, { ethernet = true } = {}): DecodedFrame {
  const reader = new Reader(frame);
  try {
    const decoded: DecodedFrame = ethernet
      ? readEthernet(reader)
      : { vlan: [], etherType: (frame[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800 };
    try {
      if (decoded.etherType === 0x0800) readIpv4(reader, decoded);
      else if (decoded.etherType === 0x86dd) readIpv6(reader, decoded);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    return decoded;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { vlan: [], etherType: 0 };
  }
}

class Reader {
  at = 0;
  end: number;
  readonly #data: Uint8Array;
  readonly #view: DataView;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.end = data.length;
  }

  u8(): number {
    return this.#view.getUint8(this.at++);
  }

  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2);
  }

  u32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4);
  }

  bytes(length: number): Uint8Array {
    if (length < 0 || this.at + length > this.#data.length) throw new RangeError('beyond the end of the frame');
    this.at += length;
    return this.#data.subarray(this.at - length, this.at);
  }

  rest(): Uint8Array {
    return this.bytes(Math.max(0, Math.min(this.end, this.#data.length) - this.at));
  }
}

function readEthernet(reader: Reader): DecodedFrame {
  const mac = (): string => [...reader.bytes(6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  const destinationMac = mac();
  const sourceMac = mac();
  const vlan: number[] = [];
  let etherType = reader.u16();
  while (etherType === 0x8100 || etherType === 0x88a8) {
    vlan.push(reader.u16());
    etherType = reader.u16();
  }
  return { sourceMac, destinationMac, vlan, etherType };
}

function readIpv4(reader: Reader, decoded: DecodedFrame): void {
  const start = reader.at;
  const headerLength = (reader.u8() & 0xf) * 4;
  reader.u8();
  // Ethernet pads short frames: the total length says where the packet ends.
  reader.end = start + reader.u16();
  const id = reader.u16();
  const word = reader.u16();
  const ttl = reader.u8();
  const protocol = reader.u8();
  reader.u16();
  const src = addressText(reader.bytes(4));
  const dst = addressText(reader.bytes(4));
  reader.at = start + headerLength;
  decoded.ip = { version: 4, src, dst, ttl, protocol };
  const offset = (word & 0x1fff) * 8;
  const more = (word & 0x2000) !== 0;
  if (offset > 0 || more) decoded.ip.fragment = { offset, more, id };
  if (offset === 0) readTransport(reader, decoded, protocol);
}

function readIpv6(reader: Reader, decoded: DecodedFrame): void {
  reader.u32();
  const length = reader.u16();
  let protocol = reader.u8();
  const ttl = reader.u8();
  const src = addressText(reader.bytes(16));
  const dst = addressText(reader.bytes(16));
  reader.end = reader.at + length;
  const ip: DecodedIp = { version: 6, src, dst, ttl, protocol };
  decoded.ip = ip;
  while ([0, 43, 44, 51, 60].includes(protocol)) {
    const start = reader.at;
    const next = reader.u8();
    const units = reader.u8();
    if (protocol === 44) {
      const word = reader.u16();
      ip.fragment = { offset: word & 0xfff8, more: (word & 1) !== 0, id: reader.u32() };
    } else {
      reader.at = start + (protocol === 51 ? (units + 2) * 4 : (units + 1) * 8);
    }
    protocol = ip.protocol = next;
    if (ip.fragment && ip.fragment.offset > 0) return;
  }
  readTransport(reader, decoded, protocol);
}

function readTransport(reader: Reader, decoded: DecodedFrame, protocol: number): void {
  const start = reader.at;
  if (protocol === 17) {
    const [sport, dport] = [reader.u16(), reader.u16()];
    reader.u32();
    decoded.udp = { sport, dport, payload: reader.rest() };
  } else if (protocol === 6) {
    const [sport, dport, seq, ack] = [reader.u16(), reader.u16(), reader.u32(), reader.u32()];
    const headerLength = (reader.u8() >> 4) * 4;
    const bits = reader.u8();
    const window = reader.u16();
    reader.u32();
    const options = reader.bytes(headerLength - 20);
    reader.at = start + headerLength;
    const flags = Object.entries(tcpFlags).flatMap(([letter, bit]) => ((bits & bit) === 0 ? [] : [letter]));
    decoded.tcp = { sport, dport, seq, ack, flags: flags.join(''), window, options, payload: reader.rest() };
  }
}

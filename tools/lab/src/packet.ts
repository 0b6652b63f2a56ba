// SPDX-License-Identifier: Apache-2.0
import { addressBytes } from './address.js';

/** Bytes, or text that stands for its Latin-1 bytes. */
export type Bytes = Uint8Array | string;

/** Layer 2 of a frame. With `ethernet: false` a packet begins at its IP header, as on a TUN interface. */
export interface LinkOptions {
  ethernet?: boolean;
  /** Default `02:00:00:00:00:01`. */
  sourceMac?: string;
  /** Default `02:00:00:00:00:02`. */
  destinationMac?: string;
  /** 16-bit tag control information, outermost first. The outer one of two is an 802.1ad tag. */
  vlan?: number | readonly number[];
  /** Overrides the EtherType that follows the tags. */
  etherType?: number;
}

/** An IPv6 extension header. `body` is what follows the two (fragment: one) leading bytes; it is padded to a multiple of 8. */
export type Extension =
  | { kind: 'hop-by-hop' | 'destination' | 'routing' | 'authentication' | number; body?: Uint8Array }
  /** `offset` in bytes, a multiple of 8. */
  | { kind: 'fragment'; offset?: number; more?: boolean; id?: number };

/** Layer 3. The family is that of `src`, which must be that of `dst`. */
export interface NetworkOptions extends LinkOptions {
  src: string;
  dst: string;
  /** TTL or hop limit, default 64. */
  ttl?: number;
  /** TOS or traffic class, default 0. */
  tos?: number;
  /** IPv4 identification, default 1. */
  id?: number;
  /** IPv4 "don't fragment", default true. */
  dontFragment?: boolean;
  /** IPv4 "more fragments", default false. */
  moreFragments?: boolean;
  /** IPv4 fragment offset in bytes, a multiple of 8. */
  fragmentOffset?: number;
  /** IPv4 options, padded with zeros to a multiple of 4. */
  ipOptions?: Uint8Array;
  /** IPv6 extension headers in order. */
  extensions?: readonly Extension[];
  /** IPv6 flow label, default 0. */
  flowLabel?: number;
  /** Overrides the total length (IPv4) or payload length (IPv6), for malformed packets. */
  ipLength?: number;
  /** Overrides the IPv4 header length in 32-bit words, for malformed packets. */
  ihl?: number;
  /** Overrides the IP version, for malformed packets. */
  version?: number;
  /** Overrides the protocol or the last next header. */
  protocol?: number;
  /** Overrides the IPv4 header checksum. */
  ipChecksum?: number;
  /** Cuts the frame after so many bytes, counted from its first. */
  truncate?: number;
}

/** TCP flag bits, by the letters of {@link TcpOptions.flags}. */
export const tcpFlags = { F: 0x01, S: 0x02, R: 0x04, P: 0x08, A: 0x10, U: 0x20, E: 0x40, C: 0x80 } as const;

/** A TCP segment. */
export interface TcpOptions extends NetworkOptions {
  sport: number;
  dport: number;
  /** Default 0. Taken modulo 2^32. */
  seq?: number;
  /** Default 0. Taken modulo 2^32. */
  ack?: number;
  /** Letters out of `FSRPAUEC` (`'SA'` is SYN and ACK) or the bits. Default `'A'`, `'PA'` with payload. */
  flags?: string | number;
  /** Default 65535. */
  window?: number;
  urgent?: number;
  /** TCP options, padded with zeros to a multiple of 4; see {@link tcpOption}. */
  options?: Uint8Array | readonly Uint8Array[];
  payload?: Bytes;
  /** Overrides the header length in 32-bit words, for malformed segments. */
  dataOffset?: number;
  /** Overrides the checksum. */
  checksum?: number;
}

/** A UDP datagram. */
export interface UdpOptions extends NetworkOptions {
  sport: number;
  dport: number;
  payload?: Bytes;
  /** Overrides the length field. */
  length?: number;
  /** Overrides the checksum. */
  checksum?: number;
}

/** TCP options as bytes. */
export const tcpOption = {
  nop: (): Uint8Array => Uint8Array.of(1),
  mss: (size: number): Uint8Array => Uint8Array.of(2, 4, size >> 8, size & 0xff),
  windowScale: (shift: number): Uint8Array => Uint8Array.of(3, 3, shift),
  sackPermitted: (): Uint8Array => Uint8Array.of(4, 2),
  sack: (...blocks: [left: number, right: number][]): Uint8Array =>
    concat(Uint8Array.of(5, 2 + 8 * blocks.length), ...blocks.flat().map(word)),
  timestamps: (value: number, echo: number): Uint8Array => concat(Uint8Array.of(8, 10), word(value), word(echo)),
  /** RFC 7413; without a cookie this is a request for one. */
  fastOpen: (cookie: Uint8Array = new Uint8Array()): Uint8Array => concat(Uint8Array.of(34, 2 + cookie.length), cookie),
} as const;

/** Joins byte arrays and Latin-1 texts. */
export function concat(...parts: readonly Bytes[]): Uint8Array {
  const arrays = parts.map(bytes);
  const out = new Uint8Array(arrays.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of arrays) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Frame or packet with a TCP segment. */
export function tcp(options: TcpOptions): Uint8Array {
  const payload = bytes(options.payload ?? '');
  const list = options.options ?? new Uint8Array();
  const header = new Uint8Array(20 + padded(list instanceof Uint8Array ? list : concat(...list), 4).length);
  header.set(list instanceof Uint8Array ? list : concat(...list), 20);
  const view = viewOf(header);
  view.setUint16(0, options.sport);
  view.setUint16(2, options.dport);
  view.setUint32(4, options.seq ?? 0);
  view.setUint32(8, options.ack ?? 0);
  view.setUint8(12, ((options.dataOffset ?? header.length / 4) & 0xf) << 4);
  view.setUint8(13, flagBits(options.flags ?? (payload.length > 0 ? 'PA' : 'A')));
  view.setUint16(14, options.window ?? 65535);
  view.setUint16(18, options.urgent ?? 0);
  const segment = concat(header, payload);
  viewOf(segment).setUint16(16, options.checksum ?? transportChecksum(options, 6, segment));
  return ip({ ...options, protocol: options.protocol ?? 6 }, segment);
}

/** Frame or packet with a UDP datagram. */
export function udp(options: UdpOptions): Uint8Array {
  const payload = bytes(options.payload ?? '');
  const datagram = concat(new Uint8Array(8), payload);
  const view = viewOf(datagram);
  view.setUint16(0, options.sport);
  view.setUint16(2, options.dport);
  view.setUint16(4, options.length ?? datagram.length);
  // Zero means "no checksum" in UDP, so a sum of zero is sent as its other form.
  view.setUint16(6, options.checksum ?? (transportChecksum(options, 17, datagram) || 0xffff));
  return ip({ ...options, protocol: options.protocol ?? 17 }, datagram);
}

/** Frame or packet with any layer 4 bytes; `protocol` defaults to 59 ("no next header"). */
export function ip(options: NetworkOptions, payload: Uint8Array): Uint8Array {
  const src = addressBytes(options.src);
  const dst = addressBytes(options.dst);
  if (src.length !== dst.length) throw new TypeError(`${options.src} and ${options.dst} are of different families`);
  const packet = src.length === 4 ? ipv4(options, src, dst, payload) : ipv6(options, src, dst, payload);
  return ethernet(options, src.length === 4 ? 0x0800 : 0x86dd, packet).subarray(0, options.truncate);
}

function ipv4(options: NetworkOptions, src: Uint8Array, dst: Uint8Array, payload: Uint8Array): Uint8Array {
  const extra = padded(options.ipOptions ?? new Uint8Array(), 4);
  const header = concat(new Uint8Array(12), src, dst, extra);
  const view = viewOf(header);
  view.setUint8(0, ((options.version ?? 4) << 4) | ((options.ihl ?? header.length / 4) & 0xf));
  view.setUint8(1, options.tos ?? 0);
  view.setUint16(2, options.ipLength ?? header.length + payload.length);
  view.setUint16(4, options.id ?? 1);
  const offset = options.fragmentOffset ?? 0;
  const more = options.moreFragments ?? false;
  const dontFragment = options.dontFragment ?? (offset === 0 && !more);
  view.setUint16(6, (dontFragment ? 0x4000 : 0) | (more ? 0x2000 : 0) | (offset >> 3));
  view.setUint8(8, options.ttl ?? 64);
  view.setUint8(9, options.protocol ?? 59);
  view.setUint16(10, options.ipChecksum ?? internetChecksum(header));
  return concat(header, payload);
}

const extensionNumbers: Readonly<Record<string, number>> = {
  'hop-by-hop': 0,
  routing: 43,
  fragment: 44,
  authentication: 51,
  destination: 60,
};

function ipv6(options: NetworkOptions, src: Uint8Array, dst: Uint8Array, payload: Uint8Array): Uint8Array {
  const extensions = options.extensions ?? [];
  const numbers = extensions.map(({ kind }) => (typeof kind === 'number' ? kind : (extensionNumbers[kind] ?? 60)));
  const last = options.protocol ?? 59;
  const chain = concat(...extensions.map((extension, i) => extensionBytes(extension, numbers[i + 1] ?? last)));
  const header = concat(new Uint8Array(8), src, dst);
  const view = viewOf(header);
  const first = ((options.version ?? 6) << 28) | ((options.tos ?? 0) << 20) | ((options.flowLabel ?? 0) & 0xfffff);
  view.setUint32(0, first >>> 0);
  view.setUint16(4, options.ipLength ?? chain.length + payload.length);
  view.setUint8(6, numbers[0] ?? last);
  view.setUint8(7, options.ttl ?? 64);
  return concat(header, chain, payload);
}

function extensionBytes(extension: Extension, next: number): Uint8Array {
  if (extension.kind === 'fragment' && !('body' in extension)) {
    const { offset = 0, more = false, id = 1 } = extension;
    const header = new Uint8Array(8);
    const view = viewOf(header);
    view.setUint8(0, next);
    view.setUint16(2, (offset & 0xfff8) | (more ? 1 : 0));
    view.setUint32(4, id);
    return header;
  }
  const { kind, body } = extension as Extract<Extension, { body?: Uint8Array }>;
  // PadN over the six bytes that an empty options header must have; a routing header with no segments left.
  const filler = kind === 'routing' ? new Uint8Array(6) : Uint8Array.of(1, 4, 0, 0, 0, 0);
  const header = padded(concat(new Uint8Array(2), body ?? filler), 8);
  header[0] = next;
  // The authentication header counts 32-bit words less two, the others 8-byte units less one (RFC 4302, RFC 8200).
  header[1] = kind === 'authentication' || kind === 51 ? header.length / 4 - 2 : header.length / 8 - 1;
  return header;
}

function ethernet(options: LinkOptions, etherType: number, packet: Uint8Array): Uint8Array {
  if (options.ethernet === false) return packet;
  const tags = typeof options.vlan === 'number' ? [options.vlan] : (options.vlan ?? []);
  const tagBytes = tags.map((tci, i) => concat(half(i + 1 < tags.length ? 0x88a8 : 0x8100), half(tci)));
  return concat(
    macBytes(options.destinationMac ?? '02:00:00:00:00:02'),
    macBytes(options.sourceMac ?? '02:00:00:00:00:01'),
    ...tagBytes,
    half(options.etherType ?? etherType),
    packet,
  );
}

/** Six bytes of `aa:bb:cc:dd:ee:ff`. Throws `TypeError` when the text is no MAC address. */
export function macBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new TypeError(`not a MAC address: ${text}`);
  return Uint8Array.from(text.split(':'), (part) => parseInt(part, 16));
}

/** The ones' complement sum of RFC 1071, ready to be stored. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  const data = concat(...parts);
  let sum = 0;
  for (let i = 0; i < data.length; i += 2) sum += ((data[i] ?? 0) << 8) | (data[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function transportChecksum(options: NetworkOptions, protocol: number, segment: Uint8Array): number {
  const src = addressBytes(options.src);
  const dst = addressBytes(options.dst);
  const pseudo =
    src.length === 4 ? concat(half(protocol), half(segment.length)) : concat(word(segment.length), word(protocol));
  return internetChecksum(src, dst, pseudo, segment);
}

function flagBits(flags: string | number): number {
  if (typeof flags === 'number') return flags;
  let bits = 0;
  for (const letter of flags) {
    if (!Object.hasOwn(tcpFlags, letter)) throw new TypeError(`unknown TCP flag ${letter}`);
    bits |= tcpFlags[letter as keyof typeof tcpFlags];
  }
  return bits;
}

function bytes(data: Bytes): Uint8Array {
  return typeof data === 'string' ? Uint8Array.from(Buffer.from(data, 'latin1')) : data;
}

function padded(data: Uint8Array, unit: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(data.length / unit) * unit);
  out.set(data);
  return out;
}

function half(value: number): Uint8Array {
  return Uint8Array.of((value >> 8) & 0xff, value & 0xff);
}

function word(value: number): Uint8Array {
  return Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

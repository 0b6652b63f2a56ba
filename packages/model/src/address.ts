// SPDX-License-Identifier: Apache-2.0

/** An IP address in 16 bytes; IPv4 in its mapped form `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2), as in the datapath. */
export type AddressBytes = Uint8Array;

/** 4, 6, or 0 where both are meant. */
export type Family = 0 | 4 | 6;

const ZERO = 0x30;
const DOT = 0x2e;
const COLON = 0x3a;

/** Reads `a.b.c.d` from `text[start, end)` into four bytes. No leading zeros: some tools read them as octal. */
function readIPv4(text: string, start: number, end: number, out: Uint8Array, at: number): boolean {
  let position = start;
  for (let part = 0; part < 4; part++) {
    if (part > 0) {
      if (position >= end || text.charCodeAt(position) !== DOT) return false;
      position++;
    }
    const first = position;
    let value = 0;
    while (position < end && position - first < 3) {
      const digit = text.charCodeAt(position) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      position++;
    }
    const digits = position - first;
    if (digits === 0 || value > 255 || (digits > 1 && text.charCodeAt(first) === ZERO)) return false;
    out[at + part] = value;
  }
  return position === end;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function readIPv6(text: string, out: Uint8Array): boolean {
  const end = text.length;
  let position = 0;
  let filled = 0;
  let gap = -1;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gap = 0;
    position = 2;
  }
  while (position < end) {
    if (filled >= 16) return false;
    const first = position;
    let value = 0;
    while (position < end && position - first < 4) {
      const digit = hexDigit(text.charCodeAt(position));
      if (digit < 0) break;
      value = (value << 4) | digit;
      position++;
    }
    if (position < end && text.charCodeAt(position) === DOT) {
      if (filled > 12 || !readIPv4(text, first, end, out, filled)) return false;
      filled += 4;
      break;
    }
    if (position === first) return false;
    out[filled] = value >> 8;
    out[filled + 1] = value & 0xff;
    filled += 2;
    if (position === end) break;
    if (text.charCodeAt(position) !== COLON) return false;
    position++;
    if (position < end && text.charCodeAt(position) === COLON) {
      if (gap >= 0) return false;
      gap = filled;
      position++;
    } else if (position === end) return false;
  }
  if (gap < 0) return filled === 16;
  // "::" stands for at least one group (RFC 4291, 2.2; inet_pton agrees).
  if (filled > 14) return false;
  out.copyWithin(16 - (filled - gap), gap, filled);
  out.fill(0, gap, 16 - (filled - gap));
  return true;
}

/**
 * Reads an address in any legal spelling; null when it is none. Without zone (`%eth0`), without leading zeros in IPv4
 * parts.
 */
export function parseAddress(text: string): AddressBytes | null {
  const out = new Uint8Array(16);
  if (text.length > 45) return null;
  if (text.includes(':')) return readIPv6(text, out) ? out : null;
  out[10] = 0xff;
  out[11] = 0xff;
  return readIPv4(text, 0, text.length, out, 12) ? out : null;
}

/** Whether 16 bytes at `offset` are an IPv4 address in its mapped form. */
export function isMappedIPv4(bytes: AddressBytes, offset = 0): boolean {
  for (let index = 0; index < 10; index++) if (bytes[offset + index] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

/** 4 or 6. */
export function familyOf(bytes: AddressBytes, offset = 0): 4 | 6 {
  return isMappedIPv4(bytes, offset) ? 4 : 6;
}

/** The canonical text: IPv4 dotted, IPv6 by RFC 5952 (lower case, the longest run of zero groups as `::`). */
export function formatAddress(bytes: AddressBytes, offset = 0): string {
  const byte = (index: number): number => bytes[offset + index] ?? 0;
  if (isMappedIPv4(bytes, offset)) {
    return `${String(byte(12))}.${String(byte(13))}.${String(byte(14))}.${String(byte(15))}`;
  }
  let runStart = -1;
  let runLength = 1;
  for (let group = 0; group < 8;) {
    const start = group;
    while (group < 8 && byte(2 * group) === 0 && byte(2 * group + 1) === 0) group++;
    if (group - start > runLength) {
      runStart = start;
      runLength = group - start;
    }
    group++;
  }
  let text = '';
  for (let group = 0; group < 8;) {
    if (group === runStart) {
      text += '::';
      group += runLength;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += ((byte(2 * group) << 8) | byte(2 * group + 1)).toString(16);
    group++;
  }
  return text;
}

/** Whether two addresses are the same. */
export function addressEquals(a: AddressBytes, b: AddressBytes): boolean {
  for (let index = 0; index < 16; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Whether only this host can reach the address: 127.0.0.0/8 and `::1`. */
export function isLoopback(bytes: AddressBytes): boolean {
  if (isMappedIPv4(bytes)) return bytes[12] === 127;
  return bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
}

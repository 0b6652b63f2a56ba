// SPDX-License-Identifier: Apache-2.0
import { familyOf, formatAddress, isMappedIPv4, parseAddress, type AddressBytes, type Family } from './address.js';

/** A range of addresses. `length` counts bits of the 16 byte form: 10.0.0.0/8 has 104. Family 0 covers everything. */
export interface Prefix {
  readonly bytes: AddressBytes;
  readonly length: number;
  readonly family: Family;
}

/** Every address of both families. */
export const ANY: Prefix = { bytes: new Uint8Array(16), length: 0, family: 0 };

/** Every IPv4 address. */
export const ANY_IPV4: Prefix = {
  bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0),
  length: 96,
  family: 4,
};

/** Every IPv6 address. */
export const ANY_IPV6: Prefix = { bytes: new Uint8Array(16), length: 0, family: 6 };

/** What came of reading a prefix: `right` is the prefix that was probably meant. */
export type PrefixParse =
  { readonly prefix: Prefix } | { readonly error: 'address' | 'length' | 'host-bits'; readonly right: Prefix | null };

/** The address with every bit behind `length` cleared. */
export function maskAddress(bytes: AddressBytes, length: number): AddressBytes {
  const out = new Uint8Array(16);
  const whole = length >> 3;
  out.set(bytes.subarray(0, whole));
  if (whole < 16) out[whole] = (bytes[whole] ?? 0) & (0xff00 >> (length & 7));
  return out;
}

/**
 * Reads `10.0.0.0/8`, `2001:db8::/64`, or an address alone. Bits set behind the length are an error: the writer meant
 * another length or another address.
 */
export function parsePrefix(text: string): PrefixParse {
  const slash = text.indexOf('/');
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (bytes === null) return { error: 'address', right: null };
  // `::ffff:10.0.0.0/104` is IPv4, `::ffff:0:0/90` is IPv6 that reaches beyond it.
  const dotted = !text.includes(':');
  const width = dotted ? 32 : 128;
  if (slash < 0) return { prefix: { bytes, length: 128, family: familyOf(bytes) } };
  const digits = text.slice(slash + 1);
  const number = Number(digits);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || number > width) {
    return { error: 'length', right: { bytes, length: 128, family: familyOf(bytes) } };
  }
  const length = dotted ? number + 96 : number;
  const masked = maskAddress(bytes, length);
  const prefix: Prefix = { bytes: masked, length, family: isMappedIPv4(masked) && length >= 96 ? 4 : 6 };
  return masked.some((byte, index) => byte !== bytes[index]) ? { error: 'host-bits', right: prefix } : { prefix };
}

/** `any`, `10.0.0.0/8`, `2001:db8::/64`; an address alone where the prefix is one address. */
export function formatPrefix(prefix: Prefix): string {
  if (prefix.family === 0) return 'any';
  const address = formatAddress(prefix.bytes);
  if (prefix.length === 128) return address;
  if (prefix.family === 4) return `${address}/${String(prefix.length - 96)}`;
  // A short IPv6 prefix whose bytes look like a mapped address does not exist: those bits are host bits.
  return `${address}/${String(prefix.length)}`;
}

function sameBits(a: AddressBytes, b: AddressBytes, length: number): boolean {
  const whole = length >> 3;
  for (let index = 0; index < whole; index++) if (a[index] !== b[index]) return false;
  const rest = length & 7;
  return rest === 0 || (((a[whole] ?? 0) ^ (b[whole] ?? 0)) & (0xff00 >> rest) & 0xff) === 0;
}

/** Whether an address lies in a prefix. An IPv4 address lies in no IPv6 prefix, `::/0` included. */
export function prefixCovers(prefix: Prefix, address: AddressBytes): boolean {
  if (prefix.family === 0) return true;
  return prefix.family === familyOf(address) && sameBits(prefix.bytes, address, prefix.length);
}

/** Whether every address of `inner` lies in `outer`. */
export function prefixContains(outer: Prefix, inner: Prefix): boolean {
  if (outer.family === 0) return true;
  return (
    outer.family === inner.family && outer.length <= inner.length && sameBits(outer.bytes, inner.bytes, outer.length)
  );
}

/** Whether two prefixes are the same range. */
export function prefixEquals(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && a.length === b.length && sameBits(a.bytes, b.bytes, a.length);
}

// SPDX-License-Identifier: Apache-2.0
import { isIP } from 'node:net';

/** Bytes of an IPv4 (4) or IPv6 (16) address in network order. Throws `TypeError` when the text is no address. */
export function addressBytes(text: string): Uint8Array {
  switch (isIP(text)) {
    case 4:
      return Uint8Array.from(text.split('.'), Number);
    case 6:
      return ipv6Bytes(text);
    default:
      throw new TypeError(`not an IP address: ${text}`);
  }
}

function ipv6Bytes(text: string): Uint8Array {
  let plain = text.replace(/%.*$/, '');
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(plain);
  if (dotted) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(1).map(Number);
    const tail = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    plain = plain.slice(0, dotted.index) + tail;
  }
  const [head = '', tail] = plain.split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const words = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

/** Text of 4 or 16 address bytes; IPv6 in the canonical form of RFC 5952. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new TypeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  let best = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && words[end] === 0) end++;
    if (end - i > length) {
      best = i;
      length = end - i;
    }
    if (end > i) i = end;
  }
  const hex = (part: number[]): string => part.map((word) => word.toString(16)).join(':');
  if (best < 0) return hex(words);
  return `${hex(words.slice(0, best))}::${hex(words.slice(best + length))}`;
}

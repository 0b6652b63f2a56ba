// SPDX-License-Identifier: Apache-2.0
import { printable } from '@relatd/model';

/** Bytes of UTF-8 that a user, a file name or a line may have in what is shown. */
export const TEXT_LIMIT = 255;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Text from the network (one character per byte) as it may be shown: UTF-8 (RFC 2640, 2.1), what is not becomes U+FFFD, control
 * characters are escaped, the end is cut at `TEXT_LIMIT` bytes between two characters.
 */
export function shown(latin1: string): string {
  const text = printable(utf8.decode(Buffer.from(latin1, 'latin1')));
  // No character has less than one byte, none more than three per UTF-16 unit.
  if (text.length * 3 <= TEXT_LIMIT) return text;
  return text.slice(0, encoder.encodeInto(text, new Uint8Array(TEXT_LIMIT)).read);
}

// SPDX-License-Identifier: Apache-2.0

/** A set of byte values. */
export class ByteSet {
  readonly #has = new Uint8Array(256);

  static of(...bytes: readonly number[]): ByteSet {
    const set = new ByteSet();
    for (const byte of bytes) set.add(byte);
    return set;
  }

  static range(from: number, to: number): ByteSet {
    const set = new ByteSet();
    for (let byte = from; byte <= to; byte++) set.add(byte);
    return set;
  }

  has(byte: number): boolean {
    return this.#has[byte] === 1;
  }

  add(byte: number): void {
    this.#has[byte] = 1;
  }

  addAll(other: ByteSet): void {
    for (const byte of other) this.add(byte);
  }

  /** All bytes that are neither in here nor in `excluded`. */
  inverse(excluded: ByteSet): ByteSet {
    const set = new ByteSet();
    for (let byte = 0; byte < 256; byte++) if (!this.has(byte) && !excluded.has(byte)) set.add(byte);
    return set;
  }

  /** With every letter in its other case too. */
  anyCase(): ByteSet {
    const set = new ByteSet();
    for (const byte of this) {
      set.add(byte);
      const letter = byte | 0x20;
      if (letter >= 0x61 && letter <= 0x7a) set.add(byte ^ 0x20);
    }
    return set;
  }

  get size(): number {
    return this.#has.reduce((sum, bit) => sum + bit, 0);
  }

  *[Symbol.iterator](): Generator<number> {
    for (let byte = 0; byte < 256; byte++) if (this.has(byte)) yield byte;
  }
}

/** Bytes as they are written in patterns: `\r`, `\x00`. */
export function showBytes(bytes: Iterable<number>): string {
  let text = '';
  for (const byte of bytes) {
    if (byte === 0x0a) text += '\\n';
    else if (byte === 0x0d) text += '\\r';
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

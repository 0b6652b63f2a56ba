// SPDX-License-Identifier: Apache-2.0

/** Random numbers that a seed decides (sfc32): the same everywhere, always. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;
  /** How much of what is written stays as honest software would write it: 0 all, 1 little. See {@link odd}. */
  oddness = 1;

  /** @param seed 32 bits @param index which dialogue of this seed, 32 bits */
  constructor(seed: number, index: number) {
    this.#a = seed | 0;
    this.#b = index | 0;
    this.#c = 0x9e3779b9;
    for (let round = 0; round < 12; round++) this.word();
  }

  /** 32 bits. */
  word(): number {
    const sum = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  /** From 0 to `below`, which is excluded. */
  int(below: number): number {
    return Math.floor((this.word() / 0x1_0000_0000) * below);
  }

  /** Both included. */
  between(least: number, most: number): number {
    return least + this.int(most - least + 1);
  }

  chance(probability: number): boolean {
    return this.word() < probability * 0x1_0000_0000;
  }

  /** As {@link chance}, for what honest software would not do. */
  odd(probability: number): boolean {
    return this.chance(probability * this.oddness);
  }

  /** One of those that are honest, or of those that are odd. */
  choose<T>(honest: readonly T[], odd: readonly T[], probability: number): T {
    return this.pick(this.odd(probability) ? odd : honest);
  }

  /** @throws RangeError of an empty list */
  pick<T>(list: readonly T[]): T {
    const found = list[this.int(list.length)];
    if (found === undefined) throw new RangeError('nothing to pick');
    return found;
  }

  /** Small numbers mostly: 0 with probability 1/2, 1 with 1/4, up to `most`. */
  few(most: number): number {
    return Math.min(most, Math.clz32(this.word()));
  }

  bytes(length: number): string {
    let text = '';
    for (let at = 0; at < length; at++) text += String.fromCharCode(this.int(256));
    return text;
  }
}

// SPDX-License-Identifier: Apache-2.0
import { ByteSet } from './bytes.js';

/** What a field holds and how it is written. */
export type FieldType =
  | { readonly kind: 'decimal'; readonly from: number; readonly to: number }
  /** The decimal digits that the pattern matches. */
  | { readonly kind: 'digits'; readonly node: Node }
  | { readonly kind: 'hex'; readonly digits: number }
  /** Big endian. */
  | { readonly kind: 'binary'; readonly bytes: 1 | 2 | 4 }
  | { readonly kind: 'ipv4' }
  | { readonly kind: 'ipv6' }
  /** An IPv4 address as one decimal number. */
  | { readonly kind: 'ipv4-integer' }
  /** One of these bytes; `<name>` stands for the same one again. */
  | { readonly kind: 'delimiter'; readonly bytes: readonly number[] };

/** A pattern, taken apart. */
export type Node =
  | { readonly kind: 'bytes'; readonly set: ByteSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly least: number; readonly most: number | null }
  | { readonly kind: 'field'; readonly name: string; readonly type: FieldType }
  | { readonly kind: 'again'; readonly name: string };

/** How a definition writes its patterns. */
export interface PatternOptions {
  readonly ignoreCase: boolean;
  /** What `.` and `[^...]` never match, besides LF in lines. */
  readonly excluded: ByteSet;
}

/** A pattern that cannot be read: what is wrong, and at which character. */
export class PatternError extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const REPEAT_MAX = 256;
const LF = 0x0a;
const DIGITS = ByteSet.range(0x30, 0x39);

/**
 * Reads a pattern: the regular expressions that everybody knows, without anchors and look-around (a pattern matches
 * the whole line), with typed fields.
 *
 * `.` `[a-z]` `[^,]` `\d` `\r` `\x01` `(a|b)` `?` `*` `+` `{2}` `{1,3}`; fields: `<port:1-65535>` decimal, `<code=2\d\d>`
 * the digits of a pattern, `<x:hex4>`, `<x:u16>` big endian, `<a:ipv4>`, `<a:ipv6>`, `<a:ipv4-integer>`,
 * `<mark:any of |!>` a delimiter, and `<mark>` the same one again.
 * @throws PatternError
 */
export function parsePattern(text: string, options: PatternOptions): Node {
  return new Reader(text, options).pattern();
}

class Reader {
  readonly #text: string;
  readonly #options: PatternOptions;
  readonly #never: ByteSet;
  #at = 0;

  constructor(text: string, options: PatternOptions) {
    this.#text = text;
    this.#options = options;
    this.#never = ByteSet.of(LF);
    this.#never.addAll(options.excluded);
  }

  pattern(): Node {
    const node = this.#choice();
    if (this.#at < this.#text.length)
      this.#fail(`${this.#peek()} closes nothing; write \\${this.#peek()} for the byte`);
    return node;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #fail(message: string, at = this.#at): never {
    throw new PatternError(message, at);
  }

  #choice(): Node {
    const parts = [this.#sequence()];
    while (this.#peek() === '|') {
      this.#at++;
      parts.push(this.#sequence());
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'choice', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#text.length && !'|)'.includes(this.#peek())) parts.push(this.#repeated());
    return { kind: 'sequence', parts };
  }

  #repeated(): Node {
    let node = this.#atom();
    for (;;) {
      const start = this.#at;
      const bounds = this.#bounds();
      if (bounds === null) return node;
      if (node.kind === 'field') this.#fail('a field cannot be repeated; repeat what stands around it', start);
      node = { kind: 'repeat', part: node, ...bounds };
    }
  }

  #bounds(): { least: number; most: number | null } | null {
    const start = this.#at;
    switch (this.#peek()) {
      case '?':
        this.#at++;
        return { least: 0, most: 1 };
      case '*':
        this.#at++;
        return { least: 0, most: null };
      case '+':
        this.#at++;
        return { least: 1, most: null };
      case '{': {
        const match = /^\{(\d{1,4})(?:(,)(\d{0,4}))?\}/.exec(this.#text.slice(this.#at));
        if (match === null) this.#fail('write {3}, {1,3} or {1,} here, or \\{ for the byte');
        const [whole, least = '', comma, most = ''] = match;
        const from = Number(least);
        const to = comma === undefined ? from : most === '' ? null : Number(most);
        if (from > REPEAT_MAX || (to !== null && (to > REPEAT_MAX || to < from)))
          this.#fail(`repeats at most ${String(REPEAT_MAX)} times, the smaller number first`, start);
        this.#at += whole.length;
        return { least: from, most: to };
      }
      default:
        return null;
    }
  }

  #atom(): Node {
    const character = this.#peek();
    switch (character) {
      case '(': {
        const start = this.#at++;
        const node = this.#choice();
        if (this.#peek() !== ')') this.#fail('this ( is not closed; add )', start);
        this.#at++;
        return node;
      }
      case '[':
        return { kind: 'bytes', set: this.#class() };
      case '<':
        return this.#field();
      case '.':
        this.#at++;
        return { kind: 'bytes', set: new ByteSet().inverse(this.#never) };
      case '?':
      case '*':
      case '+':
      case '{':
        return this.#fail(`${character} repeats nothing here; write \\${character} for the byte`);
      default:
        return { kind: 'bytes', set: this.#cased(this.#byte()) };
    }
  }

  #cased(set: ByteSet): ByteSet {
    return this.#options.ignoreCase ? set.anyCase() : set;
  }

  /** One character or escape. */
  #byte(): ByteSet {
    const start = this.#at;
    const character = this.#peek();
    this.#at++;
    if (character !== '\\') {
      const code = character.charCodeAt(0);
      if (code > 0x7e || code < 0x20)
        this.#fail('only printable ASCII stands in a pattern; write \\x.. for other bytes', start);
      return ByteSet.of(code);
    }
    const escape = this.#peek();
    this.#at++;
    switch (escape) {
      case 'n':
        return ByteSet.of(LF);
      case 'r':
        return ByteSet.of(0x0d);
      case 't':
        return ByteSet.of(0x09);
      case 'd':
        return DIGITS;
      case 'x': {
        const match = /^[0-9a-fA-F]{2}/.exec(this.#text.slice(this.#at));
        if (match === null) this.#fail('two hexadecimal digits belong behind \\x', start);
        this.#at += 2;
        return ByteSet.of(parseInt(match[0], 16));
      }
      default:
        if (/^[^A-Za-z0-9]$/.test(escape)) return ByteSet.of(escape.charCodeAt(0));
        return this.#fail(
          `\\${escape} has no meaning here; known are \\d \\n \\r \\t \\x.. and \\ before a sign`,
          start,
        );
    }
  }

  #class(): ByteSet {
    const start = this.#at++;
    const negated = this.#peek() === '^';
    if (negated) this.#at++;
    const set = new ByteSet();
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#at >= this.#text.length) this.#fail('this [ is not closed; add ]', start);
      const place = this.#at;
      const from = this.#byte();
      if (this.#peek() !== '-' || this.#text.charAt(this.#at + 1) === ']') {
        set.addAll(from);
        continue;
      }
      this.#at++;
      const to = this.#byte();
      const [low] = from;
      const [high] = to;
      if (from.size !== 1 || to.size !== 1 || low === undefined || high === undefined || low > high)
        this.#fail('this range runs backwards or has no single ends', place);
      set.addAll(ByteSet.range(low, high));
    }
    this.#at++;
    const cased = this.#cased(set);
    return negated ? cased.inverse(this.#never) : cased;
  }

  #field(): Node {
    const start = this.#at;
    const head = /^<([a-z][a-z0-9-]*(?:\.\d)?)([:=>])/.exec(this.#text.slice(start));
    if (head === null) this.#fail('a field begins like <port:1-65535>; write \\< for the byte', start);
    const [whole, name = '', mark] = head;
    this.#at += whole.length;
    if (mark === '>') return { kind: 'again', name };
    if (mark === '=') {
      const node = this.#digits(start);
      return { kind: 'field', name, type: { kind: 'digits', node } };
    }
    const end = this.#text.indexOf('>', this.#at + 1);
    if (end < 0) this.#fail('this < is not closed; add >', start);
    const type = this.#type(this.#text.slice(this.#at, end), start);
    this.#at = end + 1;
    return { kind: 'field', name, type };
  }

  #digits(start: number): Node {
    const parts: Node[] = [];
    while (this.#peek() !== '>') {
      if (this.#at >= this.#text.length) this.#fail('this < is not closed; add >', start);
      const place = this.#at;
      const set = this.#peek() === '[' ? this.#class() : this.#byte();
      for (const byte of set) if (!DIGITS.has(byte)) this.#fail('only digits stand in such a field', place);
      parts.push({ kind: 'bytes', set });
    }
    this.#at++;
    if (parts.length === 0 || parts.length > 9) this.#fail('one to nine digits stand in such a field', start);
    return { kind: 'sequence', parts };
  }

  #type(text: string, start: number): FieldType {
    const range = /^(\d{1,10})-(\d{1,10})$/.exec(text);
    if (range !== null) {
      const from = Number(range[1]);
      const to = Number(range[2]);
      if (from > to || to > 0xffffffff) this.#fail(`${text} is no range of numbers up to 4294967295`, start);
      return { kind: 'decimal', from, to };
    }
    const hex = /^hex([1-8])$/.exec(text);
    if (hex !== null) return { kind: 'hex', digits: Number(hex[1]) };
    const any = /^any of ([!-~]+)$/.exec(text);
    if (any !== null) return { kind: 'delimiter', bytes: Array.from(any[1] ?? '', (sign) => sign.charCodeAt(0)) };
    switch (text) {
      case 'u8':
        return { kind: 'binary', bytes: 1 };
      case 'u16':
        return { kind: 'binary', bytes: 2 };
      case 'u32':
        return { kind: 'binary', bytes: 4 };
      case 'ipv4':
      case 'ipv6':
      case 'ipv4-integer':
        return { kind: text };
      default:
        return this.#fail(
          `${JSON.stringify(text)} is no type of a field; known are 0-255 (any range), hex4, u8, u16, u32, ipv4, ipv6, ipv4-integer and "any of |!"`,
          start,
        );
    }
  }
}

/** All fields of a pattern, in order. */
export function fieldsOf(node: Node): { readonly name: string; readonly type: FieldType }[] {
  switch (node.kind) {
    case 'field':
      return [node];
    case 'sequence':
    case 'choice':
      return node.parts.flatMap(fieldsOf);
    case 'repeat':
      return fieldsOf(node.part);
    default:
      return [];
  }
}

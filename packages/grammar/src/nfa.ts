// SPDX-License-Identifier: Apache-2.0
import { ByteSet } from './bytes.js';
import type { FieldType, Node } from './pattern.js';

/**
 * What a byte does to a field on its way: the field becomes `field * scale + value`, where the value is that of the byte as a
 * digit, or the byte itself if `raw`.
 */
export interface Write {
  readonly field: string;
  readonly scale: number;
  readonly raw: boolean;
}

/** Steps in reading IPv6 text: see the datapath's `machine.h`. */
export type StepKind = 'ipv6-begin' | 'ipv6-group' | 'ipv6-gap';

/** One of them, and the field that holds the group being read. */
export interface Step {
  readonly kind: StepKind;
  readonly field: string;
}

/** What happens on an edge. */
export interface Action {
  readonly write?: Write;
  readonly step?: Step;
}

export interface Edge {
  readonly on: ByteSet;
  readonly to: number;
  readonly action: Action | null;
  /** The message ends with this byte. */
  readonly final: boolean;
}

/** One state of one rule's automaton. */
export interface State {
  readonly rule: number;
  readonly edges: Edge[];
  readonly free: number[];
  /** The datagram may end here. */
  end: boolean;
}

/** How a message of a rule ends. */
export type Framing = 'line' | 'bytes' | 'datagram';

const CR = ByteSet.of(0x0d);
const LF = ByteSet.of(0x0a);
const digits = (from: number, to: number): ByteSet => ByteSet.range(0x30 + from, 0x30 + to);
const HEX = (() => {
  const set = digits(0, 9);
  set.addAll(ByteSet.range(0x61, 0x66));
  set.addAll(ByteSet.range(0x41, 0x46));
  return set;
})();
const COLON = ByteSet.of(0x3a);
const DOT = ByteSet.of(0x2e);
const ANY = ByteSet.range(0, 255);

/** Nondeterministic automata of many rules, in one numbering of states. */
export class Nfa {
  readonly states: State[] = [];
  #rule = 0;
  #delimiters: Record<string, number> = {};

  /** Adds a rule; returns its first state. @throws Error with a sentence for the rule's author */
  add(rule: number, pattern: Node, framing: Framing): number {
    this.#rule = rule;
    this.#delimiters = {};
    const first = this.#state();
    for (const delimiters of this.#expansions(pattern)) {
      this.#delimiters = delimiters;
      const start = this.#state();
      this.#free(first, start);
      this.#finish(this.#build(pattern, start, false), framing);
    }
    return first;
  }

  #state(): number {
    this.states.push({ rule: this.#rule, edges: [], free: [], end: false });
    return this.states.length - 1;
  }

  #at(state: number): State {
    const found = this.states[state];
    if (found === undefined) throw new RangeError('no such state');
    return found;
  }

  #free(from: number, to: number): void {
    this.#at(from).free.push(to);
  }

  #edge(from: number, on: ByteSet, to = this.#state(), action: Action | null = null, final = false): number {
    this.#at(from).edges.push({ on, to, action, final });
    return to;
  }

  #finish(end: number, framing: Framing): void {
    switch (framing) {
      case 'line': {
        // All CRs in front of the LF belong to the line's end.
        const cr = this.#edge(end, CR);
        this.#edge(cr, CR, cr);
        const last = this.#state();
        this.#edge(end, LF, last, null, true);
        this.#edge(cr, LF, last, null, true);
        return;
      }
      case 'datagram':
        this.#at(end).end = true;
        return;
      case 'bytes':
        // The edges into it end the message.
        for (const state of this.states) {
          for (const [index, edge] of state.edges.entries())
            if (this.#reaches(edge.to, end)) state.edges[index] = { ...edge, final: true };
        }
    }
  }

  #reaches(from: number, to: number, seen = new Set<number>()): boolean {
    if (from === to) return true;
    if (seen.has(from)) return false;
    seen.add(from);
    return this.#at(from).free.some((next) => this.#reaches(next, to, seen));
  }

  /** Each choice of delimiters is an automaton of its own: the datapath has to remember none. */
  #expansions(pattern: Node): Record<string, number>[] {
    let all: Record<string, number>[] = [{}];
    const visit = (node: Node): void => {
      if (node.kind === 'field' && node.type.kind === 'delimiter') {
        const { bytes } = node.type;
        all = all.flatMap((one) => bytes.map((byte) => ({ ...one, [node.name]: byte })));
      } else if (node.kind === 'sequence' || node.kind === 'choice') node.parts.forEach(visit);
      else if (node.kind === 'repeat') visit(node.part);
    };
    visit(pattern);
    return all;
  }

  #build(node: Node, from: number, repeated: boolean): number {
    switch (node.kind) {
      case 'bytes': {
        if (node.set.size === 0) throw new Error('a part of the pattern matches no byte at all');
        return this.#edge(from, node.set);
      }
      case 'sequence':
        return node.parts.reduce((at, part) => this.#build(part, at, repeated), from);
      case 'choice': {
        const end = this.#state();
        for (const part of node.parts) {
          const start = this.#state();
          this.#free(from, start);
          this.#free(this.#build(part, start, repeated), end);
        }
        return end;
      }
      case 'repeat':
        return this.#repeat(node.part, node.least, node.most, from, repeated);
      case 'again':
      case 'field':
        if (node.kind === 'again' || node.type.kind === 'delimiter') {
          const byte = this.#delimiters[node.name];
          if (byte === undefined)
            throw new Error(`<${node.name}> repeats a delimiter that no <${node.name}:any of ...> has set`);
          return this.#edge(from, ByteSet.of(byte));
        }
        if (repeated) throw new Error(`the field <${node.name}> stands in something that is repeated`);
        return this.#field(node.name, node.type, from);
    }
  }

  #repeat(part: Node, least: number, most: number | null, from: number, repeated: boolean): number {
    const often = repeated || most === null || most > 1;
    let at = from;
    for (let count = 0; count < least; count++) at = this.#build(part, at, often);
    if (most === null) {
      const loop = this.#state();
      this.#free(at, loop);
      const start = this.#state();
      this.#free(loop, start);
      this.#free(this.#build(part, start, true), loop);
      return loop;
    }
    const end = this.#state();
    this.#free(at, end);
    for (let count = least; count < most; count++) {
      at = this.#build(part, at, often);
      this.#free(at, end);
    }
    return end;
  }

  #field(name: string, type: FieldType, from: number): number {
    const end = this.#state();
    switch (type.kind) {
      case 'decimal':
        this.#decimal(name, type.from, type.to, from, end);
        return end;
      case 'digits': {
        if (type.node.kind !== 'sequence') throw new Error('digits are a sequence');
        let at = from;
        for (const [index, part] of type.node.parts.entries()) {
          if (part.kind !== 'bytes') throw new Error('digits are a sequence');
          at = this.#edge(at, part.set, undefined, { write: { field: name, scale: index === 0 ? 0 : 10, raw: false } });
        }
        return at;
      }
      case 'hex': {
        let at = from;
        for (let digit = 0; digit < type.digits; digit++) {
          at = this.#edge(at, HEX, undefined, { write: { field: name, scale: digit === 0 ? 0 : 16, raw: false } });
          this.#free(at, end);
        }
        return end;
      }
      case 'binary': {
        let at = from;
        for (let byte = 0; byte < type.bytes; byte++)
          at = this.#edge(at, ANY, undefined, { write: { field: name, scale: byte === 0 ? 0 : 256, raw: true } });
        return at;
      }
      case 'ipv4': {
        let at = from;
        for (let part = 0; part < 4; part++) {
          if (part > 0) at = this.#edge(at, DOT);
          const next = this.#state();
          this.#canonicalOctet(`${name}.${String(part)}`, at, next);
          at = next;
        }
        this.#free(at, end);
        return end;
      }
      case 'ipv4-integer':
        // Digit by digit in four bits each, as hexadecimal: so it can share its register with IPv6 text, which may begin alike.
        this.#decimal(name, 0, 0xffffffff, from, end, 16);
        return end;
      case 'ipv6':
        return this.#ipv6(name, from);
      case 'delimiter':
        throw new Error('delimiters are expanded');
    }
  }

  /** A number from `low` to `high`, with leading zeros up to as many digits as `high` has. */
  #decimal(name: string, low: number, high: number, from: number, end: number, base = 10): void {
    for (let length = 1; length <= String(high).length; length++) {
      const most = Math.min(high, 10 ** length - 1);
      if (low > most) continue;
      const a = String(low).padStart(length, '0');
      const b = String(most).padStart(length, '0');
      this.#number(name, a, b, from, end, base);
    }
  }

  /** Numbers of as many digits as `low` and `high` have; digit by digit, with how close to either end the number still is. */
  #number(name: string, low: string, high: string, from: number, end: number, base = 10): void {
    const length = low.length;
    let layer = new Map<string, number>([['tight tight', from]]);
    for (let place = 0; place < length; place++) {
      const next = new Map<string, number>();
      const a = Number(low[place]);
      const b = Number(high[place]);
      const write: Write = { field: name, scale: place === 0 ? 0 : base, raw: false };
      const step = (state: number, first: number, last: number, key: string): void => {
        if (first > last) return;
        const known = place === length - 1 ? end : next.get(key);
        next.set(key, this.#edge(state, digits(first, last), known, { write }));
      };
      for (const [key, state] of layer) {
        const tightLow = key.startsWith('tight');
        const tightHigh = key.endsWith('tight');
        const least = tightLow ? a : 0;
        const most = tightHigh ? b : 9;
        if (tightLow && tightHigh && least === most) step(state, least, most, 'tight tight');
        else {
          if (tightLow) step(state, least, least, 'tight free');
          if (tightHigh) step(state, most, most, 'free tight');
          step(state, tightLow ? least + 1 : least, tightHigh ? most - 1 : most, 'free free');
        }
      }
      layer = next;
    }
  }

  /** 0 to 255 without leading zeros, which half of the readers take for octal. */
  #canonicalOctet(name: string, from: number, end: number): void {
    this.#number(name, '0', '9', from, end);
    this.#number(name, '10', '99', from, end);
    this.#number(name, '100', '255', from, end);
  }

  /**
   * RFC 4291, 2.2, without a dotted end. A state knows how many groups there were and whether `::` was; the groups themselves
   * are collected by steps: a group is put away at the colon behind it, the last one when the message is complete.
   */
  #ipv6(name: string, from: number): number {
    const end = this.#state();
    const first: Write = { field: name, scale: 0, raw: false };
    const more: Write = { field: name, scale: 16, raw: false };
    // Before a group: `groups` are complete, `gap` says whether `::` was.
    const before = new Map<string, number>();
    const key = (groups: number, gap: boolean): string => `${String(groups)} ${String(gap)}`;
    const queue: [groups: number, gap: boolean, state: number][] = [];
    const stateBefore = (groups: number, gap: boolean): number => {
      const known = before.get(key(groups, gap));
      if (known !== undefined) return known;
      const state = this.#state();
      before.set(key(groups, gap), state);
      queue.push([groups, gap, state]);
      return state;
    };
    // The second colon of `::`. The address may end behind it, but not behind a colon that only ends a group.
    const gapFrom = (colon: number, groups: number): void => {
      const open = this.#edge(colon, COLON, undefined, { step: { kind: 'ipv6-gap', field: name } });
      this.#free(open, end);
      this.#free(open, stateBefore(groups, true));
    };
    const group = (groups: number, gap: boolean, state: number, begin: boolean): void => {
      // `groups` includes this one.
      if (groups > (gap ? 7 : 8)) return;
      let at = state;
      for (let digit = 0; digit < 4; digit++) {
        const write = digit === 0 ? first : more;
        at = this.#edge(
          at,
          HEX,
          undefined,
          begin && digit === 0 ? { write, step: { kind: 'ipv6-begin', field: name } } : { write },
        );
        if (gap || groups === 8) this.#free(at, end);
        if (groups < (gap ? 7 : 8))
          this.#edge(at, COLON, stateBefore(groups, gap), { step: { kind: 'ipv6-group', field: name } });
        if (!gap && groups <= 7) {
          // `1::`: the first colon puts the group away, the second makes the gap.
          const colon = this.#edge(at, COLON, undefined, { step: { kind: 'ipv6-group', field: name } });
          gapFrom(colon, groups);
        }
      }
    };
    group(1, false, from, true);
    const colon = this.#edge(from, COLON, undefined, { step: { kind: 'ipv6-begin', field: name } });
    gapFrom(colon, 0);
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [groups, gap, state] = next;
      group(groups + 1, gap, state, false);
    }
    return end;
  }
}

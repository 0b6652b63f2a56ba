// SPDX-License-Identifier: Apache-2.0
import { showBytes } from './bytes.js';
import type { Edge, Nfa, Step, Write } from './nfa.js';

/** What a byte leads to. `rule`: the message is complete and is one of this rule's; null: nothing matches any more. */
export interface Transition {
  /** Number of the next state; null where a message ends or nothing matches. */
  readonly to: number | null;
  readonly write: Write | null;
  readonly step: Step | null;
  readonly rule: number | null;
}

export interface DfaState {
  /** By class. */
  readonly transitions: (Transition | null)[];
  /** The rule of a datagram that ends here; null: none. */
  readonly end: number | null;
}

/** A deterministic automaton with several beginnings. */
export interface Dfa {
  /** Of every byte, its class: bytes of a class are never told apart. */
  readonly classes: Uint8Array;
  readonly classCount: number;
  readonly states: readonly DfaState[];
  /** For each set of rules that was asked for, its first state. */
  readonly starts: readonly (number | null)[];
}

/** Two rules that the automaton cannot serve at once. */
export class AmbiguityError extends Error {
  readonly rules: readonly [number, number];

  constructor(message: string, rules: readonly [number, number]) {
    super(message);
    this.rules = rules;
  }
}

const STATES_MAX = 4096;

/** Which fields are set on the way to each state: on every way, on some way. */
export interface FieldFlow {
  readonly always: readonly ReadonlySet<string>[];
  readonly ever: readonly ReadonlySet<string>[];
}

/** Follows the fields through the automata. */
export function fieldFlow(nfa: Nfa, starts: readonly number[]): FieldFlow {
  const always: (Set<string> | undefined)[] = [];
  const ever: Set<string>[] = nfa.states.map(() => new Set());
  const queue = [...starts];
  for (const start of starts) always[start] = new Set();
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    const here = nfa.states[state];
    const must = always[state];
    const may = ever[state];
    if (here === undefined || must === undefined || may === undefined) continue;
    const flow = (to: number, field: string | undefined): void => {
      const given = field === undefined ? must : new Set([...must, field]);
      const known = always[to];
      const joined = known === undefined ? new Set(given) : new Set([...known].filter((name) => given.has(name)));
      const possible = ever[to] ?? new Set<string>();
      const size = possible.size;
      for (const name of may) possible.add(name);
      if (field !== undefined) possible.add(field);
      if (known?.size === joined.size && possible.size === size) return;
      always[to] = joined;
      queue.push(to);
    };
    for (const to of here.free) flow(to, undefined);
    for (const { to, action } of here.edges) flow(to, action?.write?.field);
  }
  return { always: nfa.states.map((_, state) => always[state] ?? new Set()), ever };
}

/**
 * Makes one automaton of many. `groups` are sets of rules by their first states: each becomes a beginning of its own. Of
 * rules that a message fits, the one that stands first counts.
 * @throws AmbiguityError
 */
export function determinize(nfa: Nfa, groups: readonly (readonly number[])[], flow: FieldFlow): Dfa {
  return new Determinizer(nfa, flow).run(groups);
}

const sameWrite = (a: Write, b: Write): boolean => a.field === b.field && a.scale === b.scale && a.raw === b.raw;

/** What several edges do at once: the same, or nothing. */
class Agreement<T> {
  readonly #same: (a: T, b: T) => boolean;
  value: T | null = null;
  rule = 0;

  constructor(same: (a: T, b: T) => boolean) {
    this.#same = same;
  }

  /** Null, or the rule that does something else. */
  add(value: T | undefined, rule: number): number | null {
    if (value === undefined) return null;
    if (this.value !== null) return this.#same(this.value, value) ? null : this.rule;
    this.value = value;
    this.rule = rule;
    return null;
  }
}

class Determinizer {
  readonly #nfa: Nfa;
  readonly #flow: FieldFlow;
  readonly #classes: Uint8Array;
  readonly #samples: number[];
  readonly #byKey = new Map<string, number>();
  readonly #sets: number[][] = [];
  readonly #witnesses: number[][] = [];
  readonly #states: DfaState[] = [];
  readonly #reached: (readonly number[] | undefined)[] = [];
  /** Of each state, its edges by class. */
  readonly #edges: readonly (readonly (readonly Edge[])[])[];

  constructor(nfa: Nfa, flow: FieldFlow) {
    this.#nfa = nfa;
    this.#flow = flow;
    const { classes, samples } = classify(nfa);
    this.#classes = classes;
    this.#samples = samples;
    this.#edges = nfa.states.map(({ edges }) => samples.map((byte) => edges.filter(({ on }) => on.has(byte))));
  }

  run(groups: readonly (readonly number[])[]): Dfa {
    const starts = groups.map((group) => (group.length === 0 ? null : this.#number(this.#closure(group), [])));
    for (let state = 0; state < this.#sets.length; state++) this.#expand(state);
    return minimize({ classes: this.#classes, classCount: this.#samples.length, states: this.#states, starts });
  }

  #closure(states: readonly number[]): number[] {
    const all = new Set<number>();
    for (const state of states) for (const member of this.#reach(state)) all.add(member);
    return [...all].sort((a, b) => a - b);
  }

  /** What a state is at the same time as. What has no edge and ends nothing says nothing. */
  #reach(state: number): readonly number[] {
    const known = this.#reached[state];
    if (known !== undefined) return known;
    const seen = new Set([state]);
    const queue = [state];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      for (const free of this.#nfa.states[next]?.free ?? []) {
        if (seen.has(free)) continue;
        seen.add(free);
        queue.push(free);
      }
    }
    const reached = [...seen].filter((member) => this.#matters(member));
    this.#reached[state] = reached;
    return reached;
  }

  #matters(state: number): boolean {
    const found = this.#nfa.states[state];
    return found !== undefined && (found.edges.length > 0 || found.end);
  }

  #number(set: number[], witness: number[]): number {
    const key = set.join(',');
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#sets.length >= STATES_MAX)
      throw new Error(`the rules need more than ${String(STATES_MAX)} states; make patterns simpler, or fewer`);
    this.#byKey.set(key, this.#sets.length);
    this.#sets.push(set);
    this.#witnesses.push(witness);
    return this.#sets.length - 1;
  }

  #expand(state: number): void {
    const set = this.#sets[state] ?? [];
    const ends = set.filter((member) => this.#nfa.states[member]?.end).map((member) => this.#rule(member));
    const transitions = this.#samples.map((byte, number) => this.#step(state, set, byte, number));
    this.#states[state] = { transitions, end: ends.length === 0 ? null : Math.min(...ends) };
  }

  #rule(state: number): number {
    return this.#nfa.states[state]?.rule ?? 0;
  }

  #step(state: number, set: readonly number[], byte: number, number: number): Transition | null {
    const write = new Agreement<Write>(sameWrite);
    const step = new Agreement<Step>((a, b) => a.kind === b.kind && a.field === b.field);
    let final: number | null = null;
    const targets = new Set<number>();
    const edges = set.flatMap((member) => this.#edges[member]?.[number] ?? []);
    const ruleOf = (to: number): number => this.#rule(to);
    const witness = (): string => JSON.stringify(showBytes([...(this.#witnesses[state] ?? []), byte]));
    for (const { to, action, final: ends } of edges) {
      if (ends) final = final === null ? ruleOf(to) : Math.min(final, ruleOf(to));
      else targets.add(to);
      const other = write.add(action?.write, ruleOf(to)) ?? step.add(action?.step, ruleOf(to));
      if (other !== null)
        throw new AmbiguityError(
          `after ${witness()} a byte can belong to two different fields; make the patterns tell them apart earlier`,
          [other, ruleOf(to)],
        );
    }
    const field = write.value?.field;
    for (const { to, action } of edges) {
      if (field !== undefined && action?.write === undefined && this.#flow.ever[to]?.has(field))
        throw new AmbiguityError(
          `after ${witness()} the field <${field}>, read already, would be read again; give one of them another name, or make the patterns tell them apart earlier`,
          [ruleOf(to), write.rule],
        );
    }
    const next = this.#closure([...targets]);
    if (final !== null) {
      const [longer] = next;
      if (longer !== undefined)
        throw new AmbiguityError(
          `${witness()} is complete for one rule and the beginning of a longer message for another`,
          [final, this.#rule(longer)],
        );
      return { to: null, write: write.value, step: step.value, rule: final };
    }
    if (next.length === 0) return null;
    const to = this.#number(next, [...(this.#witnesses[state] ?? []), byte]);
    return { to, write: write.value, step: step.value, rule: null };
  }
}

/** Bytes that no edge tells apart. */
function classify(nfa: Nfa): { classes: Uint8Array; samples: number[] } {
  const sets = new Map<string, (byte: number) => boolean>();
  for (const { edges } of nfa.states) for (const { on } of edges) sets.set([...on].join(), (byte) => on.has(byte));
  // A digit's value matters where it is written, so all digits may have to be told apart by value alone: the byte does that.
  const tests = [...sets.values()];
  const bySignature = new Map<string, number>();
  const samples: number[] = [];
  const classes = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const signature = tests.map((test) => (test(byte) ? '1' : '0')).join('');
    let number = bySignature.get(signature);
    if (number === undefined) {
      number = samples.length;
      bySignature.set(signature, number);
      samples.push(byte);
    }
    classes[byte] = number;
  }
  return { classes, samples };
}

/** Joins states that nothing tells apart (Moore). */
function minimize(dfa: Dfa): Dfa {
  const { states, classCount } = dfa;
  let part = states.map(({ end }) => end ?? -1);
  const label = (transition: Transition | null): string =>
    transition === null ? '-' : JSON.stringify([transition.write, transition.step, transition.rule]);
  const labels = states.map(({ transitions }) => transitions.map(label).join(';'));
  for (let count = new Set(part).size; ;) {
    const numbers = new Map<string, number>();
    const next = states.map(({ transitions }, state) => {
      const where = transitions.map((transition) =>
        transition === null || transition.to === null ? '' : String(part[transition.to]),
      );
      const key = `${String(part[state])}|${labels[state] ?? ''}|${where.join()}`;
      const known = numbers.get(key) ?? numbers.size;
      numbers.set(key, known);
      return known;
    });
    part = next;
    if (numbers.size === count) break;
    count = numbers.size;
  }
  const joined: DfaState[] = [];
  const at = (state: number): number => part[state] ?? 0;
  for (const [state, { transitions, end }] of states.entries()) {
    joined[at(state)] ??= {
      end,
      transitions: transitions.map((transition) =>
        transition === null || transition.to === null ? transition : { ...transition, to: at(transition.to) },
      ),
    };
  }
  return { ...dfa, classCount, states: joined, starts: dfa.starts.map((start) => (start === null ? null : at(start))) };
}

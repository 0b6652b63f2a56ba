// SPDX-License-Identifier: Apache-2.0
import { Findings, formatKeyPath, nearest, readSource, readTextFile, show, type Problem } from '@relatd/document';
import { printable, type Protocol } from '@relatd/model';
import { ByteSet } from './bytes.js';
import { definitionSchema, type AnnouncementInput, type DefinitionInput, type RuleInput } from './definition.js';
import { AmbiguityError, determinize, fieldFlow, type Dfa, type FieldFlow } from './dfa.js';
import {
  MACHINE_LIMITS as LIMITS,
  NO_REGISTER,
  type Compiled,
  type HelperDefinition,
  type Machine,
  type MachineAnnouncement,
  type MachineAnswer,
  type MachineRule,
  type MachineTransition,
} from './machine.js';
import { Nfa, type Framing } from './nfa.js';
import { PatternError, fieldsOf, parsePattern, type Node } from './pattern.js';

/** Tables, or everything that is wrong with the definition. */
export type CompileResult =
  | { readonly compiled: Compiled; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly compiled?: undefined };

type DirectionName = 'original' | 'reply';
const DIRECTIONS: readonly DirectionName[] = ['original', 'reply'];
const FRAMINGS: readonly Framing[] = ['line', 'bytes', 'datagram'];

/** Kind 1: a request that needs no name of its own. */
const OTHER = 'other';

/** A rule on its way. */
interface Draft {
  readonly direction: DirectionName;
  /** In the file. */
  readonly path: PropertyKey[];
  readonly input: RuleInput;
  readonly framing: Framing;
  readonly pattern: Node;
  readonly source: string;
}

/** Whose definition it is: only our own may leave what they cannot decide to a parser. */
export interface CompileOptions {
  readonly judged: boolean;
}

/** A definition that was read, or everything that is wrong with it. */
export type DefinitionResult =
  | { readonly definition: HelperDefinition; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly definition?: undefined };

/** Reads a definition's text; cheap. Never throws. `filename` is what messages call it. */
export function readDefinition(text: string, filename: string, options: CompileOptions): DefinitionResult {
  const source = readSource(text);
  const findings = new Findings(printable(filename), source);
  for (const { position, message } of source.errors) findings.add(position, '', message);
  if (source.errors.length > 0) return { problems: findings.wrong };
  const result = definitionSchema.safeParse(source.data);
  for (const issue of result.error?.issues ?? []) findings.issue(issue);
  if (!result.success) return { problems: findings.sorted() };
  const { helper, title, documents, transport, port, data, limits } = result.data;
  let compiled: CompileResult | null = null;
  const compile = (): CompileResult => {
    const made = new Compiler(result.data, findings, options).run();
    return made === null ? { problems: findings.sorted() } : { compiled: made };
  };
  const definition: HelperDefinition = {
    name: helper,
    title,
    documents,
    protocol: transport,
    port,
    dataPorts: data.ports,
    dataProtocols: dataProtocols(result.data),
    perMaster: limits['per-master'],
    expectation: limits.expectation,
    text,
    compile: () => (compiled ??= compile()),
  };
  return { definition };
}

function dataProtocols({ transport, original, reply }: DefinitionInput): Protocol[] {
  const announced = [...original, ...reply].flatMap(({ announces = [] }) => announces.map(({ protocol }) => protocol));
  return [...new Set(announced.map((protocol) => protocol ?? transport))].sort();
}

/** Reads a definition's file. Never rejects. */
export async function loadDefinition(path: string, options: CompileOptions): Promise<DefinitionResult> {
  const file = await readTextFile(path);
  if ('problem' in file)
    return { problems: [{ file: printable(path), line: null, column: null, path: '', message: file.problem }] };
  return readDefinition(file.text, path, options);
}

class Compiler {
  readonly #input: DefinitionInput;
  readonly #findings: Findings;
  readonly #options: CompileOptions;
  readonly #kinds: string[] = ['', OTHER];
  /** One numbering for both directions, so that the automaton may share states between them. */
  readonly #registers: string[] = [];
  #failed = false;

  constructor(input: DefinitionInput, findings: Findings, options: CompileOptions) {
    this.#input = input;
    this.#findings = findings;
    this.#options = options;
  }

  #wrong(path: PropertyKey[], message: string): void {
    this.#failed = true;
    this.#findings.error(path, message);
  }

  run(): Compiled | null {
    const { unmatched, transport } = this.#input;
    if (unmatched === 'judge' && !this.#options.judged)
      this.#wrong(['unmatched'], 'only built-in helpers have a parser that judges; write give-up or ignore');
    if (unmatched === 'judge' && transport === 'udp')
      this.#wrong(['unmatched'], 'a datagram is never held to be judged; write ignore');
    const drafts = DIRECTIONS.flatMap((direction) => this.#drafts(direction));
    const rules = drafts.map((draft) => this.#rule(draft));
    if (rules.length > LIMITS.rules)
      this.#wrong([], `at most ${String(LIMITS.rules)} rules fit; there are ${String(rules.length)}`);
    if (this.#failed) return null;
    const tables = this.#tables(drafts);
    if (tables === null) return null;
    return this.#finished(drafts, rules, tables);
  }

  #finished(drafts: readonly Draft[], rules: readonly MachineRule[], tables: Tables): Compiled {
    const { helper, transport, unmatched, phases, sections } = this.#input;
    const recognised = this.#input.recognised ?? [];
    const machine: Machine = {
      helper,
      transport,
      unmatched,
      phases,
      sections,
      recognised: bits(recognised.map((phase) => this.#index(phases, phase, ['recognised'], 'phase'))),
      kinds: this.#kinds,
      registers: this.#registers,
      withdrawable: bits(rules.map(({ withdraws }) => withdraws).filter((kind) => kind !== 0)),
      rules,
      ...tables,
    };
    return { machine, patterns: drafts.map(({ source }) => source) };
  }

  #drafts(direction: DirectionName): Draft[] {
    const options = { ignoreCase: this.#input.case === 'ignore', excluded: excludedBytes(this.#input.exclude) };
    const drafts = this.#input[direction].flatMap((input, index): Draft[] => {
      const path = [direction, index];
      const given = FRAMINGS.filter((framing) => input[framing] !== undefined);
      const [framing] = given;
      if (framing === undefined || given.length > 1) {
        this.#wrong(path, 'a rule has one pattern: write one of line, bytes and datagram');
        return [];
      }
      if ((framing === 'datagram') !== (this.#input.transport === 'udp')) {
        this.#wrong(
          [...path, framing],
          `over ${this.#input.transport} write ${this.#input.transport === 'udp' ? 'datagram' : 'line or bytes'}`,
        );
        return [];
      }
      const source = input[framing] ?? '';
      try {
        return [{ direction, path, input, framing, pattern: parsePattern(source, options), source }];
      } catch (error) {
        if (!(error instanceof PatternError)) throw error;
        const shown = source.slice(Math.max(0, error.at - 20), error.at + 20);
        this.#wrong(
          [...path, framing],
          `at character ${String(error.at + 1)} of the pattern, near ${show(shown)}: ${error.message}`,
        );
        return [];
      }
    });
    return this.#input.unmatched === 'ignore' ? [...drafts, this.#anythingElse(direction)] : drafts;
  }

  /** The rule behind all others where what they do not match is ignored. */
  #anythingElse(direction: DirectionName): Draft {
    const { phases, sections, transport } = this.#input;
    const framing = transport === 'udp' ? 'datagram' : 'line';
    const source = transport === 'udp' ? '[\\x00-\\xff]*' : '[\\x00-\\x09\\x0b-\\xff]*';
    const pattern = parsePattern(source, { ignoreCase: false, excluded: new ByteSet() });
    const input: RuleInput = { rule: 'anything else', in: phases, within: sections, inside: false, [framing]: source };
    return { direction, path: ['unmatched'], input, framing, pattern, source };
  }

  #index(names: readonly string[], name: string, path: PropertyKey[], what: string): number {
    const at = names.indexOf(name);
    if (at >= 0) return at;
    const near = nearest(name, names);
    const right = near === null ? `known are ${names.join(', ')}` : `did you mean ${near}?`;
    this.#wrong(path, `there is no ${what} ${show(name)}; ${right}`);
    return 0;
  }

  #kind(name: string | undefined, path: PropertyKey[]): number {
    if (name === undefined) return 0;
    const known = this.#kinds.indexOf(name);
    if (known > 0) return known;
    if (this.#kinds.length > LIMITS.kinds) {
      this.#wrong(path, `at most ${String(LIMITS.kinds)} kinds of requests fit, ${OTHER} among them`);
      return 0;
    }
    return this.#kinds.push(name) - 1;
  }

  #register(name: string, path: PropertyKey[]): number {
    const names = this.#registers;
    const known = names.indexOf(name);
    if (known >= 0) return known;
    if (names.length >= LIMITS.registers) {
      this.#wrong(path, `at most ${String(LIMITS.registers)} fields fit; use names again, an ipv4 field takes four`);
      return 0;
    }
    return names.push(name) - 1;
  }

  #rule(draft: Draft): MachineRule {
    const { direction, path, input, pattern } = draft;
    const { phases, sections } = this.#input;
    for (const { name, type } of fieldsOf(pattern)) {
      if (type.kind === 'delimiter') continue;
      const parts = type.kind === 'ipv4' ? [0, 1, 2, 3].map((part) => `${name}.${String(part)}`) : [name];
      for (const part of parts) this.#register(part, path);
    }
    const allowed = input.in === undefined ? phases : input.in;
    const from = allowed.map((phase) => this.#index(phases, phase, [...path, 'in'], 'phase'));
    const named = (name: string | undefined, key: string): number | null =>
      name === undefined ? null : this.#known(direction, name, [...path, key]);
    return {
      name: input.rule,
      direction,
      next: phases.map((_, phase) => (from.includes(phase) ? this.#target(input, phase, path) : null)),
      within: (input.within ?? sections.slice(0, 1)).map((section) =>
        this.#index(sections, section, [...path, 'within'], 'section'),
      ),
      section: input.enters === undefined ? null : this.#index(sections, input.enters, [...path, 'enters'], 'section'),
      asks: this.#kind(input.asks, [...path, 'asks']),
      answers: this.#answers(input, path),
      answering: bits((input.answering ?? []).map((kind) => this.#kind(kind, [...path, 'answering']))),
      withdraws: this.#kind(input.withdraws, [...path, 'withdraws']),
      opens: named(input.opens, 'opens'),
      closes: named(input.closes, 'closes'),
      inside: input.inside,
      clears: (input.clears ?? []).map((name) => this.#known(direction, name, [...path, 'clears'])),
      skip: named(input.skip, 'skip'),
      announces: (input.announces ?? []).map((announcement, index) =>
        this.#announcement(draft, announcement, [...path, 'announces', index]),
      ),
      verdict: this.#verdict(input, path),
    };
  }

  #verdict(input: RuleInput, path: PropertyKey[]): MachineRule['verdict'] {
    if (input.verdict === 'judge' && this.#input.unmatched !== 'judge')
      this.#wrong(
        [...path, 'verdict'],
        'without `unmatched: judge` there is nobody who judges; write not-protocol, or leave it out',
      );
    return input.verdict ?? 'none';
  }

  #target({ to }: RuleInput, phase: number, path: PropertyKey[]): number {
    const { phases } = this.#input;
    if (to === undefined) return phase;
    if (typeof to === 'string') return this.#index(phases, to, [...path, 'to'], 'phase');
    for (const from of Object.keys(to)) this.#index(phases, from, [...path, 'to', from], 'phase');
    const next = to[phases[phase] ?? ''];
    return next === undefined ? phase : this.#index(phases, next, [...path, 'to', phases[phase] ?? ''], 'phase');
  }

  #answers({ answers }: RuleInput, path: PropertyKey[]): MachineAnswer {
    if (answers === undefined) return { kind: 'none' };
    if (answers === 'next') return { kind: 'next' };
    const kind = 'take' in answers ? 'take' : 'reach';
    const request = 'take' in answers ? answers.take : answers.reach;
    return { kind, request: this.#kind(request, [...path, 'answers', kind]) };
  }

  /** A field that some rule of this direction has read. */
  #known(direction: DirectionName, name: string, path: PropertyKey[]): number {
    const known = new Set(
      this.#input[direction].flatMap((input) => {
        try {
          const source = input.line ?? input.bytes ?? input.datagram ?? '';
          return fieldsOf(parsePattern(source, { ignoreCase: false, excluded: new ByteSet() })).map(
            (field) => field.name,
          );
        } catch {
          return [];
        }
      }),
    );
    if (!known.has(name)) this.#wrong(path, `no pattern of this direction has a field <${name}>`);
    return this.#register(name, path);
  }

  #announcement({ pattern }: Draft, input: AnnouncementInput, path: PropertyKey[]): MachineAnnouncement {
    const types = new Map(fieldsOf(pattern).map(({ name, type }) => [name, type.kind]));
    const own = (name: string, key: string): number => {
      const type = types.get(name);
      if (type === undefined) this.#wrong([...path, key], `the rule's own pattern has no field <${name}>`);
      else if (!['decimal', 'digits', 'hex', 'binary'].includes(type))
        this.#wrong([...path, key], `<${name}> is no number`);
      return this.#register(name, [...path, key]);
    };
    const { port } = input;
    const to = input['to-port'];
    return {
      protocol: input.protocol ?? this.#input.transport,
      anyone: input.from === 'anyone',
      ...this.#address(types, input, path),
      portRegister: port === 'own' ? null : own(port.low, 'port'),
      highRegister: port === 'own' || port.high === null ? null : own(port.high, 'port'),
      toRegister: to === undefined ? null : own(to, 'to-port'),
    };
  }

  #address(
    types: ReadonlyMap<string, string>,
    { address }: AnnouncementInput,
    path: PropertyKey[],
  ): Pick<MachineAnnouncement, 'addressKind' | 'addressRegister'> {
    if (address === undefined) return { addressKind: 'own', addressRegister: 0 };
    const at = [...path, 'address'];
    const octets = [0, 1, 2, 3].map((part) => `${address}.${String(part)}`);
    if (types.get(address) === 'ipv4' || octets.every((name) => types.has(name))) {
      const registers = octets.map((name) => this.#register(name, at));
      const [first = 0] = registers;
      if (registers.some((register, index) => register !== first + index))
        this.#wrong(at, `<${octets.join('>, <')}> have to stand in this order the first time that a pattern has them`);
      return { addressKind: 'octets', addressRegister: first };
    }
    const type = types.get(address);
    if (type === 'ipv4-integer') return { addressKind: 'integer', addressRegister: this.#register(address, at) };
    if (type === 'ipv6') return { addressKind: 'ipv6', addressRegister: this.#register(address, at) };
    this.#wrong(
      at,
      `the rule's own pattern has no address <${address}>; it has to be ipv4, ipv6, ipv4-integer, or four fields <${address}.0> to <${address}.3>`,
    );
    return { addressKind: 'own', addressRegister: 0 };
  }

  #tables(drafts: readonly Draft[]): Tables | null {
    const { phases, sections } = this.#input;
    const nfa = new Nfa();
    const firsts: number[] = [];
    for (const [rule, { framing, pattern, path }] of drafts.entries()) {
      try {
        firsts.push(nfa.add(rule, pattern, framing));
      } catch (error) {
        this.#wrong([...path, framing], (error as Error).message);
        firsts.push(0);
      }
    }
    if (this.#failed) return null;
    const flow = fieldFlow(nfa, firsts);
    if (!this.#readsAll(drafts, nfa, flow)) return null;
    // A beginning for each direction, phase and section: the rules that count there.
    const groups = DIRECTIONS.flatMap((direction) =>
      phases.flatMap((phase) =>
        sections.map((section) =>
          drafts.flatMap(({ direction: of, input }, rule) =>
            of === direction &&
            (input.in ?? phases).includes(phase) &&
            (input.within ?? sections.slice(0, 1)).includes(section)
              ? [firsts[rule] ?? 0]
              : [],
          ),
        ),
      ),
    );
    try {
      return this.#numbers(determinize(nfa, groups, flow));
    } catch (error) {
      if (!(error instanceof AmbiguityError)) {
        this.#wrong([], (error as Error).message);
        return null;
      }
      const [first, second] = error.rules.map((rule) => drafts[rule]);
      const path = second?.path ?? [];
      const where = `${show(first?.input.rule)} (${formatKeyPath(first?.path ?? [])}) and ${show(second?.input.rule)}`;
      this.#wrong([...path, second?.framing ?? ''], `${where}: ${error.message}`);
      return null;
    }
  }

  /** What a rule announces it must have read on every way through its pattern. */
  #readsAll(drafts: readonly Draft[], nfa: Nfa, flow: FieldFlow): boolean {
    const missing = new Set<string>();
    for (const [state, { rule, edges, end }] of nfa.states.entries()) {
      const draft = drafts[rule];
      const announces = draft?.input.announces ?? [];
      if (draft === undefined || announces.length === 0) continue;
      const sets = [
        ...(end ? [flow.always[state]] : []),
        ...edges.flatMap(({ final, action }) =>
          final
            ? [new Set([...(flow.always[state] ?? []), ...(action?.write === undefined ? [] : [action.write.field])])]
            : [],
        ),
      ];
      for (const set of sets) {
        for (const [index, { address, port, 'to-port': to }] of announces.entries()) {
          const ports = port === 'own' ? [] : [port.low, ...(port.high === null ? [] : [port.high])];
          const needed = [...ports, ...(to === undefined ? [] : [to]), ...(address === undefined ? [] : [address])];
          for (const name of needed) {
            const isSet = set?.has(name) === true || set?.has(`${name}.3`) === true || this.#isIpv6(draft, name);
            if (!isSet) missing.add(JSON.stringify([rule, index, name]));
          }
        }
      }
    }
    for (const key of missing) {
      const [rule, index, name] = JSON.parse(key) as [number, number, string];
      const path = [...(drafts[rule]?.path ?? []), 'announces', index];
      this.#wrong(
        path,
        `there is a way through the pattern on which <${name}> is never read; make it part of every alternative`,
      );
    }
    return missing.size === 0;
  }

  /** `::` alone reads no group, and is an address. */
  #isIpv6({ pattern }: Draft, name: string): boolean {
    return fieldsOf(pattern).some((field) => field.name === name && field.type.kind === 'ipv6');
  }

  #numbers(dfa: Dfa): Tables | null {
    const { phases, sections, transport } = this.#input;
    const endClass = dfa.classCount;
    const width = dfa.classCount + 1;
    // The first row is never a state: 0 says that a message begins.
    const row = (state: number): number => (state + 1) * width;
    const size = (dfa.states.length + 1) * width;
    if (size > LIMITS.transitions) {
      this.#wrong(
        [],
        `the rules need ${String(size)} table entries (${String(dfa.states.length)} states, ${String(width)} classes of bytes); ${String(LIMITS.transitions)} fit: make patterns simpler, or fewer`,
      );
      return null;
    }
    const nothing: MachineTransition = {
      next: 0,
      register: NO_REGISTER,
      scale: 0,
      raw: false,
      stop: 'unmatched',
      argument: 0,
    };
    const transitions: MachineTransition[] = Array.from({ length: size }, () => nothing);
    for (const [state, { transitions: byClass, end }] of dfa.states.entries()) {
      for (const [number, transition] of byClass.entries()) {
        if (transition === null) continue;
        const { to, write, step, rule } = transition;
        transitions[row(state) + number] = {
          next: to === null ? 0 : row(to),
          register: write === null ? NO_REGISTER : this.#registers.indexOf(write.field),
          scale: write?.scale ?? 0,
          raw: write?.raw ?? false,
          stop: rule !== null ? 'message' : (step?.kind ?? 'none'),
          argument: rule ?? (step === null ? 0 : this.#registers.indexOf(step.field)),
        };
      }
      // On a stream nothing ends here: the message goes on in the next segment.
      if (end !== null) transitions[row(state) + endClass] = { ...nothing, stop: 'message', argument: end };
      else if (transport === 'tcp') transitions[row(state) + endClass] = { ...nothing, stop: 'none', next: row(state) };
    }
    const half = phases.length * sections.length;
    const starts = dfa.starts.map((start) => (start === null ? 0 : row(start)));
    return {
      classes: dfa.classes,
      endClass,
      transitions,
      starts: { original: starts.slice(0, half), reply: starts.slice(half) },
    };
  }
}

type Tables = Pick<Machine, 'classes' | 'endClass' | 'transitions' | 'starts'>;

function bits(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all | (1 << number), 0);
}

function excludedBytes(text: string): ByteSet {
  return ByteSet.of(...Array.from(text, (character) => character.charCodeAt(0)));
}

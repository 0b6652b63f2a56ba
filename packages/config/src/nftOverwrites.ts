// SPDX-License-Identifier: Apache-2.0
import { formatMark } from '@relatd/model';
import {
  ALL,
  MARK,
  UNKNOWN,
  and,
  both,
  changedBits,
  constant,
  isNothing,
  masked,
  matched,
  oneOf,
  or,
  shift,
  upTo,
  xor,
  type MarkValue,
} from './markValue.js';
import { HOOKS, keepOff, reached, type Overwrite } from './overwrite.js';

/** Rules of the bridge family act before relatd's program on the bridge itself, which clears the mark. */
const FAMILIES: readonly unknown[] = ['ip', 'ip6', 'inet', 'netdev'];

type Json = Readonly<Record<string, unknown>>;

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A chain's name with its table and family, as `nft list chain` takes it. */
function chainKey({ family, table }: Json, name: unknown): string {
  return `${String(family)} ${String(table)} ${String(name)}`;
}

/**
 * Rules of nftables that overwrite bits of `mask`, in chains that are reached before the filter has seen the packet. What
 * iptables has put into nftables is opaque here: {@link iptablesOverwrites} reads that. Statements in an anonymous chain
 * (`jump { … }`) are not in the JSON.
 * @param text what `nft -j -t list ruleset` prints
 * @throws SyntaxError where that is no JSON
 */
export function nftOverwrites(text: string, mask: number): Overwrite[] {
  const entries = list(object(JSON.parse(text))['nftables']).map(object);
  const chains = entries.flatMap(({ chain }) => (chain === undefined ? [] : [object(chain)]));
  const starts = chains
    .filter(({ family, hook }) => FAMILIES.includes(family) && HOOKS.includes(String(hook)))
    .map((chain) => chainKey(chain, chain['name']));
  const rules = new Map<string, Json[]>();
  for (const { rule } of entries) {
    if (rule === undefined) continue;
    const key = chainKey(object(rule), object(rule)['chain']);
    const those = rules.get(key);
    if (those === undefined) rules.set(key, [object(rule)]);
    else those.push(object(rule));
  }
  const targets = (key: string): string[] =>
    (rules.get(key) ?? []).flatMap((rule) =>
      list(rule['expr']).flatMap((statement) => {
        const names = jumps(object(statement));
        // The terse listing does not say where a named map leads: to any chain of its table.
        if (names === null)
          return chains
            .filter(({ family, table }) => family === rule['family'] && table === rule['table'])
            .filter(({ hook }) => hook === undefined)
            .map((chain) => chainKey(chain, chain['name']));
        return names.map((name) => chainKey(rule, name));
      }),
    );
  return [...reached(starts, targets)].flatMap((key) =>
    (rules.get(key) ?? []).flatMap((rule) => overwritesOf(rule, mask)),
  );
}

/** Chains to which a statement may lead; null: a named map says which. */
function jumps(statement: Json): unknown[] | null {
  const direct = [statement['jump'], statement['goto']].map((verdict) => object(verdict)['target']);
  const { data } = object(statement['vmap']);
  if (typeof data === 'string') return null;
  const mapped = list(object(data)['set']).map((element) => object(list(element)[1]));
  return [...direct, ...mapped.flatMap(({ jump, goto }) => [object(jump)['target'], object(goto)['target']])].filter(
    (name) => name !== undefined,
  );
}

function overwritesOf(rule: Json, mask: number): Overwrite[] {
  const where = `nft, table ${String(rule['family'])} ${String(rule['table'])}, chain ${String(rule['chain'])}, handle ${String(rule['handle'])}`;
  const found: Overwrite[] = [];
  let before = UNKNOWN;
  for (const statement of list(rule['expr']).map(object)) {
    before = both(before, matchOf(object(statement['match']), mask));
    const { key, value } = object(statement['mangle']);
    if (!isMark(key)) continue;
    const written = evaluate(value, mask);
    const bits = changedBits(written, before, mask);
    if (bits !== 0)
      found.push({ where, rule: `meta mark set ${source(value)}`, bits, advice: advice(value, written, mask) });
    before = UNKNOWN;
  }
  return found;
}

/** What a packet's mark is known to be behind a match. */
function matchOf({ op, left, right }: Json, mask: number): MarkValue {
  if (op !== '==') return UNKNOWN;
  if (isMark(left)) return matched(evaluate(right, mask), ALL);
  const [field, bits] = list(object(left)['&']);
  return isMark(field) && typeof bits === 'number' ? matched(evaluate(right, mask), bits) : UNKNOWN;
}

function isMark(expression: unknown): boolean {
  return object(object(expression)['meta'])['key'] === 'mark';
}

const BINARY = { '&': and, '|': or, '^': xor } as const;
const OPERATORS = ['&', '|', '^'] as const;

function evaluate(expression: unknown, mask: number): MarkValue {
  if (typeof expression === 'number') return constant(expression);
  if (isMark(expression)) return MARK;
  const node = object(expression);
  for (const operator of OPERATORS) {
    const [first, ...rest] = list(node[operator]).map((operand) => evaluate(operand, mask));
    if (first !== undefined) return rest.reduce(BINARY[operator], first);
  }
  for (const [operator, sign] of [
    ['<<', 1],
    ['>>', -1],
  ] as const) {
    const [value, count] = list(node[operator]);
    if (typeof count === 'number') return shift(evaluate(value, mask), sign * count);
  }
  if (node['set'] !== undefined) return oneOf(list(node['set']).map((element) => evaluate(element, mask)));
  const { addr, len } = object(node['prefix']);
  if (typeof addr === 'number' && typeof len === 'number')
    return matched(constant(addr), shift(constant(ALL), 32 - len).one);
  const [from, to] = list(node['range']);
  if (typeof from === 'number' && typeof to === 'number') return matched(constant(from), upTo((from ^ to) >>> 0).zero);
  if (node['map'] !== undefined) {
    const { data } = object(node['map']);
    // What is in a named map is its owner's affair: it is taken to keep to other bits than relatd's.
    if (typeof data === 'string') return { ...UNKNOWN, zero: mask };
    return oneOf(list(object(data)['set']).map((element) => evaluate(list(element)[1], mask)));
  }
  for (const generator of ['jhash', 'symhash', 'numgen']) {
    const { mod, offset = 0 } = object(node[generator]);
    if (typeof mod === 'number' && typeof offset === 'number') return upTo(mod - 1 + offset);
  }
  return UNKNOWN;
}

/** An expression as nft writes it; `…` for what the handle is needed for. */
function source(expression: unknown): string {
  if (typeof expression === 'number') return formatMark(expression);
  const node = object(expression);
  for (const operator of [...OPERATORS, '<<', '>>']) {
    const operands = list(node[operator]);
    if (operands.length > 0)
      return operands
        .map((operand) => (operator.length === 2 && typeof operand === 'number' ? String(operand) : source(operand)))
        .join(` ${operator} `);
  }
  for (const kind of ['meta', 'ct', 'socket']) {
    const { key } = object(node[kind]);
    if (typeof key === 'string') return `${kind} ${key}`;
  }
  const { data } = object(node['map']);
  return typeof data === 'string' ? `… map ${data}` : '…';
}

function advice(value: unknown, written: MarkValue, mask: number): string {
  const form = masked(written, mask);
  if (form !== null) {
    if (isNothing(form)) return 'remove it';
    const parts = [form.and === ALL ? 'meta mark' : `meta mark & ${formatMark(form.and)}`];
    if (form.xor !== 0) parts.push(`^ ${formatMark(form.xor)}`);
    if (form.or !== 0) parts.push(`| ${formatMark(form.or)}`);
    return `write "meta mark set ${parts.join(' ')}" instead`;
  }
  const condition = `meta mark & ${formatMark(mask)} == ${formatMark(0)}`;
  const text = source(value);
  if (text.includes('…')) return keepOff(condition, mask);
  const inside = (written.zero & mask) >>> 0 === mask;
  const kept = /[|^]/.test(text) ? `(${text})` : text;
  return `write "${condition} meta mark set ${inside ? text : `${kept} & ${formatMark(~mask)}`}" instead`;
}

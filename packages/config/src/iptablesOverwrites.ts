// SPDX-License-Identifier: Apache-2.0
import { formatMark } from '@relatd/model';
import {
  MARK,
  UNKNOWN,
  and,
  both,
  changedBits,
  constant,
  isNothing,
  masked,
  matched,
  not,
  shift,
  upTo,
  xor,
  type MarkValue,
} from './markValue.js';
import { HOOKS, keepOff, reached, type Overwrite } from './overwrite.js';

/** One line `-A chain …` of what `iptables-save` prints. */
interface Rule {
  readonly text: string;
  readonly words: readonly string[];
}

/**
 * Rules of iptables that overwrite bits of `mask`, in chains that are reached before the filter has seen the packet:
 * MARK, CONNMARK, TPROXY and HMARK.
 * @param tool `iptables` or `ip6tables`; which of its variants printed the text stands in there
 * @param text what `iptables-save` prints
 */
export function iptablesOverwrites(tool: string, text: string, mask: number): Overwrite[] {
  const variant = text.includes('(nf_tables)') ? '' : ' (legacy)';
  return [...tablesOf(text)].flatMap(([table, chains]) => {
    const targets = (chain: string): string[] => (chains.get(chain) ?? []).map(({ words }) => targetOf(words).name);
    const starts = HOOKS.map((hook) => hook.toUpperCase());
    return [...reached(starts, targets)].flatMap((chain) =>
      (chains.get(chain) ?? []).flatMap(({ text, words }) => {
        const found = overwriteOf(words, mask);
        if (found === null) return [];
        return [{ where: `${tool}${variant}, table ${table}, chain ${chain}`, rule: text, ...found }];
      }),
    );
  });
}

/** Rules by table and chain. */
function tablesOf(text: string): Map<string, Map<string, Rule[]>> {
  const tables = new Map<string, Map<string, Rule[]>>();
  let chains = new Map<string, Rule[]>();
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) tables.set(line.slice(1), (chains = new Map<string, Rule[]>()));
    const [, chain, rest] = /^(?:\[\d+:\d+\] )?-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain === undefined || rest === undefined) continue;
    const rule = { text: rest, words: wordsOf(rest) };
    const those = chains.get(chain);
    if (those === undefined) chains.set(chain, [rule]);
    else those.push(rule);
  }
  return tables;
}

/** What is in quotes is one word. */
function wordsOf(text: string): string[] {
  return Array.from(text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g), ([, quoted, plain]) => quoted ?? plain ?? '');
}

/** The target's name, and its options behind it. */
function targetOf(words: readonly string[]): { name: string; options: readonly string[] } {
  // The last one: a comment may be the word `-j` too.
  const at = words.findLastIndex((word) => word === '-j' || word === '-g');
  return at === -1 ? { name: '', options: [] } : { name: words[at + 1] ?? '', options: words.slice(at + 2) };
}

function overwriteOf(words: readonly string[], mask: number): Pick<Overwrite, 'bits' | 'advice'> | null {
  const { name, options } = targetOf(words);
  const write = writes.get(name)?.((option) => after(options, option), mask) ?? null;
  if (write === null) return null;
  const bits = changedBits(write.value, matchOf(words), mask);
  if (bits === 0) return null;
  const condition = `-m mark --mark ${formatMark(0)}/${formatMark(mask)}`;
  const advice =
    write.instead === null
      ? keepOff(condition, mask)
      : write.instead === ''
        ? 'remove it'
        : `write "-j ${name} ${write.instead}" instead`;
  return { bits, advice };
}

/** What a packet's mark is known to be behind the matches of a rule. */
function matchOf(words: readonly string[]): MarkValue {
  let module = '';
  let known = UNKNOWN;
  for (const [at, word] of words.entries()) {
    if (word === '-j' || word === '-g') break;
    if (word === '-m') module = words[at + 1] ?? '';
    if (word !== '--mark' || module !== 'mark' || words[at - 1] === '!') continue;
    const pair = pairOf(words[at + 1]);
    if (pair !== null) known = both(known, matched(constant(pair.value), pair.mask));
  }
  return known;
}

/** What a target makes of the mark, and its options with relatd's bits left out. */
interface Write {
  readonly value: MarkValue;
  /** Null: no options of it leave bits out. Empty: nothing would be left to do. */
  readonly instead: string | null;
}

type Option = (name: string) => string | undefined;

/** Null: does not write, or not in a form that iptables prints. */
const writes = new Map<string, (option: Option, mask: number) => Write | null>([
  ['MARK', (option, mask) => pairWrite('--set-xmark', option, mask)],
  ['TPROXY', (option, mask) => pairWrite('--tproxy-mark', option, mask)],
  ['CONNMARK', restoreWrite],
  [
    'HMARK',
    (option) => {
      const [count, offset] = [numberOf(option('--hmark-mod')), numberOf(option('--hmark-offset')) ?? 0];
      return count === null ? null : { value: upTo(count - 1 + offset), instead: null };
    },
  ],
]);

/** `--restore-mark`: clears the bits of `--nfmask` and flips those that the connection's mark has in `--ctmask`. */
function restoreWrite(option: Option, mask: number): Write | null {
  const [bits, connection] = [numberOf(option('--nfmask')), numberOf(option('--ctmask'))];
  if (option('--restore-mark') === undefined || bits === null || connection === null) return null;
  const [left, right] = [numberOf(option('--left-shift-mark')) ?? 0, numberOf(option('--right-shift-mark')) ?? 0];
  const value = xor(and(MARK, not(constant(bits))), shift(and(UNKNOWN, constant(connection)), left - right));
  const nfmask = (bits & ~mask) >>> 0;
  const ctmask = (connection & ~shift(constant(mask), right - left).one) >>> 0;
  if (nfmask === 0 && ctmask === 0) return { value, instead: '' };
  const shifted = `${left > 0 ? ` --left-shift-mark ${String(left)}` : ''}${right > 0 ? ` --right-shift-mark ${String(right)}` : ''}`;
  const instead = `--restore-mark --nfmask ${formatMark(nfmask)} --ctmask ${formatMark(ctmask)}${shifted}`;
  return { value, instead };
}

/** `value/mask`: clears the bits of the mask and flips those of the value. */
function pairWrite(name: string, option: Option, mask: number): Write | null {
  const pair = pairOf(option(name));
  if (pair === null) return null;
  const value = xor(and(MARK, not(constant(pair.mask))), constant(pair.value));
  const form = masked(value, mask);
  const nothing = name === '--set-xmark' && form !== null && isNothing(form);
  return {
    value,
    instead: nothing ? '' : `${name} ${formatMark(pair.value & ~mask)}/${formatMark(pair.mask & ~mask)}`,
  };
}

/** The word behind an option; empty where it is the last one. */
function after(words: readonly string[], option: string): string | undefined {
  const at = words.indexOf(option);
  return at === -1 ? undefined : (words[at + 1] ?? '');
}

function pairOf(word: string | undefined): { value: number; mask: number } | null {
  const [left, right = '0xffffffff'] = (word ?? '').split('/');
  const [value, mask] = [numberOf(left), numberOf(right)];
  return value === null || mask === null ? null : { value, mask };
}

function numberOf(word: string | undefined): number | null {
  return word !== undefined && /^(?:0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) >>> 0 : null;
}

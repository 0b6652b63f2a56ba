// SPDX-License-Identifier: Apache-2.0
// Holds the three against each other: the program in the kernel, the interpreter of the same tables, and the parser that
// was written by hand.
import { helpers, type Fact } from '@relatd/helpers';
import type { MachineFact } from '@relatd/grammar';
import { familyOf } from '@relatd/model';
import { isDatagram, type Setup } from './dialogue.js';
import type { Run } from './kernel.js';
import type { Model, Read } from './model.js';

/** Where two of them part. */
export interface Difference {
  readonly between: 'kernel and interpreter' | 'interpreter and parser';
  /** What was expected (the interpreter), what was found, line by line. */
  readonly expected: readonly string[];
  readonly found: readonly string[];
  /** Of the interpreter and the parser: the bytes of the step in which they part. */
  readonly step: Step | null;
}

/** One step of interpreter and parser. */
export interface Step {
  readonly setup: Setup;
  readonly read: Read;
  readonly parsed: readonly Fact[];
  /** Everything that was said, this step included; Latin-1. */
  readonly said: readonly [string, string];
}

export function compareKernel(model: Model, run: Run): Difference | null {
  const expected = [...model.verdicts.map(String), ...model.log];
  const found = [...run.verdicts.map(String), ...run.log];
  if (expected.length === found.length && expected.every((line, at) => line === found[at])) return null;
  return {
    between: 'kernel and interpreter',
    expected: model.log,
    found: sameVerdicts(model, run)
      ? run.log
      : [...run.log, `verdicts ${run.verdicts.join(' ')}, not ${model.verdicts.join(' ')}`],
    step: null,
  };
}

function sameVerdicts(model: Model, run: Run): boolean {
  return model.verdicts.join() === run.verdicts.join();
}

/** The first step in which the two part, if there is a parser; behind it nothing is comparable any more. */
export function compareParser(setup: Setup, model: Model): Difference | null {
  const parser = helpers.get(setup.helper)?.create();
  if (parser === undefined) return null;
  for (const [index, read] of model.reads.entries()) {
    const { from, bytes, facts } = read;
    const parsed = parser.feed(from === 0 ? 'original' : 'reply', bytes);
    const last = facts.at(-1)?.kind;
    // Whatever the parser says now: it decides from here on.
    if (last === 'judge') return null;
    const expected = facts.map(machineText);
    const found = parsed.flatMap((fact) => parserText(fact, setup));
    if (last !== 'give-up' && !found.at(-1)?.startsWith('give-up') && !isDatagram(setup)) {
      expected.push(`recognised ${String(read.recognised)}`);
      found.push(`recognised ${String(parser.recognised)}`);
    }
    if (expected.length !== found.length || expected.some((line, at) => line !== found[at]))
      return {
        between: 'interpreter and parser',
        expected,
        found,
        step: { setup, read, parsed, said: saidBy(model, index) },
      };
    if (last === 'give-up') return null;
  }
  return null;
}

/** What both sides have said up to a step. */
function saidBy({ reads }: Model, last: number): [string, string] {
  const said: [string, string] = ['', ''];
  for (const { from, bytes } of reads.slice(0, last + 1)) said[from] += Buffer.from(bytes).toString('latin1');
  return said;
}

function machineText(fact: MachineFact): string {
  if (fact.kind === 'announce') {
    const { direction, start, end, protocol, anyone, address, port } = fact;
    return `announce ${direction} ${String(start)}-${String(end)} ${protocol} ${anyone ? 'anyone' : 'peer'} ${address === null ? 'own' : address.join('.')} ${String(port)}`;
  }
  return fact.kind === 'give-up' ? `give-up ${fact.reason}` : fact.kind;
}

function parserText(fact: Fact, { family: ours }: Setup): string[] {
  switch (fact.kind) {
    case 'announce': {
      const { direction, start, end, protocol, from, address, port, family } = fact;
      const written =
        family !== null && family !== (address === null ? ours : familyOf(address)) ? ` as IPv${String(family)}` : '';
      return [
        `announce ${direction} ${String(start)}-${String(end)} ${protocol} ${from} ${address === null ? 'own' : address.join('.')} ${String(port)}${written}`,
      ];
    }
    case 'detail':
      return [];
    case 'encrypted':
      return ['give-up encrypted'];
    case 'abandon':
      return [`give-up ${fact.reason}`];
    case 'refuse':
      return [`refuse ${fact.reason}`];
    case 'withdraw':
      return ['withdraw'];
  }
}

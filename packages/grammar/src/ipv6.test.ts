// SPDX-License-Identifier: Apache-2.0
import { parseAddress } from '@relatd/model';
import { expect, it } from 'vitest';
import { readDefinition } from './compile.js';
import { Interpreter } from './interpreter.js';

const text = `
helper: toy
title: A toy
documents: [RFC 4291 2.2]
transport: tcp
port: 7
limits: { per-master: 1, expectation: 10s }
unmatched: give-up
phases: [one]
original:
  - { rule: address, line: '<a:ipv6>', announces: [{ address: a, port: own }] }
`;

/** Every row of up to `most` of these. */
function* rows(parts: readonly string[], most: number): Generator<string> {
  yield '';
  if (most === 0) return;
  for (const rest of rows(parts, most - 1)) for (const part of parts) yield part + rest;
}

it('IPv6 text is taken exactly where it is an address, and for the right one', () => {
  const machine = readDefinition(text, 'toy.yaml', { judged: false }).definition?.compile().compiled?.machine;
  if (machine === undefined) throw new Error('it does not compile');
  const seen = new Set(rows(['1', ':', '::', 'ab:cd:', '0'], 6));
  for (const spelled of seen) {
    const [fact] = new Interpreter(machine).feed('original', Buffer.from(`${spelled}\n`, 'latin1'));
    const taken = fact?.kind === 'announce' ? fact.address?.join() : undefined;
    expect(`${spelled} ${String(taken)}`).toBe(`${spelled} ${String(parseAddress(spelled)?.join())}`);
  }
  expect(seen.size).toBeGreaterThan(10_000);
});

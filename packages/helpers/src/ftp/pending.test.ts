// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { PENDING_LIMIT, PendingCommands } from './pending.js';

function queue(...verbs: string[]): PendingCommands {
  const pending = new PendingCommands();
  for (const verb of verbs) {
    const asks = verb === 'PASV' ? 227 : verb === 'EPSV' ? 229 : 0;
    pending.push({
      verb,
      asks,
      family: null,
      announcement: verb === 'PORT' ? 1 : 0,
      userBefore: null,
      purpose: null,
    });
  }
  return pending;
}

describe('an answer', () => {
  it.each([
    ['in order', ['NOOP', 'PWD'], 200, 'NOOP', 1],
    ['to nothing', [], 200, undefined, 0],
    ['426 to the transfer', ['RETR', 'ABOR'], 426, 'RETR', 1],
    ['225 to the ABOR', ['RETR', 'ABOR'], 225, 'ABOR', 0],
    ['225 without ABOR', ['RETR', 'PWD'], 225, 'RETR', 1],
    ['226 to the ABOR', ['ABOR', 'PWD'], 226, 'ABOR', 1],
    ['behind an ABOR that was not answered', ['ABOR', 'ABOR', 'PORT'], 200, 'PORT', 0],
    ['that refuses ABOR', ['ABOR', 'PORT'], 502, 'ABOR', 1],
  ])('%s', (_, verbs, code, verb, left) => {
    const pending = queue(...verbs);
    expect(pending.answered(code)?.verb).toBe(verb);
    expect(pending.size).toBe(left);
  });
});

it('takes the first that fits, with all before it', () => {
  const pending = queue('NOOP', 'PASV', 'PASV', 'PWD');
  expect(pending.take(({ asks }) => asks === 229)).toBeUndefined();
  expect(pending.size).toBe(4);
  expect(pending.take(({ asks }) => asks === 227)?.verb).toBe('PASV');
  expect(pending.size).toBe(2);
  pending.reach(({ verb }) => verb === 'PWD');
  expect(pending.size).toBe(1);
});

it('knows the last that asks, unless something newer announces', () => {
  expect(queue('PASV', 'RETR').lastAsking?.verb).toBe('PASV');
  expect(queue('PASV', 'PORT').lastAsking).toBeUndefined();
  expect(queue('NOOP').lastAsking).toBeUndefined();
});

it('forgets a flood', () => {
  const pending = queue(...Array<string>(PENDING_LIMIT).fill('NOOP'));
  expect(pending.size).toBe(PENDING_LIMIT);
  pending.push(queue('PWD').answered(200)!);
  expect(pending.size).toBe(1);
});

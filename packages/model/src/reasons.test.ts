// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERROR_CODES, RelatdError } from './errors.js';
import { REASONS } from './generated/reasons.js';
import { explainReason, isReason, reasonOf } from './reasons.js';

it('has the reasons of the datapath, in its order', () => {
  const header = readFileSync(new URL('../../../bpf/lib/reasons.h', import.meta.url), 'utf8');
  const names = [...header.matchAll(/^\tREASON_(\w+)/gm)].map(([, name]) =>
    (name ?? '').toLowerCase().replaceAll('_', '-'),
  );
  expect(names.at(-1)).toBe('max');
  expect(REASONS).toEqual(names.slice(0, -1));
});

it('explains each in sentences', () => {
  for (const reason of REASONS) expect(explainReason(reason), reason).toMatch(/^[A-Z].*\.$/);
});

it('knows words and numbers', () => {
  expect([isReason('port-zero'), isReason('constructor'), reasonOf(0), reasonOf(250)]).toEqual([
    true,
    false,
    'none',
    'none',
  ]);
});

it('makes errors with a code, one line and a hint', () => {
  const cause = new Error('no');
  const error = RelatdError.with({ cause, problems: ['a:1:1: x'] }, 'CONFIG_INVALID', 'a', 1);
  expect(error).toMatchObject({
    name: 'RelatdError',
    code: 'CONFIG_INVALID',
    message: 'a has 1 error: see them all with `relatd check a`',
    hint: 'see them all with `relatd check a`',
    problems: ['a:1:1: x'],
    cause,
  });
  expect(RelatdError.of('NOT_ROOT').message).toBe(
    'no permission to change the datapath: run relatd as root, or with CAP_BPF and CAP_NET_ADMIN',
  );
  expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length);
});

// SPDX-License-Identifier: Apache-2.0
import { MACHINE_LIMITS, NO_REGISTER } from '@relatd/grammar';
import { expect, it } from 'vitest';
import { Limit } from './generated/layout.js';
import { DATAPATH_LIMITS } from './machine.js';

it('grammar and datapath have the same bounds', () => {
  expect(MACHINE_LIMITS).toEqual(DATAPATH_LIMITS);
  expect(NO_REGISTER).toBe(Limit.noRegister);
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { laterChanges, readConfig, sameConfig } from './configuration.js';
import { configOf } from './testing.js';

const BASE = 'assignments: [{ helper: ftp, port: 21 }]';
const changes = (text: string): string[] => laterChanges(configOf(BASE), configOf(`${BASE}\n${text}`));

describe('a reload says what it cannot change', () => {
  it.each([
    ['limits: { flows: 100 }', ['table sizes change after `relatd down`: they stay as they are']],
    ['limits: { flows: 100, per-source: 7 }', ['table sizes change after `relatd down`: they stay as they are']],
    ['limits: { per-source: 7 }', []],
    ['listen: { metrics: off }', ['listen changes at the next start']],
    [
      'order: { ingress: last, egress: last }',
      ['order and attach: interfaces that are watched already keep theirs until `relatd down`'],
    ],
    ['hold: { deadline: 100ms }', []],
  ])('%s', (text, messages) => {
    expect(changes(text)).toEqual(messages);
  });
});

it('sees a change of what JSON leaves out', () => {
  const [one, other] = [configOf(`${BASE}\nzones: { eth0: 1 }`), configOf(`${BASE}\nzones: { eth0: 2 }`)];
  expect([sameConfig(one, one), sameConfig(one, other)]).toEqual([true, false]);
});

it('sees no change in a comment', () => {
  expect(sameConfig(configOf(BASE), configOf(`# FTP\n${BASE}`))).toBe(true);
});

it('a file that is not there is an error of the configuration', async () => {
  await expect(readConfig('/nowhere/relatd.yaml')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

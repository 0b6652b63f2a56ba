// SPDX-License-Identifier: Apache-2.0
import { parseConfig } from '@relatd/config';
import { expect, test } from 'vitest';
import { configuration, firewall } from './play.js';
import { FTP_PORT } from './stage.js';

test('the configurations of the demo are valid and differ by one assignment', () => {
  const names = [false, true].map((assigned) => {
    const { config, problems } = parseConfig(configuration(assigned), 'demo.yaml');
    expect(problems).toBeUndefined();
    return config?.assignments.map(({ name, port }) => `${name}:${String(port)}`);
  });
  expect(names).toEqual([['ftp:21'], ['ftp:21', `ftp-2121:${String(FTP_PORT)}`]]);
});

test('the firewall of the demo drops, in the chain to which the rules of relatd are added', () => {
  const text = firewall('10.77.1.2');
  expect(text).toContain('table inet filter');
  expect(text).toContain('policy drop');
  expect(text.match(/accept/g)).toHaveLength(1);
});

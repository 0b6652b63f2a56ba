// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseEndpoint } from './endpoint.js';

describe('parseEndpoint', () => {
  it.each([
    ['10.0.1.2', '10.0.1.2', null],
    ['10.0.1.2:21', '10.0.1.2', 21],
    ['[2001:db8::1]:65535', '2001:db8::1', 65535],
    ['2001:DB8:0::1', '2001:db8::1', null],
    ['[2001:db8::1]', '2001:db8::1', null],
    ['::ffff:10.0.1.2', '10.0.1.2', null],
  ])('reads %s', (text, address, port) => {
    expect(parseEndpoint(text)).toEqual({ address, port });
  });

  it.each([
    '',
    ':21',
    '10.0.1:21',
    '10.0.1.2:',
    '10.0.1.2:0',
    '10.0.1.2:65536',
    '10.0.1.2:1:2',
    '[10.0.1.2]:21',
    '[::1',
    '[::1]x',
    '[::1]:',
    'host',
    'host:21',
  ])('refuses %s', (text) => {
    expect(parseEndpoint(text)).toBeNull();
  });
});

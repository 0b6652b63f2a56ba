// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseAddress } from './address.js';
import {
  ANY,
  ANY_IPV4,
  ANY_IPV6,
  formatPrefix,
  parsePrefix,
  prefixContains,
  prefixCovers,
  prefixEquals,
  type Prefix,
} from './prefix.js';

function prefix(text: string): Prefix {
  const result = parsePrefix(text);
  if ('prefix' in result) return result.prefix;
  throw new Error(`${text}: ${result.error}`);
}

const address = (text: string): Uint8Array => parseAddress(text) ?? new Uint8Array(16);

describe('prefixes', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0/8', 104, 4],
    ['192.0.2.10', '192.0.2.10', 128, 4],
    ['192.0.2.10/32', '192.0.2.10', 128, 4],
    ['0.0.0.0/0', '0.0.0.0/0', 96, 4],
    ['2001:DB8::/64', '2001:db8::/64', 64, 6],
    ['2001:db8::1/128', '2001:db8::1', 128, 6],
    ['::/0', '::/0', 0, 6],
    ['::ffff:10.0.0.0/104', '10.0.0.0/8', 104, 4],
    ['::ffff:0:0/96', '0.0.0.0/0', 96, 4],
    ['2001:db8::/33', '2001:db8::/33', 33, 6],
  ])('%s is %s', (text, canonical, length, family) => {
    const found = prefix(text);
    expect([formatPrefix(found), found.length, found.family]).toEqual([canonical, length, family]);
  });

  it.each([
    ['10.0.0.1/8', 'host-bits', '10.0.0.0/8'],
    ['2001:db8::1/64', 'host-bits', '2001:db8::/64'],
    ['::ffff:0:0/90', 'host-bits', '::ffc0:0:0/90'],
    ['10.0.0.0/33', 'length', '10.0.0.0'],
    ['10.0.0.0/', 'length', '10.0.0.0'],
    ['10.0.0.0/08', 'length', '10.0.0.0'],
    ['::/129', 'length', '::'],
    ['::/-1', 'length', '::'],
    ['10.0.0/8', 'address', null],
    ['eth0', 'address', null],
  ])('%s is wrong: %s', (text, error, right) => {
    const result = parsePrefix(text);
    expect('error' in result && [result.error, result.right && formatPrefix(result.right)]).toEqual([error, right]);
  });

  it('contains by family, then by bits', () => {
    const contains = (outer: string, inner: string): boolean => prefixContains(prefix(outer), prefix(inner));
    expect(contains('10.0.0.0/8', '10.1.0.0/16')).toBe(true);
    expect(contains('10.0.0.0/8', '10.0.0.0/8')).toBe(true);
    expect(contains('10.1.0.0/16', '10.0.0.0/8')).toBe(false);
    expect(contains('10.0.0.0/9', '10.128.0.0/9')).toBe(false);
    expect(contains('::/0', '10.0.0.0/8')).toBe(false);
    expect(prefixContains(ANY, ANY_IPV4) && prefixContains(ANY, ANY_IPV6)).toBe(true);
    expect(prefixContains(ANY_IPV6, ANY)).toBe(false);
    expect(formatPrefix(ANY)).toBe('any');
    expect(prefixEquals(prefix('::ffff:10.0.0.0/104'), prefix('10.0.0.0/8'))).toBe(true);
    expect(prefixEquals(ANY, ANY_IPV6)).toBe(false);
  });

  it('covers addresses', () => {
    expect(prefixCovers(prefix('10.0.0.0/9'), address('10.127.255.255'))).toBe(true);
    expect(prefixCovers(prefix('10.0.0.0/9'), address('10.128.0.0'))).toBe(false);
    expect(prefixCovers(ANY_IPV6, address('10.0.0.1'))).toBe(false);
    expect(prefixCovers(ANY, address('10.0.0.1'))).toBe(true);
  });
});

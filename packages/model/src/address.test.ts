// SPDX-License-Identifier: Apache-2.0
import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressEquals, familyOf, formatAddress, parseAddress } from './address.js';

const canonical = (text: string): string | null => {
  const bytes = parseAddress(text);
  return bytes === null ? null : formatAddress(bytes);
};

describe('addresses', () => {
  it.each([
    ['10.0.1.2', '10.0.1.2'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::ffff:10.0.1.2', '10.0.1.2'],
    ['::FFFF:0a00:0102', '10.0.1.2'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    // RFC 5952, 4.2.2: one group is not shortened; 4.2.3: the longest run, the first of equal ones.
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:0:2:3:4:0:0', '1::2:3:4:0:0'],
    ['1:2:3:4:5:6::', '1:2:3:4:5:6::'],
    ['::2:3:4:5:6:7', '::2:3:4:5:6:7'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['::1.2.3.4', '::102:304'],
    ['fe80::', 'fe80::'],
  ])('%s is %s', (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.4 ',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '1:2:3:4::5:6:7:8',
    '1::2::3',
    ':1::2',
    '1::2:',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1.2.3.4:5',
    '::1.2.3',
    '[::1]',
    '::ffff:10.0.0.1/96',
  ])('%j is none', (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  it('accepts what the system accepts, and nothing else', () => {
    const part = fc.constantFrom(
      '0',
      '1',
      '10',
      '255',
      '256',
      'ffff',
      'FFFF',
      '00ab',
      '12345',
      '::',
      ':',
      '.',
      '1.2.3.4',
      '01',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 16 }), (parts) => {
        const text = parts.join('');
        expect(parseAddress(text) !== null).toBe(isIP(text) !== 0);
      }),
      { numRuns: 5000 },
    );
  });

  it('agrees with the URL standard about IPv6 text', () => {
    const group = fc.constantFrom(0, 0, 0, 1, 0xffff, 0xdb8, 0x10);
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const bytes = Uint8Array.from(groups.flatMap((value) => [value >> 8, value & 0xff]));
        if (familyOf(bytes) === 4) return;
        const text = groups.map((value) => value.toString(16)).join(':');
        expect(`[${formatAddress(bytes)}]`).toBe(new URL(`http://[${text}]`).hostname);
      }),
    );
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const back = parseAddress(formatAddress(bytes));
        expect(back !== null && addressEquals(back, bytes)).toBe(true);
      }),
    );
    const padded = new Uint8Array(20);
    padded.set(parseAddress('10.0.1.2') ?? [], 4);
    expect(formatAddress(padded, 4)).toBe('10.0.1.2');
  });
});

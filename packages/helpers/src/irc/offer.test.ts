// SPDX-License-Identifier: Apache-2.0
import { formatAddress } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import { readOffer } from './offer.js';

function read(parameters: string, truncated = false): string {
  const offer = readOffer(parameters.replaceAll('^', '\x01'), truncated);
  if (offer === null || typeof offer === 'string') return offer ?? 'nothing';
  return `${offer.command} ${offer.fileName ?? '-'} ${formatAddress(offer.address)} ${String(offer.port)}`;
}

describe('offers', () => {
  it.each([
    [' bob :^DCC SEND a.bin 172818690 50000 1234^', 'DCC SEND a.bin 10.77.1.2 50000'],
    [' bob :^DCC SEND a.bin 172818690 50000^', 'DCC SEND a.bin 10.77.1.2 50000'],
    [' bob :^DCC SEND a.bin 172818690 50000', 'DCC SEND a.bin 10.77.1.2 50000'],
    [' bob :^DCC SEND a.bin 172818690 50000 ', 'DCC SEND a.bin 10.77.1.2 50000'],
    [' bob :^DCC SEND a.bin 172818690 50000^anything', 'DCC SEND a.bin 10.77.1.2 50000'],
    [' bob :^DCC SEND a.bin 172818690 50000 1234 77^', 'DCC SEND a.bin 10.77.1.2 50000'],
    [' bob ^DCC SEND a.bin 172818690 50000^', 'DCC SEND a.bin 10.77.1.2 50000'],
    ['  #a,bob   :^dcc   send   a.bin   172818690   50000^', 'DCC SEND a.bin 10.77.1.2 50000'],
    [' bob :^DCC TSEND a.bin 172818690 50000^', 'DCC TSEND a.bin 10.77.1.2 50000'],
    [' bob :^DCC CHAT chat 172818690 50000^', 'DCC CHAT - 10.77.1.2 50000'],
    [' bob :^DCC schat chat 172818690 50000^', 'DCC SCHAT - 10.77.1.2 50000'],
    [' bob :^DCC SEND "a b.bin" 172818690 50000 1^', 'DCC SEND a b.bin 10.77.1.2 50000'],
    [' bob :^DCC SEND "" 172818690 50000 1^', 'DCC SEND  10.77.1.2 50000'],
    [' bob :^DCC SEND "^" 172818690 50000 1^', 'DCC SEND \x01 10.77.1.2 50000'],
    [' bob :^DCC SEND 1 2 3', 'DCC SEND 1 0.0.0.2 3'],
    [' bob :^DCC SEND a 0 50000^', 'DCC SEND a 0.0.0.0 50000'],
    [' bob :^DCC SEND a 4294967295 65535^', 'DCC SEND a 255.255.255.255 65535'],
    [' bob :^DCC SEND a 0000000001 00080^', 'DCC SEND a 0.0.0.1 80'],
    [' bob :^DCC SEND a fd77:1::2 50000 1^', 'DCC SEND a fd77:1::2 50000'],
    [' bob :^DCC SEND a FD77:1:0:0:0:0:0:2 50000 1^', 'DCC SEND a fd77:1::2 50000'],
    [' bob :^DCC SEND a ::1.2.3.4 50000 1^', 'DCC SEND a ::102:304 50000'],
    [' bob :^DCC SEND a ::ffff:10.77.1.2 50000 1^', 'DCC SEND a 10.77.1.2 50000'],
  ])('%j', (parameters, expected) => {
    expect(read(parameters)).toBe(expected);
    expect(read(parameters, true)).toBe('line-too-long');
  });
});

describe('refusals', () => {
  it.each([
    [' bob :^DCC SEND ', 'bad-syntax'],
    [' bob :^DCC SEND ^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 172818690^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 172818690 ^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 172818690 x^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 172818690 -1^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 172818690 123456^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 172818690 50000x^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 172818690 50000\r^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 17281869000 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 10.77.1.2 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin host 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 0x1 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin [fd77::2] 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin fe80::1%eth0 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin : 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a b.bin 172818690 50000^', 'bad-syntax'],
    [' bob :^DCC SEND "a b.bin 172818690 50000^', 'bad-syntax'],
    [' bob :^DCC SEND "a b.bin"172818690 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a"b 172818690 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a^b 172818690 50000^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 4294967296 50000^', 'bad-octet'],
    [' bob :^DCC SEND a.bin 9999999999 0^', 'bad-octet'],
    [' bob :^DCC SEND a.bin 9999999999 x^', 'bad-syntax'],
    [' bob :^DCC SEND a.bin 172818690 65536^', 'bad-port'],
    [' bob :^DCC CHAT chat 172818690 99999', 'bad-port'],
  ])('%j', (parameters, expected) => {
    expect(read(parameters)).toBe(expected);
    expect(read(parameters, true)).toBe('line-too-long');
  });
});

describe('nothing', () => {
  it.each([
    '',
    ' ',
    ' bob',
    ' bob :',
    ' bob :hello',
    ' bob :DCC SEND a 1 2',
    ' bob :see ^DCC SEND a 1 2^',
    ' bob : ^DCC SEND a 1 2^',
    ' bob ::^DCC SEND a 1 2^',
    ' bob eve :^DCC SEND a 1 2^',
    ' :bob ^DCC SEND a 1 2^',
    ' ^DCC SEND a 1 2^',
    ' bob :^VERSION^',
    ' bob :^DCCSEND a 1 2^',
    ' bob :^DCC^',
    ' bob :^DCC ',
    ' bob :^DCC SEND',
    ' bob :^DCC SEND^',
    ' bob :^DCC SENDX a 1 2^',
    ' bob :^DCC RESUME a 50000 10^',
    ' bob :^DCC ACCEPT a 50000 10^',
    ' bob :^DCC MOVE a 1 2^',
    ' bob :^^DCC SEND a 1 2^',
    ' bob :^ DCC SEND a 1 2^',
  ])('%j', (parameters) => {
    expect(read(parameters)).toBe('nothing');
    expect(read(parameters, true)).toBe('nothing');
  });

  it.each([' bob :^DCC SEND a 172818690 0 1234 77^', ' bob :^DCC CHAT chat 1 00000^'])(
    'of passive offers: %j',
    (parameters) => {
      expect(read(parameters)).toBe('nothing');
    },
  );
});

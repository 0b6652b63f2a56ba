// SPDX-License-Identifier: Apache-2.0
import { formatAddress } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import type { RefusalReason } from '../helper.js';
import { familyAsked, readExtendedPassive, readExtendedPort, readPassive, readPort, type Place } from './address.js';

function show(place: Place | RefusalReason): string {
  if (typeof place === 'string') return place;
  const { family, address, port } = place;
  return `${String(family ?? '-')} ${address === null ? '-' : formatAddress(address)} ${String(port)}`;
}

describe('PORT', () => {
  it.each([
    ['10,77,1,2,200,10', '4 10.77.1.2 51210'],
    ['  10,77,1,2,200,10 ', '4 10.77.1.2 51210'],
    ['10, 77, 1, 2, 200, 10', '4 10.77.1.2 51210'],
    ['010,077,001,002,200,010', '4 10.77.1.2 51210'],
    ['10,77,1,2,0,22', '4 10.77.1.2 22'],
    ['255,255,255,255,255,255', '4 255.255.255.255 65535'],
    ['10,77,1,2,0,0', 'port-zero'],
    ['256,77,1,2,200,10', 'bad-octet'],
    ['10,77,1,2,256,10', 'bad-octet'],
    ['10,77,1,2,4,99999999999999999999', 'bad-octet'],
    ['10,77,1,2,200', 'bad-syntax'],
    ['10,77,1,2,200,', 'bad-syntax'],
    ['10,77,,2,200,10', 'bad-syntax'],
    ['10,77,1,2,200,10,1', 'bad-syntax'],
    ['10,77,1,2,200,10 x', 'bad-syntax'],
    ['10,77,1,2,200,10\r', 'bad-syntax'],
    ['10,77,1,2,200,10\0', 'bad-syntax'],
    ['10 ,77,1,2,200,10', 'bad-syntax'],
    ['10,77,1,2,-200,10', 'bad-syntax'],
    ['10,77,1,2,0xc8,10', 'bad-syntax'],
    ['10.77.1.2.200.10', 'bad-syntax'],
    ['(10,77,1,2,200,10)', 'bad-syntax'],
    ['\t10,77,1,2,200,10', 'bad-syntax'],
    ['\xb2,77,1,2,200,10', 'bad-syntax'],
    ['', 'bad-syntax'],
  ])('%j: %s', (argument, expected) => expect(show(readPort(argument))).toBe(expected));
});

describe('227', () => {
  it.each([
    ['Entering Passive Mode (10,77,2,2,157,171).', '4 10.77.2.2 40363'],
    ['Entering Passive Mode. 10,77,2,2,157,171', '4 10.77.2.2 40363'],
    ['=10,77,2,2,157,171', '4 10.77.2.2 40363'],
    ['10,77,2,2,157,171', '4 10.77.2.2 40363'],
    ['Entering Passive Mode [10,77,2,2,157,171]', '4 10.77.2.2 40363'],
    ['Entering Passive Mode (10, 77, 2, 2, 157, 171)', '4 10.77.2.2 40363'],
    ['Passiv-Modus gestartet \xe4 (10,77,2,2,157,171)', '4 10.77.2.2 40363'],
    ['Entering Passive Mode (0,0,0,0,157,171)', '4 0.0.0.0 40363'],
    ['Entering Passive Mode (10,77,2,2,0,0)', 'port-zero'],
    ['Entering Passive Mode (10,77,2,300,157,171)', 'bad-octet'],
    ['Mode2 (10,77,2,2,157,171)', 'bad-syntax'],
    ['Entering Passive Mode (10,77,2,2,157,171,4)', 'bad-syntax'],
    ['Entering Passive Mode (10,77,2,2,157)', 'bad-syntax'],
    ['Entering Passive Mode', 'bad-syntax'],
    ['', 'bad-syntax'],
  ])('%j: %s', (text, expected) => expect(show(readPassive(text))).toBe(expected));
});

describe('EPRT', () => {
  it.each([
    // RFC 2428, 2.
    ['|1|132.235.1.2|6275|', '4 132.235.1.2 6275'],
    ['|2|1080::8:800:200C:417A|5282|', '6 1080::8:800:200c:417a 5282'],
    ['|2|::|5282|', '6 :: 5282'],
    ['|2|::1|5282|', '6 ::1 5282'],
    ['|2|1::|5282|', '6 1:: 5282'],
    ['|2|FD77:0:0:0:0:0:0:2|5282|', '6 fd77::2 5282'],
    ['|2|fd77:0001:002:3:4:5:6:7|5282|', '6 fd77:1:2:3:4:5:6:7 5282'],
    ['|2|64:ff9b::192.0.2.33|5282|', '6 64:ff9b::c000:221 5282'],
    ['|2|1:2:3:4:5:6:10.0.0.1|5282|', '6 1:2:3:4:5:6:a00:1 5282'],
    // Read as what it says; that it is no IPv6 connection's address, the engine sees.
    ['|2|::ffff:10.0.0.1|5282|', '6 10.0.0.1 5282'],
    [' |1|10.0.0.1|80| ', '4 10.0.0.1 80'],
    ['|1|10.0.0.1|05282|', '4 10.0.0.1 5282'],
    ['!1!10.0.0.1!80!', '4 10.0.0.1 80'],
    ['~2~::1~80~', '6 ::1 80'],
    ['$1$10.0.0.1$80$', '4 10.0.0.1 80'],
    ['\\1\\10.0.0.1\\80\\', '4 10.0.0.1 80'],
    ['a1a10.0.0.1a80a', '4 10.0.0.1 80'],
    ['|1|10.0.0.1|0|', 'port-zero'],
    ['|1|10.0.0.1|65536|', 'bad-port'],
    ['|1|10.0.0.1|18446744073709551617|', 'bad-port'],
    ['|1|10.0.0.256|80|', 'bad-octet'],
    ['|0|10.0.0.1|80|', 'bad-family'],
    ['|3|10.0.0.1|80|', 'bad-family'],
    ['|01|10.0.0.1|80|', 'bad-family'],
    ['|x|10.0.0.1|80|', 'bad-syntax'],
    ['||10.0.0.1|80|', 'bad-syntax'],
    ['|||80|', 'bad-syntax'],
    ['|1||80|', 'bad-syntax'],
    ['|1|::1|80|', 'bad-syntax'],
    ['|2|10.0.0.1|80|', 'bad-syntax'],
    ['|1|010.0.0.1|80|', 'bad-syntax'],
    ['|1|10.0.1|80|', 'bad-syntax'],
    ['|2|fe80::1%eth0|80|', 'bad-syntax'],
    ['|2|[::1]|80|', 'bad-syntax'],
    ['|2|1::2::3|80|', 'bad-syntax'],
    ['|2|1:2:3:4:5:6:7|80|', 'bad-syntax'],
    ['|2|12345::|80|', 'bad-syntax'],
    ['|1|10.0.0.1|80', 'bad-syntax'],
    ['|1|10.0.0.1|80|x', 'bad-syntax'],
    ['|1|10.0.0.1|80||', 'bad-syntax'],
    ['|1|10.0.0.1|+80|', 'bad-syntax'],
    ['|1|10.0.0.1||', 'bad-syntax'],
    ['|1!10.0.0.1!80!', 'bad-syntax'],
    ['.1.10.0.0.1.80.', 'bad-syntax'],
    [':2:::1:80:', 'bad-syntax'],
    ['1110.0.0.11801', 'bad-syntax'],
    ['\x01' + '1\x0110.0.0.1\x0180\x01', 'bad-syntax'],
    ['', 'bad-syntax'],
  ])('%j: %s', (argument, expected) => expect(show(readExtendedPort(argument))).toBe(expected));
});

describe('229', () => {
  it.each([
    ['Entering Extended Passive Mode (|||6446|)', '- - 6446'],
    ['Extended Passive mode OK (!!!6446!).', '- - 6446'],
    ['(|||6446|)', '- - 6446'],
    ['Digits 1 2 3 before (|||6446|)', '- - 6446'],
    ['Odd but legal ()))6446))', '- - 6446'],
    ['Family only (|2||6446|)', '6 - 6446'],
    ['With address (|1|10.77.2.2|6446|)', '4 10.77.2.2 6446'],
    ['With address (|2|fd77:2::2|6446|)', '6 fd77:2::2 6446'],
    ['(|||0|)', 'port-zero'],
    ['(|||65536|)', 'bad-port'],
    ['(|7||6446|)', 'bad-family'],
    ['(|1|10.77.2.999|6446|)', 'bad-octet'],
    ['(||10.77.2.2|6446|)', 'bad-syntax'],
    ['(|||6446)', 'bad-syntax'],
    ['(|||6446|', 'bad-syntax'],
    ['(|||6446|77|)', 'bad-syntax'],
    ['(||6446|)', 'bad-syntax'],
    ['(||||)', 'bad-syntax'],
    ['(EPSV) (|||6446|)', 'bad-syntax'],
    ['( |||6446|)', 'bad-syntax'],
    ['(1116446 1)', 'bad-syntax'],
    ['|||6446|', 'bad-syntax'],
    ['(', 'bad-syntax'],
    ['', 'bad-syntax'],
  ])('%j: %s', (text, expected) => expect(show(readExtendedPassive(text))).toBe(expected));
});

it.each([
  [null, null],
  ['1', 4],
  [' 2 ', 6],
  ['3', null],
])('EPSV %j asks for %s', (argument, family) => expect(familyAsked(argument)).toBe(family));

// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { segments, summaries } from '../script.js';

const directory = join(import.meta.dirname, 'captures');
const recording = (name: string): string => readFileSync(join(directory, `${name}.txt`), 'utf8');

/** What each recording announces. */
const expected: Readonly<Record<string, string[]>> = {
  'proftpd-by-hand': [
    'announce original 4 192.0.2.1 1025 alice,-,-',
    'withdraw',
    'announce original 4 10.77.1.2 40000 alice,-,-',
    'announce reply - own 40954 alice,-,-',
    'detail alice,RETR,big.bin',
    'announce reply - own 40920 alice,-,-',
    'announce reply - own 40312 alice,-,-',
  ],
  'proftpd-curl-pasv-ipv4-get': ['announce reply 4 10.77.2.2 40124 alice,-,-', 'detail alice,RETR,down.bin'],
  'proftpd-curl-port-ipv4-list': ['announce original 4 10.77.1.2 21211 alice,-,-', 'detail alice,LIST,-'],
  'proftpd-inetutils-ftp-eprt-ipv4-get': [
    'announce original 4 10.77.1.2 16467 alice,-,-',
    'detail alice,RETR,down.bin',
  ],
  'proftpd-lftp-pasv-ipv4-put': ['announce reply 4 10.77.2.2 40290 alice,-,-', 'detail alice,STOR,up2.bin'],
  'proftpd-tnftp-epsv-ipv6-get': ['announce reply - own 40875 alice,-,-', 'detail alice,RETR,down.bin'],
  'pure-ftpd-by-hand': [
    'announce original 4 192.0.2.1 1025 alice,-,-',
    'withdraw',
    'announce original 4 10.77.1.2 40000 alice,-,-',
    'announce reply - own 40068 alice,-,-',
    'detail alice,RETR,big.bin',
    'announce reply - own 40807 alice,-,-',
    'announce reply - own 40277 alice,-,-',
  ],
  'pure-ftpd-curl-eprt-ipv6-put': ['announce original 6 fd77:1::2 22233 alice,-,-', 'detail alice,STOR,up.bin'],
  'pure-ftpd-curl-tls': ['encrypted'],
  'pure-ftpd-lftp-pasv-ipv4-put': ['announce reply 4 10.77.2.2 40036 alice,-,-', 'detail alice,STOR,up2.bin'],
  'pure-ftpd-tnftp-port-ipv4-list': ['announce original 4 10.77.1.2 48517 alice,-,-', 'detail alice,LIST,-'],
  'vsftpd-by-hand': [
    'announce original 4 192.0.2.1 1025 alice,-,-',
    'withdraw',
    'announce original 4 10.77.1.2 40000 alice,-,-',
    'announce reply - own 40602 alice,-,-',
    'detail alice,RETR,big.bin',
    'announce reply - own 40019 alice,-,-',
    'announce reply - own 40689 alice,-,-',
  ],
  'vsftpd-curl-epsv-ipv4-get': ['announce reply - own 40308 alice,-,-', 'detail alice,RETR,down.bin'],
  'vsftpd-curl-tls': ['encrypted'],
  'vsftpd-inetutils-ftp-pasv-ipv4-list': ['announce reply 4 10.77.2.2 40224 alice,-,-', 'detail alice,LIST,-'],
  'vsftpd-lftp-eprt-ipv6-get': ['announce original 6 fd77:1::2 58483 alice,-,-', 'detail alice,RETR,down.bin'],
  'vsftpd-tnftp-port-ipv4-list': ['announce original 4 10.77.1.2 26659 alice,-,-', 'detail alice,LIST,-'],
};

it('covers every recording', () => {
  const names = readdirSync(directory).flatMap((name) => (name.endsWith('.txt') ? [name.slice(0, -4)] : []));
  expect(Object.keys(expected).sort()).toEqual(names.sort());
});

describe.each(Object.entries(expected))('%s', (name, lines) => {
  it('is understood', () => expect(summaries(segments(recording(name)))).toEqual(lines));
});

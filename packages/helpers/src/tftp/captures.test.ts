// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { segments, summaries } from '../script.js';
import { tftp } from './index.js';

const directory = join(import.meta.dirname, 'captures');
const recording = (name: string): string => readFileSync(join(directory, `${name}.txt`), 'utf8');

/** What each recording announces. */
const expected: Readonly<Record<string, string[]>> = {
  'atftp-get': ['announce original - own own -,RRQ,dir/down.bin'],
  'curl-get': ['announce original - own own -,RRQ,down.bin'],
  'curl-get-ipv6': ['announce original - own own -,RRQ,down.bin'],
  'curl-put': ['announce original - own own -,WRQ,up.bin'],
  'malformed-by-hand': Array<string>(5).fill('refuse original bad-syntax'),
  'reply-by-hand': ['announce original - own own -,RRQ,down.bin'],
  'tftp-hpa-get': ['announce original - own own -,RRQ,down.bin'],
  'tftp-hpa-put': ['announce original - own own -,WRQ,up.bin'],
};

it('covers every recording', () => {
  const names = readdirSync(directory).flatMap((name) => (name.endsWith('.txt') ? [name.slice(0, -4)] : []));
  expect(Object.keys(expected).sort()).toEqual(names.sort());
});

describe.each(Object.entries(expected))('%s', (name, lines) => {
  it('is understood', () => expect(summaries(segments(recording(name)), tftp.create())).toEqual(lines));
});

// SPDX-License-Identifier: Apache-2.0
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatProblem } from '@relatd/document';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from './load.js';

const example = new URL('../../../examples/rtsp.yaml', import.meta.url);
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'relatd-definitions-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** What is wrong with a configuration, without the folder's name. */
async function problemsOf(text: string): Promise<string[]> {
  const path = join(folder, 'relatd.yaml');
  await writeFile(path, text);
  return ((await loadConfig(path)).problems ?? []).map((problem) =>
    formatProblem(problem).replaceAll(`${folder}/`, ''),
  );
}

describe('helpers of one\u2019s own', () => {
  it('are read beside the configuration, with their defaults', async () => {
    await copyFile(example, join(folder, 'rtsp.yaml'));
    const path = join(folder, 'relatd.yaml');
    await writeFile(path, 'helpers: [./rtsp.yaml]\nassignments: [{ helper: rtsp, port: 554 }]\n');
    const { config } = await loadConfig(path);
    expect(config?.helpers.map(({ name }) => name)).toEqual(['rtsp']);
    expect(config?.assignments).toMatchObject([
      { helper: 'rtsp', protocol: 'tcp', limits: { perMaster: 16, expectation: 60_000 }, data: { protocols: ['udp'] } },
    ]);
  });

  it('that are wrong are reported at their place', async () => {
    await copyFile(example, join(folder, 'rtsp.yaml'));
    await writeFile(
      join(folder, 'bad.yaml'),
      [
        'helper: bad',
        'title: Bad',
        'documents: []',
        'transport: tcp',
        'port: 7',
        'limits: { per-master: 1, expectation: 1s }',
        'unmatched: ignore',
        'phases: [one]',
        'original:',
        "  - { rule: a, line: 'a(b' }",
      ].join('\n'),
    );
    await writeFile(join(folder, 'ftp.yaml'), 'helper: ftp\n');
    const use = 'assignments: [{ helper: ftp, port: 21 }]';
    expect(await problemsOf(`helpers: [missing.yaml, bad.yaml, rtsp.yaml, ./rtsp.yaml, 7]\n${use}\n`)).toEqual([
      'relatd.yaml:1:11: helpers[0]: missing.yaml: there is no such file; create it, or name another',
      'bad.yaml:10:22: original[0].line: at character 2 of the pattern, near "a(b": this ( is not closed; add )',
      'relatd.yaml:1:46: helpers[3]: there is a helper "rtsp" already; give this one another name in its file',
      'relatd.yaml:1:59: helpers[4]: 7 is no path; write one like ./rtsp.yaml',
    ]);
    expect((await problemsOf(`helpers: [ftp.yaml]\n${use}\n`)).every((line) => line.startsWith('ftp.yaml:'))).toBe(
      true,
    );
    expect(await problemsOf(`helpers: rtsp.yaml\n${use}\n`)).toEqual([
      'relatd.yaml:1:10: helpers: "rtsp.yaml" stands where a list belongs; write paths like [./rtsp.yaml]',
    ]);
  });
});

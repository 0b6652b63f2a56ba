#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Checks layout, types and habits of everything in git; `--fix` lets the formatters rewrite. A warning is an error.
import { spawn } from 'node:child_process';
import { existsSync, openSync, readSync, closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { root, run } from './setup/run.mjs';

const fix = process.argv.includes('--fix');
const bin = join(root, 'node_modules/.bin');

const files = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  .stdout.split('\0')
  .filter((file) => file !== '' && existsSync(join(root, file)));

/** @param {...string} endings */
const ending = (...endings) => files.filter((file) => endings.some((end) => file.endsWith(end)));

const c = ending('.c', '.h', '.cc').filter((file) => !file.includes('/generated/'));
const addon = ending('.cc').filter((file) => file.startsWith('native/'));

/** Where the headers of Node and node-addon-api are, for clang-tidy. */
function addonIncludes() {
  const api = createRequire(join(root, 'native/package.json')).resolve('node-addon-api/package.json');
  return [join(dirname(process.execPath), '../include/node'), dirname(api)].flatMap((path) => ['-isystem', path]);
}

/** The first 200 bytes have to name the licence. */
function unlicensed() {
  const head = Buffer.alloc(200);
  return ending('.ts', '.tsx', '.css', '.js', '.mjs', '.c', '.h', '.cc', '.gyp', 'Makefile', '.sh').filter((file) => {
    const fd = openSync(join(root, file), 'r');
    const length = readSync(fd, head);
    closeSync(fd);
    return !head.toString('utf8', 0, length).includes('SPDX-License-Identifier: ');
  });
}

/** @type {{ name: string, command: string, args: string[] }[]} */
const steps = [
  { name: 'prettier', command: join(bin, 'prettier'), args: [fix ? '--write' : '--check', '--log-level=warn', '.'] },
  {
    name: 'clang-format',
    command: 'clang-format',
    args: [...(fix ? ['-i'] : ['--dry-run', '-Werror', '--ferror-limit=3']), ...c],
  },
];
if (!fix) {
  steps.push(
    { name: 'types of the scripts', command: join(bin, 'tsc'), args: ['-p', 'tsconfig.tools.json'] },
    { name: 'eslint', command: join(bin, 'eslint'), args: ['--max-warnings=0', '.'] },
  );
  // Two halves, one per process: this is by far the slowest step.
  for (const half of [0, 1]) {
    const some = addon.filter((_, index) => index % 2 === half);
    const flags = ['--', '-std=c++20', '-DNAPI_VERSION=9', '-DNAPI_DISABLE_CPP_EXCEPTIONS', ...addonIncludes()];
    if (some.length > 0)
      steps.push({ name: 'clang-tidy', command: 'clang-tidy', args: ['--quiet', ...some, ...flags] });
  }
}

/** @param {{ name: string, command: string, args: string[] }} step @returns {Promise<boolean>} */
async function check({ name, command, args }) {
  const begin = performance.now();
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  /** @type {string[]} */
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => output.push(text));
  const ok = await new Promise((resolve) => {
    child.on('error', (error) => {
      output.push(error.message);
      resolve(false);
    });
    child.on('close', (status) => resolve(status === 0));
  });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`lint: ${name}: ${ok ? 'ok' : 'FAILED'} (${seconds} s)`);
  if (!ok) console.log(output.join('').trimEnd());
  return ok;
}

let failed = 0;
// Formatters rewrite what others read, so with --fix one after the other.
const lanes = Array.from({ length: fix ? 1 : 2 }, async () => {
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) if (!(await check(step))) failed++;
});
await Promise.all(lanes);

const bare = unlicensed();
if (bare.length > 0) {
  failed++;
  console.log(`lint: without an SPDX line at the top:\n  ${bare.join('\n  ')}`);
}
if (failed > 0) process.exitCode = 1;

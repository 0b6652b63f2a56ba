#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// @ts-check
// `npm test`: build, lint, every vitest project; nothing is taken from a cache. The last line is the total of all
// suites. Arguments go to vitest: `npm test -- packages/config` runs that package's tests only, without lint.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './setup/run.mjs';

const filters = process.argv.slice(2);
const bin = join(root, 'node_modules/.bin');
/** @type {string[]} */
const problems = [];

/** @param {string} name @param {string} command @param {string[]} args @param {Record<string, string>} [env] */
function step(name, command, args, env = {}) {
  console.log(`\n== ${name}`);
  const { status, signal } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) problems.push(`${name} failed (${signal ?? `exit ${status ?? 'unknown'}`})`);
  return status === 0;
}

/** @returns {import('./testReporter.mjs').Report} */
function runTests() {
  const folder = mkdtempSync(join(tmpdir(), 'relatd-test-'));
  const file = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=default', `--reporter=${join(root, 'tools/testReporter.mjs')}`];
    step('tests', join(bin, 'vitest'), ['run', '--allowOnly=false', ...reporters, ...filters], {
      RELATD_TEST_REPORT: file,
    });
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
    problems.push('vitest ended without a report');
    return { passed: 0, failed: [], skipped: [], broken: [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} title @param {string[]} lines */
function list(title, lines) {
  if (lines.length > 0) console.log(`\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

const nx = ['run-many', '-t', 'build', '--skip-nx-cache', '--outputStyle=static'];
step('build', join(bin, 'nx'), nx, { NX_DAEMON: 'false' });
if (filters.length === 0) step('lint', process.execPath, [join(root, 'tools/lint.mjs')]);
const { passed, failed, skipped, broken } = runTests();
if (passed + failed.length + skipped.length === 0) problems.push('no test was found');
else if (passed + failed.length === 0) problems.push('every test was skipped');

list(
  'Skipped',
  skipped.map(({ name, reason }) => `${name}: ${reason}`),
);
list('Failed', failed);
list('Broken', broken);
list('Problems', problems);
// What hides tests counts as failed: a file that does not load, a build or lint that fails. vitest's own exit code counts
// only where nothing else tells why.
const told = failed.length + broken.length > 0;
const hidden = problems.filter((problem) => !(told && problem.startsWith('tests '))).length;
const failures = failed.length + broken.length + hidden;
console.log(`\n${passed} passed, ${failures} failed, ${skipped.length} skipped`);
if (failures > 0) process.exitCode = 1;

#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// @ts-check
// `npm run bench`: what relatd costs, beside netfilter's own FTP helper; docs/benchmarks.md says how to read it. Builds
// tools/bench, whose C programs only the benchmarks need, and runs it.
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { root } from './setup/run.mjs';

/** @param {string} command @param {string[]} args */
function build(command, args) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status === 0) return true;
  const why = error?.message ?? signal ?? `exit code ${status}`;
  process.stderr.write(`bench: building tools/bench failed (${command}: ${why}):\n${stdout}${stderr}`);
  return false;
}

if (
  build('make', ['-s', '-C', 'tools/bench/native']) &&
  build(join(root, 'node_modules/.bin/tsc'), ['-b', 'tools/bench'])
) {
  const program = join(root, 'tools/bench/dist/main.js');
  const child = spawn(process.execPath, [program, ...process.argv.slice(2)], { stdio: 'inherit' });
  // It cleans up first; a terminal has told it already, whoever else has not.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
} else {
  process.exitCode = 1;
}

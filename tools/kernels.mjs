#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Does relatd work on the kernels that Debian has, other than this machine's? Boots each under qemu (TCG: no /dev/kvm is
// needed), with this machine's files below it, read-only, and what was built.
//
//   node tools/kernels.mjs [--kernel VERSION]… [--verbose] [-- COMMAND…]
//
// Without a command: the steps below, a line for each; what the guest printed is in .cache/kernels/logs. Exit codes:
// 0 all well; 1 a step failed (or the command); 2 wrong usage, or this machine lacks something; 3 a kernel was skipped.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages, isDebian } from './setup/debian.mjs';
import { SetupError } from './setup/run.mjs';
import { quoted, runInGuest } from './kernels/guest.mjs';
import { cache, fetchKernel, say, Unavailable } from './kernels/packages.mjs';

/** Debian 12's own, the oldest that relatd supports, and that of its backports, which has tcx. */
const versions = ['6.1', '6.12'];

/**
 * What the tool itself needs, command by package; setup does without, since nothing else does.
 * @type {Readonly<Record<string, string>>}
 */
const needs = {
  'qemu-system-x86': 'qemu-system-x86_64',
  'busybox-static': 'busybox',
  cpio: 'cpio',
  bpftool: 'bpftool',
};

const vitest = 'node node_modules/vitest/vitest.mjs run --config test/kernels/vitest.config.mjs';

/**
 * Each in a guest of its own: what one leaves behind, or breaks, is not the next one's. Patience in seconds: translated
 * code is ten to thirty times slower than the machine, and the machine may have other work.
 */
const steps = [
  { name: 'load', command: 'sh test/kernels/load.sh', patience: 900 },
  { name: 'datapath', command: `${vitest} datapath`, patience: 3600 },
  { name: 'end-to-end', command: `${vitest} kernels`, patience: 1800 },
];

/** @typedef {{ versions: string[], verbose: boolean, command: string | undefined }} Options */

/** @param {string} message @returns {never} */
function fail(message) {
  process.stderr.write(`kernels: ${message}\n`);
  process.exit(2);
}

/** @param {readonly string[]} args @returns {Options} */
function parse(args) {
  const split = args.indexOf('--');
  const own = split < 0 ? [...args] : args.slice(0, split);
  const rest = split < 0 ? [] : args.slice(split + 1);
  /** @type {Options} */
  const options = { versions: [], verbose: false, command: undefined };
  for (let option = own.shift(); option !== undefined; option = own.shift()) {
    const version = option === '--kernel' ? own.shift() : undefined;
    if (version !== undefined && /^\d+\.\d+/.test(version)) options.versions.push(version);
    else if (option === '--verbose') options.verbose = true;
    else fail('usage: kernels.mjs [--kernel VERSION]… [--verbose] [-- COMMAND…], where a version is like 6.1');
  }
  // One argument is a line for the shell, several are the words of a command.
  if (rest.length > 0) options.command = rest.length === 1 ? rest[0] : rest.map(quoted).join(' ');
  if (options.versions.length === 0) options.versions = versions;
  return options;
}

function checkTools() {
  if (process.platform !== 'linux' || process.arch !== 'x64' || process.getuid?.() !== 0)
    fail('needs Linux on amd64, and root');
  if (isDebian()) installPackages({ 'to boot other kernels': Object.keys(needs) });
  const lost = Object.values(needs).filter((command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0);
  if (lost.length > 0) fail(`missing here: ${lost.join(', ')}`);
}

/** The kernel's own complaints and a test run's summary, for the step's line. @param {string} output */
function summary(output) {
  const tests = /^ *Tests +(.*)$/m.exec(output)?.[1];
  const complaints = output.match(/^relatd-guest-kernel: /gm)?.length ?? 0;
  const parts = [...(tests === undefined ? [] : [tests.replace(/ \(\d+\)$/, '')])];
  if (complaints > 0) parts.push(`the kernel complained ${String(complaints)} times, see the log`);
  return parts.map((part) => `; ${part}`).join('');
}

/** @param {number} seconds */
const time = (seconds) => `${seconds.toFixed(0)} s`;

/** @param {import('./kernels/packages.mjs').Kernel} kernel @param {boolean} verbose */
async function runSteps(kernel, verbose) {
  let ok = true;
  for (const { name, command, patience } of steps) {
    const result = await runInGuest(kernel, command, { patience, show: verbose });
    const log = join(cache, 'logs', `${kernel.release}-${name}.log`);
    mkdirSync(join(cache, 'logs'), { recursive: true });
    writeFileSync(log, result.output);
    const passed = result.code === 0;
    const verdict = passed ? 'ok' : `FAILED (${result.complaint || `exit ${String(result.code)}`})`;
    const times = `${time(result.seconds)}, ${time(result.bootSeconds)} of it boot`;
    if (!passed && !verbose) process.stdout.write(`${result.output.trimEnd()}\n`);
    say(`${kernel.release}: ${name}: ${verdict} (${times}${summary(result.output)})${passed ? '' : `, log: ${log}`}`);
    ok &&= passed;
    if (result.complaint === 'interrupted') process.exit(1);
  }
  return ok;
}

/** @param {Options} options */
async function main({ versions, verbose, command }) {
  checkTools();
  let failed = false;
  /** @type {string[]} */
  const skipped = [];
  for (const version of versions) {
    try {
      const kernel = fetchKernel(version);
      if (command === undefined) {
        failed = !(await runSteps(kernel, verbose)) || failed;
        continue;
      }
      say(`${kernel.release}: ${command}`);
      const { code, seconds, complaint } = await runInGuest(kernel, command, { patience: 7200, show: true });
      say(`${kernel.release}: ${complaint || `exit ${String(code)}`} (${time(seconds)})`);
      failed ||= code !== 0;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      skipped.push(version);
      say(`${version}: SKIPPED, nothing was tested: ${error.message}`);
    }
  }
  if (skipped.length > 0) say(`SKIPPED: ${skipped.join(', ')}`);
  process.exitCode = failed ? 1 : skipped.length > 0 ? 3 : 0;
}

try {
  await main(parse(process.argv.slice(2)));
} catch (error) {
  if (error instanceof SetupError) fail(error.message);
  throw error;
}

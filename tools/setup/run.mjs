// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Plain Node, like everything in this folder: it runs before any dependency is installed.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** @param {string} text */
export function say(text) {
  process.stdout.write(`setup: ${text}\n`);
}

/** What set-up could not do, in words for the person who runs it. */
export class SetupError extends Error {}

/** @param {string} text @returns {never} */
export function fail(text) {
  throw new SetupError(text);
}

/**
 * Runs a command to its end and returns what it printed. Its status is -1 when it could not be started.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, show?: boolean }} [options] show: print its output as it comes
 */
export function run(command, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: options.show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status: status ?? -1, stdout: stdout ?? '', stderr: stderr ?? '' };
}

/** The last lines of a failed command, for an error message. @param {{ stdout: string, stderr: string }} result */
export function tail({ stdout, stderr }) {
  return `${stdout}${stderr}`.trimEnd().split('\n').slice(-20).join('\n');
}

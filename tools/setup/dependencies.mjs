// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, root, run, say, tail } from './run.mjs';

/** @typedef {{ version?: string, optional?: boolean, link?: boolean }} Entry */

/** @param {string} file @returns {Record<string, Entry>} */
function lockedPackages(file) {
  return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
}

/** npm's own record of node_modules against the lock: time stamps say nothing after a checkout. */
function isCurrent() {
  if (!existsSync(join(root, 'node_modules/.package-lock.json'))) return false;
  if (!existsSync(join(root, 'node_modules/.bin/relatd'))) return false;
  const installed = lockedPackages('node_modules/.package-lock.json');
  return Object.entries(lockedPackages('package-lock.json')).every(([path, entry]) => {
    if (!path.startsWith('node_modules/')) return true;
    const present = installed[path];
    // Optional packages are those of other platforms.
    if (present === undefined) return entry.optional === true;
    return present.version === entry.version && existsSync(join(root, path));
  });
}

/** Runs `npm ci` when node_modules is not what the lock asks for. Returns whether it had to. */
export function installDependencies() {
  if (isCurrent()) return false;
  say('npm ci');
  const result = run('npm', ['ci', '--no-progress']);
  if (result.status !== 0) fail(`npm ci failed:\n${tail(result)}`);
  return true;
}

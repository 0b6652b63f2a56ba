#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Makes the Debian package of what is built: .cache/package/relatd_<version>_<architecture>.deb. The same sources, built
// by the same tools, give the same bytes: times are those of SOURCE_DATE_EPOCH, or of the last commit.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDeb } from './package/deb.mjs';
import { stage } from './package/stage.mjs';
import { fail, root, run, SetupError } from './setup/run.mjs';

/** Seconds since 1970 that stand for "when this was made". */
function epoch() {
  const given = process.env['SOURCE_DATE_EPOCH'];
  const text = given ?? run('git', ['log', '-1', '--format=%ct']).stdout.trim();
  if (!/^\d+$/.test(text)) fail('when was this made? Not a git checkout: set SOURCE_DATE_EPOCH (seconds since 1970)');
  return Number(text);
}

async function main() {
  if (run('dpkg-deb', ['--version']).status !== 0) fail('dpkg-deb is missing; a package can be made on Debian only');
  const seconds = epoch();
  if (!existsSync(join(root, 'packages/cli/dist/main.js'))) fail('nothing is built: run `npm run build` first');
  const tree = mkdtempSync(join(tmpdir(), 'relatd-package-'));
  try {
    await stage(tree, seconds);
    const folder = join(root, '.cache/package');
    mkdirSync(folder, { recursive: true });
    console.log(buildDeb(tree, folder, seconds));
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`package: ${error.message}\n`);
  process.exitCode = 1;
}

#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// @ts-check
// Makes a fresh Debian 12 machine with Node ready: packages, FTP servers for the tests, npm's dependencies, the build.
// With --no-build all but the build. Says what it installs, and is quick when there is nothing to do.
import { join } from 'node:path';
import { installPackages, isDebian } from './setup/debian.mjs';
import { installDependencies } from './setup/dependencies.mjs';
import { fail, root, run, say, SetupError } from './setup/run.mjs';
import { unpackServers } from './setup/servers.mjs';

const oldestNode = [20, 19];

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [oldMajor = 0, oldMinor = 0] = oldestNode;
  if (major < oldMajor || (major === oldMajor && minor < oldMinor))
    fail(`Node ${process.versions.node} is too old; ${oldestNode.join('.')} or newer is needed`);
}

function build() {
  say('building');
  const nx = join(root, 'node_modules/.bin/nx');
  const result = run(nx, ['run-many', '-t', 'build', '--outputStyle=static'], { env: { NX_DAEMON: 'false' } });
  if (result.status === 0) return;
  const parts = result.stdout.split(/^(?=> nx run )/m);
  const fresh = parts.slice(1).filter((part) => !/^.*\[(local cache|existing outputs)/.test(part));
  fail(`the build failed:\n${fresh.join('')}${result.stderr}`);
}

function setUp() {
  checkNode();
  const begin = performance.now();
  let changed = false;
  if (isDebian()) {
    changed = installPackages();
    changed = unpackServers() || changed;
  } else {
    say('this is not Debian: what tools/setup/debian.mjs lists has to be installed by hand');
  }
  changed = installDependencies() || changed;
  if (!process.argv.includes('--no-build')) build();
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  say(changed ? `done in ${seconds} s` : `nothing to install (${seconds} s)`);
}

try {
  setUp();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`setup: ${error.message}\n`);
  process.exitCode = 1;
}

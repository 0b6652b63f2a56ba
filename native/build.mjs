#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0

// Builds the addon. `node build.mjs --debug` keeps assertions and symbols.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const oldestLibbpf = '1.1.0';

function fail(message) {
  process.stderr.write(`native/build.mjs: ${message}\n`);
  process.exit(1);
}

function libbpfVersion() {
  const { status, stdout, error } = spawnSync('pkg-config', ['--modversion', 'libbpf'], { encoding: 'utf8' });
  if (error) fail('pkg-config is missing; install it: apt-get install pkg-config');
  if (status !== 0) fail('libbpf is missing; install it: apt-get install libbpf-dev');
  return stdout.trim();
}

function older(version, than) {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  for (let i = 0; i < b.length; i++) {
    if ((a[i] ?? 0) !== b[i]) return (a[i] ?? 0) < b[i];
  }
  return false;
}

const version = libbpfVersion();
if (older(version, oldestLibbpf))
  fail(`libbpf ${version} is too old; ${oldestLibbpf} or newer is needed (Debian 12 has 1.1)`);

let gyp;
try {
  const manifest = createRequire(import.meta.url).resolve('node-gyp/package.json');
  gyp = join(dirname(manifest), 'bin', 'node-gyp.js');
} catch {
  fail('node-gyp is missing; run `npm ci` in the top folder first');
}

const args = [gyp, 'configure', 'build', '--silent', `--jobs=${Math.min(2, availableParallelism())}`];
if (process.argv.includes('--debug')) args.push('--debug');
// Without this node-gyp downloads the headers that are already here.
const prefix = dirname(dirname(process.execPath));
if (existsSync(join(prefix, 'include', 'node', 'node_api.h'))) args.push(`--nodedir=${prefix}`);

const { status } = spawnSync(process.execPath, args, { cwd: here, stdio: 'inherit' });
if (status !== 0) fail(`the addon does not build (node-gyp ended with ${status})`);

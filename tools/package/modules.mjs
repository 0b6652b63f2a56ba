// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fail, root } from '../setup/run.mjs';

/**
 * A package of npm that the daemon needs at run time.
 * @typedef {object} Module
 * @property {string} name
 * @property {string} version
 * @property {string} license
 * @property {string} folder where it is
 * @property {string} place where it goes, below the package's folder
 * @property {boolean} own whether it is one of this project
 * @property {readonly string[]} files what belongs to it at run time, below `folder`
 */

/** @typedef {{ name: string, version: string, license?: string, files?: string[], dependencies?: Record<string, string> }} Manifest */

/** The lab is for tests and the demo; it has servers that only set-up brings. */
const leftOut = new Set(['@relatd/lab']);

/** @param {string} folder @returns {Manifest} */
const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** Everything that `@relatd/cli` needs, itself included, in the order of `place`. @returns {Module[]} */
export function runtimeModules() {
  /** @type {Map<string, Module>} */
  const found = new Map();
  /** @param {string} folder @param {string} name @param {boolean} own */
  const placeOf = (folder, name, own) => {
    if (own) return join('node_modules', name);
    // npm keeps a package beside the one of this project that needs it, where others need another version.
    const owner = [...found.values()].find((one) => one.own && folder.startsWith(one.folder + sep));
    return owner === undefined ? relative(root, folder) : join(owner.place, relative(owner.folder, folder));
  };
  /** @param {string} link */
  const visit = (link) => {
    const folder = realpathSync(link);
    if (found.has(folder)) return;
    const { name, version, license = 'unknown', files, dependencies = {} } = manifestOf(folder);
    const own = !relative(root, folder).split(sep).includes('node_modules');
    found.set(folder, {
      name,
      version,
      license,
      folder,
      place: placeOf(folder, name, own),
      own,
      files: filesOf(folder, own ? (files ?? []) : undefined),
    });
    for (const dependency of Object.keys(dependencies)) {
      if (!leftOut.has(dependency)) visit(resolveFrom(folder, dependency));
    }
  };
  visit(join(root, 'node_modules/@relatd/cli'));
  return [...found.values()].sort((a, b) => (a.place < b.place ? -1 : 1));
}

/** Where Node finds a package from a folder. @param {string} from @param {string} name @returns {string} */
function resolveFrom(from, name) {
  for (let at = from; ; at = dirname(at)) {
    const folder = join(at, 'node_modules', name);
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (at === dirname(at)) return fail(`${name}, which ${from} needs, is not installed: run \`npm run setup\``);
  }
}

/** What nobody needs at run time: types, maps, tests. */
const unneeded = [/\.[cm]?ts$/, /\.(map|tsbuildinfo)$/, /\.test\./, /(^|\/)__snapshots__\//];

/** The addon has a place of its own. */
const addon = /\.node$/;

/** What Node reads of other people's packages. Their licences go into the copyright file. */
const readByNode = /\.([cm]?js|json|wasm)$/;
const forReaders = /^(test|tests|__tests__|docs?|examples?|benchmarks?|scripts|bin)\/|^bin\.|(^|\/)\./;

/** @param {string} folder @param {string[] | undefined} listed `files` of its package.json, for those of this project */
function filesOf(folder, listed) {
  const wanted = listed?.map(patternOf);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((file) => {
      if (/(^|\/)node_modules\//.test(file)) return false;
      if (file === 'package.json') return true;
      if (unneeded.some((pattern) => pattern.test(file))) return false;
      if (wanted === undefined) return readByNode.test(file) && !forReaders.test(file);
      return !addon.test(file) && wanted.some((pattern) => pattern.test(file));
    })
    .sort();
}

/** An entry of `files`: a folder, or a pattern with stars. @param {string} entry */
function patternOf(entry) {
  const parts = entry.split(/(\*\*\/|\*)/).map((part) => {
    if (part === '**/') return '(.*/)?';
    return part === '*' ? '[^/]*' : part.replaceAll(/[.+()]/g, String.raw`\$&`);
  });
  return new RegExp(`^${parts.join('')}(/|$)`);
}

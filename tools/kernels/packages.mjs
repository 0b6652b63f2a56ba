// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, tail } from '../setup/run.mjs';

/** Kernels that this machine cannot have: nothing fitting is in Debian, or there is no way to it. */
export class Unavailable extends Error {}

/**
 * A kernel's files, unpacked and not installed.
 * @typedef {{ release: string, image: string, modules: string }} Kernel
 */

/** @param {string} text */
export function say(text) {
  process.stdout.write(`kernels: ${text}\n`);
}

export const cache = join(root, '.cache', 'kernels');
const unpacked = join(cache, 'unpacked');
const apt = join(cache, 'apt');
const stamp = join(apt, 'updated');
/** Milliseconds after which package lists are fetched again: kernels are updated every few weeks. */
const listAge = 86_400_000;

/** Sources of this tool alone: the machine's own lists, and what it would install, stay as they are. */
const options = [
  ...['-o', `Dir::Etc::sourcelist=${join(apt, 'kernels.sources')}`, '-o', 'Dir::Etc::sourceparts=-'],
  ...['-o', `Dir::State::lists=${join(apt, 'lists')}`, '-o', `Dir::Cache=${join(apt, 'cache')}`],
  // Kernels that are installed here are not for us to see, and apt's own user may not enter a private folder.
  ...['-o', 'Dir::State::status=/dev/null', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Languages=none'],
];

/** The image, and those modules that guests without hardware have a use for. */
const kept = [
  /^\.\/boot\/vmlinuz-/,
  /\/lib\/modules\/[^/]+\/modules\./,
  /\/lib\/modules\/[^/]+\/kernel\/(arch|crypto|fs|lib|net|drivers\/virtio)\//,
  /\/lib\/modules\/[^/]+\/kernel\/drivers\/net\/([^/]+|(bonding|ipvlan|macsec|team|vxlan|wireguard)\/.*)$/,
];

/** The mirrors that this machine uses, or Debian's. */
function sources() {
  const { stdout } = run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  const known = stdout.split('\n').map((uri) => uri.replace(/\/$/, ''));
  /** @param {string} name @param {string} suites */
  const stanza = (name, suites) => {
    const uri = known.find((one) => one.endsWith(`/${name}`)) ?? `http://deb.debian.org/${name}`;
    const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
    const lines = ['Types: deb', `URIs: ${uri}`, `Suites: ${suites}`, 'Components: main', 'Architectures: amd64'];
    return [...lines, ...(existsSync(keys) ? [`Signed-By: ${keys}`] : []), ''].join('\n');
  };
  return `${stanza('debian', 'bookworm bookworm-backports')}\n${stanza('debian-security', 'bookworm-security')}`;
}

/** What went wrong with the lists; empty: they are there and new. @type {string | undefined} */
let listsProblem;

/** Fetches the package lists, once per run. @param {boolean} force although they are not old */
function refreshLists(force) {
  const fresh = existsSync(stamp) && Date.now() - statSync(stamp).mtimeMs < listAge;
  if (listsProblem !== undefined || (fresh && !force)) return;
  for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, folder), { recursive: true });
  writeFileSync(join(apt, 'kernels.sources'), sources());
  say('package lists of bookworm, bookworm-security and bookworm-backports, into .cache/kernels');
  const result = run('apt-get', ['-q', ...options, '-o', 'APT::Update::Error-Mode=any', 'update']);
  listsProblem = result.status === 0 ? '' : `apt-get update failed:\n${tail(result)}`;
  if (result.status === 0) writeFileSync(stamp, '');
}

/** Newest first: 6.12.90+deb12.1 before 6.12.90+deb12. @param {string} a @param {string} b */
function byVersion(a, b) {
  /** @param {string} name */
  const numbers = (name) => (name.replace(/-amd64$/, '').match(/\d+/g) ?? []).map(Number);
  const one = numbers(a);
  const other = numbers(b);
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    const difference = (other[at] ?? -1) - (one[at] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Those of these packages that hold a kernel of this version as Debian runs it, newest first.
 * @param {readonly string[]} names @param {string} version `6.1` is not `6.12`
 */
function fitting(names, version) {
  const begin = `linux-image-${version}`;
  return names
    .filter((name) => /^linux-image-[\d.]+-\d+-amd64$|^linux-image-[\d.]+\+deb[\d.]+-amd64$/.test(name))
    .filter((name) => name.startsWith(begin) && /^[^\d]/.test(name.slice(begin.length)))
    .sort(byVersion);
}

/** @param {string} command @param {readonly string[]} args @param {string} cwd */
function must(command, args, cwd) {
  const result = run(command, args, { cwd });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${tail(result)}`);
  return result.stdout;
}

/** Downloads a package and unpacks what a guest needs of it; appears complete or not at all. @param {string} name */
function unpack(name) {
  say(`unpacking into .cache/kernels, without installing: ${name}`);
  mkdirSync(unpacked, { recursive: true });
  const folder = mkdtempSync(join(cache, 'download-'));
  try {
    const result = run('apt-get', ['-q', ...options, 'download', name], { cwd: folder });
    const deb = readdirSync(folder).find((file) => file.endsWith('.deb'));
    if (result.status !== 0 || deb === undefined)
      throw new Unavailable(`apt-get download ${name} failed:\n${tail(result)}`);
    const files = must('sh', ['-c', 'dpkg-deb --fsys-tarfile "$0" | tar -t', deb], folder)
      .split('\n')
      .filter((file) => !file.endsWith('/') && kept.some((pattern) => pattern.test(file)));
    writeFileSync(join(folder, 'files'), files.map((file) => `${file}\n`).join(''));
    const tree = join(folder, 'tree');
    mkdirSync(tree);
    must('sh', ['-c', 'dpkg-deb --fsys-tarfile "$0" | tar -x -C tree -T files', deb], folder);
    if (existsSync(join(tree, 'usr/lib'))) renameSync(join(tree, 'usr/lib'), join(tree, 'lib'));
    // Busybox reads modules as they are.
    must('sh', ['-c', "find lib -name '*.ko.xz' -exec busybox unxz {} +"], tree);
    const [release = ''] = readdirSync(join(tree, 'lib/modules'));
    must('busybox', ['depmod', '-b', tree, release], tree);
    renameSync(tree, join(unpacked, name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} name @returns {Kernel} */
function describe(name) {
  const tree = join(unpacked, name);
  const [release = ''] = readdirSync(join(tree, 'lib/modules'));
  return { release, image: join(tree, 'boot', `vmlinuz-${release}`), modules: join(tree, 'lib/modules', release) };
}

/** @param {string} version @returns {Kernel} */
function fetchNewest(version) {
  const known = run('apt-cache', [...options, 'pkgnames', 'linux-image-']).stdout.split('\n');
  const [name] = fitting(known, version);
  if (name === undefined) throw new Unavailable(listsProblem || `Debian 12 has no kernel ${version} for amd64`);
  if (!existsSync(join(unpacked, name))) unpack(name);
  return describe(name);
}

/**
 * Debian's newest kernel of a version, fetched when it is not there yet. Without a way to the mirror the newest that was
 * fetched earlier, which is said.
 * @param {string} version `6.12`, or more exactly `6.12.90`
 * @throws {Unavailable}
 */
export function fetchKernel(version) {
  refreshLists(false);
  try {
    return fetchNewest(version);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
  }
  // Old lists name versions that the mirror no longer has.
  refreshLists(true);
  try {
    return fetchNewest(version);
  } catch (error) {
    const [older] = fitting(existsSync(unpacked) ? readdirSync(unpacked) : [], version);
    if (!(error instanceof Unavailable) || older === undefined) throw error;
    say(`${error.message}\ngoing on with what was fetched earlier: ${older}`);
    return describe(older);
  }
}

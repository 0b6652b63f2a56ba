// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasLists, refreshLists } from './debian.mjs';
import { fail, root, run, say, tail } from './run.mjs';

/**
 * What the end-to-end tests take from packages that are not installed. Each is unpacked into `.cache/debian/<package>/`; no
 * maintainer script runs, so none of the servers is started. `*` stands for the machine's folder in `usr/lib`.
 *
 * - Debian lets only one FTP server be installed.
 * - Installed, the TFTP servers and ngircd begin to serve the machine that is set up.
 * - Installed, prometheus begins to serve; only its `promtool` is wanted.
 * - GStreamer's plugins depend on a hundred packages of sound and video; the lab loads the few that RTSP needs.
 */
const servers = {
  vsftpd: 'usr/sbin/vsftpd',
  'proftpd-core': 'usr/sbin/proftpd',
  'pure-ftpd': 'usr/sbin/pure-ftpd',
  'pure-ftpd-common': 'usr/sbin/pure-ftpd-wrapper',
  'tftpd-hpa': 'usr/sbin/in.tftpd',
  atftpd: 'usr/sbin/atftpd',
  ngircd: 'usr/sbin/ngircd',
  prometheus: 'usr/bin/promtool',
  'gstreamer1.0-plugins-good': 'usr/lib/*/gstreamer-1.0/libgstrtsp.so',
  'libgstrtspserver-1.0-0': 'usr/lib/*/libgstrtspserver-1.0.so.0',
};

const cache = join(root, '.cache', 'debian');

/** Path of a file of {@link servers} below a folder, or undefined. @param {string} place @param {string} file */
function find(place, file) {
  const [before = '', after] = file.split('*/');
  const folder = join(place, before);
  if (after === undefined) return existsSync(folder) ? folder : undefined;
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder)
    .map((entry) => join(folder, entry, after))
    .find((path) => existsSync(path));
}

/** @param {readonly string[]} names @param {string} folder */
function download(names, folder) {
  // apt's own user may not enter a private folder.
  return run('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', ...names], { cwd: folder });
}

/** @param {string} file */
function checkLibraries(file) {
  const { stdout } = run('ldd', [file]);
  const lost = stdout.split('\n').filter((line) => line.includes('not found'));
  if (lost.length > 0) fail(`${file} lacks libraries:\n${lost.join('\n')}`);
}

/** Unpacks the servers that are not there yet. Returns whether any was missing. */
export function unpackServers() {
  const wanted = Object.entries(servers).filter(([name, file]) => find(join(cache, name), file) === undefined);
  if (wanted.length === 0) return false;
  const names = wanted.map(([name]) => name);
  const isRoot = process.getuid?.() === 0;
  if (!hasLists()) {
    if (!isRoot) fail('apt has no package lists; run `apt-get update` as root, then run this again');
    refreshLists();
  }
  say(`unpacking into .cache/debian, without installing: ${names.join(' ')}`);
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, '.download-'));
  try {
    let result = download(names, folder);
    if (result.status !== 0 && isRoot) {
      // Old lists name versions that the mirror no longer has.
      refreshLists();
      result = download(names, folder);
    }
    if (result.status !== 0) fail(`apt-get download ${names.join(' ')} failed:\n${tail(result)}`);
    for (const [name, file] of wanted) {
      const archive = readdirSync(folder).find((entry) => entry.startsWith(`${name}_`));
      if (archive === undefined) fail(`apt-get download did not bring ${name}`);
      const fresh = join(folder, name);
      const unpacked = run('dpkg', ['-x', join(folder, archive), fresh]);
      if (unpacked.status !== 0) fail(`dpkg -x ${archive} failed:\n${tail(unpacked)}`);
      const found = find(fresh, file) ?? fail(`${archive} has no ${file}`);
      if (!file.endsWith('-wrapper')) checkLibraries(found);
      // In one step, so that an interrupted set-up leaves no half of a server behind.
      const place = join(cache, name);
      rmSync(place, { recursive: true, force: true });
      mkdirSync(dirname(place), { recursive: true });
      renameSync(fresh, place);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return true;
}

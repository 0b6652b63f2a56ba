// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail, root, run, tail } from '../setup/run.mjs';

/** @typedef {import('./modules.mjs').Module} Module */

/** @type {{ version: string, engines: { node: string } }} */
const { version, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const maintainer = 'relatd developers <relatd@localhost>';

/** The first stanza of a binary package. @param {string} tree @param {string} addon its place below `tree` */
export function control(tree, addon) {
  const node = `nodejs (${engines.node.replace('>=', '>= ')})`;
  // kmod, iproute2 and the like are no needs of the daemon: it speaks netlink itself.
  const depends = [node, ...libraries(join(tree, addon)), 'systemd | systemd-standalone-sysusers'];
  const kib = run('du', ['-sk', '--apparent-size', '--exclude=DEBIAN', tree]).stdout.split('\t')[0] ?? '';
  return [
    'Package: relatd',
    `Version: ${version}`,
    `Architecture: ${run('dpkg', ['--print-architecture']).stdout.trim()}`,
    `Maintainer: ${maintainer}`,
    `Installed-Size: ${kib}`,
    `Depends: ${depends.join(', ')}`,
    'Recommends: nftables | iptables',
    'Section: net',
    'Priority: optional',
    'Description: connection-tracking helpers that run on eBPF',
    ' relatd watches control connections (FTP, TFTP, IRC, and what you declare',
    ' yourself) on the ports that you name, learns which data connection each side',
    ' announces, and marks that connection as RELATED from its first packet on.',
    ' Firewall rules accept it by that mark; no range of ports and no kernel module',
    ' is needed.',
    ' .',
    ' It needs Linux 6.1 or newer with BPF and BTF. Nothing is watched until',
    ' /etc/relatd/relatd.yaml says so.',
    '',
  ].join('\n');
}

/** What the addon is linked with, as Debian names it, oldest versions included. @param {string} file */
function libraries(file) {
  const folder = mkdtempSync(join(tmpdir(), 'relatd-libraries-'));
  try {
    // It insists on a source package around it.
    mkdirSync(join(folder, 'debian'));
    writeFileSync(join(folder, 'debian/control'), 'Source: relatd\n\nPackage: relatd\nArchitecture: any\n');
    const result = run('dpkg-shlibdeps', ['-O', '-e', file], { cwd: folder });
    const [, found] = /^shlibs:Depends=(.*)$/m.exec(result.stdout) ?? [];
    if (result.status !== 0 || found === undefined)
      return fail(`dpkg-shlibdeps (of dpkg-dev) failed:\n${tail(result)}`);
    return found.split(', ');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {number} seconds */
export function changelog(seconds) {
  const date = new Date(seconds * 1000).toUTCString().replace('GMT', '+0000');
  return `relatd (${version}) unstable; urgency=medium\n\n  * Built from the project's sources.\n\n -- ${maintainer}  ${date}\n`;
}

/** The licences of everything in the package. @param {readonly Module[]} modules */
export function copyright(modules) {
  const foreign = modules.filter(({ own }) => !own);
  return [
    'relatd is licensed under the Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0',
    'Its BPF object is licensed under GPL-2.0-only (/usr/share/common-licenses/GPL-2) OR BSD-2-Clause:',
    '',
    indented(readFileSync(join(root, 'LICENSES/BSD-2-Clause.txt'), 'utf8')),
    '',
    'Below /usr/lib/relatd/node_modules are packages of others, each under its own licence:',
    ...foreign.flatMap((module) => ['', `${module.name} ${module.version}: ${module.license}`, ...licenceOf(module)]),
    '',
  ].join('\n');
}

/** Debian has one copy of the long ones. @param {Module} module */
function licenceOf({ folder, license }) {
  if (license === 'Apache-2.0') return ['', '  /usr/share/common-licenses/Apache-2.0'];
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  return file === undefined ? [] : ['', indented(readFileSync(join(folder, file), 'utf8'))];
}

/** @param {string} text */
function indented(text) {
  return text
    .trim()
    .replaceAll('\r', '')
    .replaceAll(/^(?=.)/gm, '  ');
}

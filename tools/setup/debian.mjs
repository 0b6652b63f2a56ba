// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { existsSync, readdirSync } from 'node:fs';
import { fail, run, say, tail } from './run.mjs';

/** What building, testing and the demo take from Debian. */
const usual = {
  'to build': [
    'clang',
    'dpkg-dev',
    'g++',
    'libbpf-dev',
    'libelf-dev',
    'llvm',
    'make',
    'pkg-config',
    'python3',
    'zlib1g-dev',
  ],
  'to check': ['clang-format', 'clang-tidy', 'git'],
  'to test': [
    'atftp',
    'bpftool',
    'bsdutils',
    'chromium',
    'conntrack',
    'curl',
    'debootstrap',
    'ethtool',
    'fish',
    'gstreamer1.0-tools',
    'inetutils-ftp',
    'iproute2',
    'iptables',
    'irssi',
    'lftp',
    'mandoc',
    'netbase',
    'nftables',
    'openssl',
    'procps',
    'systemd-container',
    'tcpdump',
    'tftp-hpa',
    'tmux',
    'tnftp',
    'util-linux',
    'weechat-headless',
    'weechat-plugins',
    'wireshark-common',
    'zsh',
  ],
  // The servers themselves conflict with each other: servers.mjs unpacks them side by side.
  'for the servers': [
    'libacl1',
    'libcap2',
    'libcrypt1',
    'libgnutls30',
    'libgstreamer-plugins-base1.0-0',
    'libhiredis0.14',
    'libident',
    'libidn2-0',
    'libmemcached11',
    'libmemcachedutil2',
    'libncursesw6',
    'libpam-modules',
    'libpam0g',
    'libpcre2-8-0',
    'libpcre2-posix3',
    'libsodium23',
    'libssl3',
    'libwrap0',
  ],
};

const quiet = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };

/** Whether this is a system with Debian's package tools. */
export function isDebian() {
  return existsSync('/usr/bin/dpkg-query') && existsSync('/usr/bin/apt-get');
}

/** @param {readonly string[]} names */
function missing(names) {
  const { stdout } = run('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...names]);
  const installed = new Set(
    stdout
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return names.filter((name) => !installed.has(name));
}

let listsAreFresh = false;

/** Fetches apt's package lists, once per run. */
export function refreshLists() {
  if (listsAreFresh) return;
  say('apt-get update');
  const result = run('apt-get', ['-q', 'update'], { env: quiet });
  if (result.status !== 0) fail(`apt-get update failed:\n${tail(result)}`);
  listsAreFresh = true;
}

/** Whether apt knows which packages exist: a fresh container image does not. */
export function hasLists() {
  try {
    return readdirSync('/var/lib/apt/lists').some((name) => name.includes('_Packages'));
  } catch {
    return false;
  }
}

/**
 * Installs what is missing, or says how to when this is not root. Returns whether anything was missing.
 * @param {Readonly<Record<string, readonly string[]>>} packages by what they are for
 */
export function installPackages(packages = usual) {
  const wanted = missing(Object.values(packages).flat());
  if (wanted.length === 0) return false;
  const command = `apt-get install -y --no-install-recommends ${wanted.join(' ')}`;
  if (process.getuid?.() !== 0)
    fail(`Debian packages are missing; install them as root, then run this again:\n  ${command}`);
  refreshLists();
  for (const [purpose, names] of Object.entries(packages)) {
    const some = names.filter((name) => wanted.includes(name));
    if (some.length > 0) say(`installing ${purpose}: ${some.join(' ')}`);
  }
  const args = ['-q', 'install', '-y', '--no-install-recommends', ...wanted];
  const result = run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], { env: quiet });
  if (result.status !== 0) fail(`${command}\nfailed:\n${tail(result)}`);
  const still = missing(wanted);
  if (still.length > 0) fail(`apt-get ended well, but these are not installed: ${still.join(' ')}`);
  return true;
}

// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Namespace, removeOnDeath } from '@relatd/lab';

const cache = fileURLToPath(new URL('../../.cache/debian-tree/', import.meta.url));
const here = Namespace.here;

/** What is in it beside the least that debootstrap makes. */
const packages = ['iproute2', 'iptables', 'nftables', 'systemd-sysv'];

/**
 * A clean Debian of this machine's release: the least that debootstrap makes, what is listed above, and this process's Node as
 * the package `nodejs`. Made once and kept in `.cache/debian-tree`; nobody writes to it. Returns where it is, or why it
 * cannot be made (no mirror to be reached, for instance).
 */
export async function debianTree(): Promise<{ path: string } | { missing: string }> {
  const release = (await here.run('sh', ['-c', '. /etc/os-release && echo $VERSION_CODENAME'])).trim();
  const path = join(cache, [release, ...packages, 'node', process.versions.node].join('-'));
  if (existsSync(path)) return { path };
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, '.making-'));
  const withdraw = removeOnDeath(work);
  try {
    const fresh = join(work, 'tree');
    const args = ['--variant=minbase', `--include=${packages.join(',')}`, release, fresh, await mirror(release)];
    const made = await here.exec('debootstrap', args, { timeoutMs: 300_000 });
    if (made.code !== 0) return { missing: `debootstrap failed: ${made.stdout.trim().split('\n').at(-1) ?? ''}` };
    const node = await nodePackage(work);
    await copyFile(node, join(fresh, 'nodejs.deb'));
    await here.run('chroot', [fresh, 'dpkg', '-i', '/nodejs.deb'], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
    await rm(join(fresh, 'nodejs.deb'));
    await here.run('chroot', [fresh, 'apt-get', 'clean']);
    await rename(fresh, path);
    return { path };
  } finally {
    withdraw();
    await rm(work, { recursive: true, force: true });
  }
}

/** The archive that apt of this machine uses. */
async function mirror(release: string): Promise<string> {
  const wanted = ['Created-By: Packages', `Codename: ${release}`, 'Component: main', 'Origin: Debian'];
  const uris = await here.run('apt-get', ['indextargets', '--format', '$(REPO_URI)', ...wanted]);
  return uris.split('\n')[0] || 'http://deb.debian.org/debian';
}

/** Debian 12's own Node is too old. This one is what set-up of the machine has brought. */
async function nodePackage(work: string): Promise<string> {
  const tree = join(work, 'nodejs');
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(join(tree, 'usr/bin'), { recursive: true });
  await copyFile(process.execPath, join(tree, 'usr/bin/node'));
  const architecture = (await here.run('dpkg', ['--print-architecture'])).trim();
  const fields = {
    Package: 'nodejs',
    Version: process.versions.node,
    Architecture: architecture,
    Maintainer: 'nobody <nobody@localhost>',
    Depends: 'libc6, libstdc++6',
    Description: 'Node of the machine that runs the tests',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  await writeFile(join(tree, 'DEBIAN/control'), lines.join(''));
  const deb = join(dirname(tree), 'nodejs.deb');
  await here.run('dpkg-deb', ['-Znone', '--root-owner-group', '--build', tree, deb]);
  return deb;
}

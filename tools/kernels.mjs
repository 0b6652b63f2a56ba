#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// @ts-check

// Runs a command on another kernel than this machine's: a Debian kernel image under qemu (TCG, so no /dev/kvm is
// needed), with this machine's files below it, read-only. Without a command: does the datapath load there?
//
//   node tools/kernels.mjs [--release bookworm-package] [-- command …]
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const cache = join(root, '.cache/kernels');
const tools = { 'qemu-system-x86_64': 'qemu-system-x86', busybox: 'busybox-static', cpio: 'cpio', bpftool: 'bpftool' };
/** What the guest needs to see the host's files, and what tests make links of. */
const modules = [
  'virtio_pci',
  '9pnet_virtio',
  '9p',
  'overlay',
  'veth',
  'dummy',
  'tun',
  'bridge',
  '8021q',
  'sch_ingress',
  'cls_bpf',
  'crc32c_generic',
  'nf_conntrack',
];
/** Seconds a guest may take: translated code is ten to thirty times slower than the machine. */
const patience = 1500;

/** @param {string} message @returns {never} */
function fail(message) {
  process.stderr.write(`kernels: ${message}\n`);
  process.exit(1);
}

/** @param {string} command @param {readonly string[]} args @param {import('node:child_process').SpawnSyncOptions} [options] */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (result.status !== 0) fail(`${command} ${args.join(' ')} failed\n${String(result.stderr ?? result.error)}`);
  return String(result.stdout);
}

function checkTools() {
  const missing = Object.entries(tools)
    .filter(([command]) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0)
    .map(([, name]) => name);
  if (missing.length > 0)
    fail(`missing here; install with: apt-get install --no-install-recommends ${missing.join(' ')}`);
}

/** The newest kernel package of this Debian release: its name holds the ABI, which changes with updates. */
function newestPackage() {
  const line = run('apt-cache', ['depends', 'linux-image-amd64']).match(/Depends: (linux-image-[\w.+-]+)/);
  return line?.[1] ?? fail('apt knows no linux-image-amd64; run apt-get update');
}

/** Unpacks a kernel package below .cache/kernels. @param {string} name */
function kernelFiles(name) {
  const tree = join(cache, name);
  if (!existsSync(join(tree, 'complete'))) {
    rmSync(tree, { recursive: true, force: true });
    mkdirSync(tree, { recursive: true });
    run('apt-get', ['-q', 'download', name], { cwd: tree });
    const deb = readdirSync(tree).find((file) => file.endsWith('.deb')) ?? fail(`apt-get downloaded no ${name}`);
    run('dpkg-deb', ['-x', deb, '.'], { cwd: tree });
    rmSync(join(tree, deb));
    const [release] = readdirSync(join(tree, 'lib/modules'));
    run('busybox', ['depmod', '-b', tree, release ?? '']);
    writeFileSync(join(tree, 'complete'), '');
  }
  const [release] = readdirSync(join(tree, 'lib/modules'));
  return { image: join(tree, `boot/vmlinuz-${release}`), modules: join(tree, 'lib/modules', release ?? ''), release };
}

/**
 * Busybox, the modules with what they depend on, and the command.
 * @param {ReturnType<typeof kernelFiles>} kernel @param {string} command @param {string} work
 */
function initramfs(kernel, command, work) {
  const tree = join(work, 'initramfs');
  const place = join(tree, 'lib/modules', kernel.release ?? '');
  mkdirSync(join(tree, 'bin'), { recursive: true });
  cpSync(run('sh', ['-c', 'command -v busybox']).trim(), join(tree, 'bin/busybox'));
  cpSync(join(root, 'test/kernels/init'), join(tree, 'init'));
  const lines = readFileSync(join(kernel.modules, 'modules.dep'), 'utf8').split('\n');
  const wanted = lines.filter((line) => modules.includes(basename(line.split(':')[0] ?? '', '.ko')));
  for (const file of new Set(wanted.flatMap((line) => line.replace(':', '').trim().split(' ')))) {
    cpSync(join(kernel.modules, file), join(place, file));
  }
  writeFileSync(join(place, 'modules.dep'), `${wanted.join('\n')}\n`);
  writeFileSync(join(tree, 'modules'), `${modules.join('\n')}\n`);
  writeFileSync(join(tree, 'project'), root);
  writeFileSync(join(tree, 'command'), `export CI=1; ${command}`);
  writeFileSync(join(tree, 'path'), `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`);
  run('sh', ['-c', 'chmod 755 init bin/busybox && find . | cpio -o -H newc --quiet > ../initramfs.cpio'], {
    cwd: tree,
  });
  return join(work, 'initramfs.cpio');
}

/** @param {ReturnType<typeof kernelFiles>} kernel @param {string} disk @returns {Promise<number>} */
function boot(kernel, disk) {
  const console_ = 'console=ttyS0 quiet panic=-1 rdinit=/init mitigations=off';
  const guest = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '2048', '-display', 'none', '-no-reboot'],
      ...['-nodefaults', '-serial', 'stdio', '-kernel', kernel.image, '-initrd', disk, '-append', console_],
      ...['-fsdev', 'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap'],
      ...['-device', 'virtio-9p-pci,fsdev=host,mount_tag=host'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const timer = setTimeout(() => {
    process.stderr.write(`kernels: the guest did not end within ${String(patience)} s\n`);
    guest.kill('SIGKILL');
  }, patience * 1000);
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => guest.kill('SIGKILL'));
  let tail = '';
  return new Promise((resolve) => {
    guest.stdout.on('data', (/** @type {Buffer} */ chunk) => {
      process.stdout.write(chunk);
      tail = (tail + chunk.toString('latin1')).slice(-4096);
    });
    guest.on('close', () => {
      clearTimeout(timer);
      resolve(Number(/relatd-guest-exit: (\d+)/.exec(tail)?.[1] ?? 1));
    });
  });
}

const args = process.argv.slice(2);
const split = args.indexOf('--');
const own = split < 0 ? args : args.slice(0, split);
const name =
  own[0] === '--release'
    ? own[1]
    : own.length > 0
      ? fail('usage: kernels.mjs [--release PACKAGE] [-- COMMAND]')
      : undefined;
const command = split < 0 ? 'sh test/kernels/load.sh' : args.slice(split + 1).join(' ');
checkTools();
mkdirSync(cache, { recursive: true });
const kernel = kernelFiles(name ?? newestPackage());
const work = mkdtempSync(join(cache, 'guest-'));
try {
  process.stdout.write(`kernels: ${kernel.release}: ${command}\n`);
  process.exitCode = await boot(kernel, initramfs(kernel, command, work));
} finally {
  rmSync(work, { recursive: true, force: true });
}

// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root, run, tail } from '../setup/run.mjs';
import { cache } from './packages.mjs';

/** @typedef {import('./packages.mjs').Kernel} Kernel */

/**
 * What came of a command in a guest.
 * @typedef {object} Outcome
 * @property {number | null} code the command's exit code; null: the guest did not come to its end
 * @property {string} output everything on the guest's console
 * @property {number} seconds from the start of qemu to its end
 * @property {number} bootSeconds until the command began; 0: it did not
 * @property {string} complaint why there is no code; empty otherwise
 */

/** A guest's: as many as there are, but no more than its memory is enough for. */
const cpus = Math.min(availableParallelism(), 4);

/** What it takes to see the machine's files. All other modules the guest's kernel finds there, when it wants them. */
const early = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];

/** One word for a shell. @param {string} text */
export function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {string} command @param {readonly string[]} args @param {string} cwd */
function must(command, args, cwd) {
  const result = run(command, args, { cwd });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${tail(result)}`);
  return result.stdout;
}

/**
 * Busybox, the early modules with what they depend on, and the command.
 * @param {Kernel} kernel @param {string} command @param {string} work
 */
function initramfs(kernel, command, work) {
  const tree = join(work, 'initramfs');
  const place = join(tree, 'lib/modules', kernel.release);
  mkdirSync(join(tree, 'bin'), { recursive: true });
  mkdirSync(place, { recursive: true });
  cpSync(must('sh', ['-c', 'command -v busybox'], root).trim(), join(tree, 'bin/busybox'));
  cpSync(join(root, 'test/kernels/init'), join(tree, 'init'));
  /** @param {string} file */
  const lines = (file) => readFileSync(join(kernel.modules, file), 'utf8').split('\n');
  /** @param {string} line */
  const name = (line) => basename(line.split(':')[0] ?? '', '.ko');
  const builtin = new Set(lines('modules.builtin').map(name));
  const modules = early.filter((one) => !builtin.has(one));
  const wanted = lines('modules.dep').filter((line) => modules.includes(name(line)));
  for (const file of new Set(wanted.flatMap((line) => line.replace(':', '').trim().split(' '))))
    cpSync(join(kernel.modules, file), join(place, file));
  writeFileSync(join(place, 'modules.dep'), `${wanted.join('\n')}\n`);
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const settings = { early: modules.join(' '), project: root, modules: kernel.modules, path, command };
  const text = Object.entries(settings).map(([name, value]) => `${name}=${quoted(value)}\n`);
  writeFileSync(join(tree, 'settings'), text.join(''));
  must('sh', ['-c', 'chmod 755 init bin/busybox && find . | cpio -o -H newc --quiet > ../initramfs.cpio'], tree);
  return join(work, 'initramfs.cpio');
}

/**
 * Boots a kernel under qemu and runs a shell command in the project's folder. The guest sees the machine's files, read-only;
 * what it writes goes with it. Translated code (TCG), so that nothing but qemu is needed.
 * @param {Kernel} kernel
 * @param {string} command
 * @param {{ patience: number, show: boolean }} options patience: seconds; show: print the console as it comes
 * @returns {Promise<Outcome>}
 */
export async function runInGuest(kernel, command, { patience, show }) {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'guest-'));
  try {
    return await boot(kernel, initramfs(kernel, command, work), patience, show);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** @param {Kernel} kernel @param {string} disk @param {number} patience @param {boolean} show @returns {Promise<Outcome>} */
function boot(kernel, disk, patience, show) {
  const begin = performance.now();
  const since = () => (performance.now() - begin) / 1000;
  const line = 'console=ttyS0 quiet panic=-1 oops=panic rdinit=/init mitigations=off';
  const guest = spawn(
    'qemu-system-x86_64',
    [
      // Five levels of page tables would only make every look-up in software longer.
      ...['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off', '-smp', String(cpus), '-m', '2048', '-display', 'none'],
      ...['-no-reboot', '-nodefaults', '-serial', 'stdio', '-kernel', kernel.image, '-initrd', disk, '-append', line],
      ...['-fsdev', 'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap'],
      ...['-device', 'virtio-9p-pci,fsdev=host,mount_tag=host'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  let complaint = '';
  let bootSeconds = 0;
  const timer = setTimeout(() => {
    complaint = `not done after ${String(patience)} s`;
    guest.kill('SIGKILL');
  }, patience * 1000);
  const interrupt = () => {
    complaint = 'interrupted';
    guest.kill('SIGKILL');
  };
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  for (const signal of signals) process.once(signal, interrupt);
  /** @param {string} text */
  const take = (text) => {
    const clean = text.replaceAll('\r', '');
    if (show) process.stdout.write(clean);
    output += clean;
    if (bootSeconds === 0 && output.includes('relatd-guest-begin')) bootSeconds = since();
  };
  for (const stream of [guest.stdout, guest.stderr]) stream.setEncoding('utf8').on('data', take);
  return new Promise((resolve, reject) => {
    guest.on('error', reject);
    guest.on('close', (_status, killedBy) => {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, interrupt);
      const exit = /^relatd-guest-exit: (\d+)$/m.exec(output)?.[1];
      if (exit === undefined && complaint === '')
        complaint = killedBy === null ? 'the guest broke down' : `qemu was killed by somebody, ${killedBy}`;
      const code = complaint === '' ? Number(exit) : null;
      resolve({ code, output, seconds: since(), bootSeconds, complaint });
    });
  });
}

// SPDX-License-Identifier: Apache-2.0

// What the tests of this package share: the probe object, throw-away namespaces, pins. Not part of the package's face.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSystem, isNativeError, mountBpffs, Namespace, removePins, type NativeError } from './index.js';

/** The folder of this package. */
export const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** Whether BPF can be used here; says so loudly when not, so that a skip is seen. */
export function bpfWorks(suite: string): boolean {
  const { root, problems } = checkSystem();
  if (root && problems.length === 0) return true;
  const why = root ? problems.map((problem) => problem.message).join('; ') : 'not root';
  console.warn(`SKIPPED: @relatd/native ${suite}: ${why}`);
  return false;
}

let made = 0;

/** Runs a command and returns what it prints. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Everything that one test made; `dispose` removes it whatever happened. */
export class Testbed {
  readonly #undo: (() => void)[] = [];

  /** Runs at the end, last first. */
  defer(undo: () => void): void {
    this.#undo.push(undo);
  }

  dispose(): void {
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        undo();
      } catch {
        // What the test removed itself is gone already.
      }
    }
  }

  /** An empty folder. */
  folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'relatd-native-'));
    this.defer(() => {
      rmSync(path, { recursive: true, force: true });
    });
    return path;
  }

  /** A folder name in the bpffs that nobody else uses; not made yet. */
  pins(): string {
    mountBpffs();
    const path = `/sys/fs/bpf/relatd-native-${process.pid}-${++made}`;
    this.defer(() => removePins(path));
    return path;
  }

  /** Compiles test/probe.bpf.c. */
  probe(...defines: readonly string[]): string {
    const file = join(this.folder(), 'probe.bpf.o');
    const include = `/usr/include/${run('cc', '-print-multiarch').trim()}`;
    const source = join(packageFolder, 'test', 'probe.bpf.c');
    run(
      'clang',
      ...['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Werror', '-idirafter', include],
      ...defines.map((define) => `-D${define}`),
      ...['-c', source, '-o', file],
    );
    return file;
  }

  /** A namespace with a veth pair `va`, `vb`, both up. */
  namespace(): { name: string; namespace: Namespace; ip: (...args: string[]) => string } {
    const name = `relatd-native-${process.pid}-${++made}`;
    run('ip', 'netns', 'add', name);
    this.defer(() => run('ip', 'netns', 'del', name));
    const ip = (...args: string[]) => run('ip', '-n', name, ...args);
    ip('link', 'add', 'va', 'type', 'veth', 'peer', 'name', 'vb');
    ip('link', 'set', 'va', 'up');
    ip('link', 'set', 'vb', 'up');
    ip('link', 'set', 'lo', 'up');
    const namespace = Namespace.open(name);
    this.defer(() => {
      namespace.close();
    });
    return { name, namespace, ip };
  }
}

/** The index of an interface; fails when it is not there. */
export function indexOf(namespace: Namespace, name: string): number {
  const found = namespace.interfaces().find((each) => each.name === name);
  if (found === undefined) throw new Error(`no interface ${name}`);
  return found.index;
}

/** The error that a call throws; fails when it throws none, or one that is not this package's. */
export function failure(call: () => unknown): NativeError {
  try {
    call();
  } catch (error) {
    if (isNativeError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Words of the host's byte order as bytes. */
export function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** Waits until something holds, at most two seconds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 2000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What became of a child process. */
export interface Outcome {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script of test/ in a Node of its own, against the built package. */
export function child(
  script: string,
  args: readonly string[] = [],
  options: { flags?: readonly string[]; wrapper?: readonly string[] } = {},
): Promise<Outcome> {
  const [command, ...rest] = [
    ...(options.wrapper ?? []),
    process.execPath,
    ...(options.flags ?? []),
    join(packageFolder, 'test', script),
    ...args,
  ];
  return new Promise((resolve, reject) => {
    const process_ = spawn(command ?? '', rest, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
    let stdout = '';
    let stderr = '';
    process_.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    process_.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    process_.on('error', reject);
    process_.on('close', (status, signal) => {
      resolve({ status, signal, stdout, stderr });
    });
  });
}

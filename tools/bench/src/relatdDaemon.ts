// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Namespace, type Lab, type RunningProcess } from '@relatd/lab';
import { atEnd } from './cleanup.js';
import { inRepository } from './paths.js';
import { CONTROL_PORTS } from './variant.js';

const SCRIPT = inRepository('packages/cli/bin/relatd.js');
/** Of the times in /proc/PID/stat and /proc/stat. */
const TICKS_PER_SECOND = 100;

/** A `relatd up` for a lab's gateway, with all defaults but what is given. */
export class RelatdDaemon {
  /** Milliseconds from the start of the process to `relatd ready`. */
  readonly readyMs: number;
  readonly #process: RunningProcess;
  readonly #socket: string;
  readonly #namespace: Namespace;
  readonly #withdraw: () => void;

  private constructor(process: RunningProcess, socket: string, namespace: Namespace, readyMs: number) {
    this.#process = process;
    this.#socket = socket;
    this.#namespace = namespace;
    this.#withdraw = atEnd(() => this.close());
    this.readyMs = readyMs;
  }

  static async start(lab: Lab, config: object = {}): Promise<RelatdDaemon> {
    const directory = await lab.gateway.directory();
    const file = join(directory, 'relatd.yaml');
    const assignments = CONTROL_PORTS.map((port) => ({ name: `ftp-${String(port)}`, helper: 'ftp', port }));
    const own = { interfaces: ['eth0', 'eth1'], assignments, listen: { metrics: 'off' } };
    await writeFile(file, JSON.stringify({ ...own, ...config }));
    const socket = join(directory, 'relatd.sock');
    const begin = performance.now();
    const started = await Namespace.here.spawn(process.execPath, [
      ...[SCRIPT, 'up', '-c', file, '--netns', lab.gateway.path],
      ...['--socket', socket, '--ephemeral'],
    ]);
    await started.waitFor(/^relatd ready/m, 30_000);
    return new RelatdDaemon(started, socket, lab.gateway, performance.now() - begin);
  }

  /** Bytes of memory that are its own or shared and in RAM. */
  residentBytes(): number {
    const text = readFileSync(`/proc/${String(this.#process.pid)}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) * 1024;
  }

  /** Seconds of CPU that it has used. */
  cpuSeconds(): number {
    const text = readFileSync(`/proc/${String(this.#process.pid)}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** Lets it stand still, and go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.kill(name);
  }

  /** Starts a `relatd` command that asks it. */
  command(...args: readonly string[]): Promise<RunningProcess> {
    return Namespace.here.spawn(process.execPath, [SCRIPT, ...args, '--socket', this.#socket]);
  }

  /** What such a command prints. */
  ask(...args: readonly string[]): Promise<string> {
    return Namespace.here.run(process.execPath, [SCRIPT, ...args, '--socket', this.#socket]);
  }

  async close(): Promise<void> {
    this.#withdraw();
    // It has to run to be told to stop.
    this.signal('SIGCONT');
    const code = await this.#process.stop({ graceMs: 10_000 });
    if (code === 0) return;
    await Namespace.here.exec(process.execPath, [SCRIPT, 'down', '--purge', '--netns', this.#namespace.path]);
    throw new Error(`relatd ended with ${String(code)}: ${this.#process.stderr.slice(-2000)}`);
  }
}

/** Seconds of CPU that the machine has spent, of all processes and the kernel, without idling. */
export function machineCpuSeconds(): number {
  const [, user, nice, system, , , irq, softirq] =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/\s+/) ?? [];
  const ticks = [user, nice, system, irq, softirq].reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS_PER_SECOND;
}

// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Capture } from './capture.js';
import { execute, run, RunningProcess, type ExecOptions, type ExecResult, type SpawnOptions } from './process.js';
import { deleteNamespaceOnDeath, killOnDeath, removeOnDeath } from './reaper.js';
import { parseTcpStats, type TcpStats } from './tcpStats.js';

const runDirectory = '/run/netns';

/** Which of the host's packet filter commands. */
export type IptablesTool = 'iptables' | 'ip6tables' | 'iptables-legacy' | 'ip6tables-legacy';

/**
 * A network namespace, or the one this process is in ({@link Namespace.here}). Commands enter it by nsenter: `ip netns
 * exec` would mount another /sys and so hide the host's bpffs.
 */
export class Namespace implements AsyncDisposable {
  /** The network namespace that this process is in. */
  static readonly here = new Namespace('', []);

  /** As `ip netns` knows it. */
  readonly name: string;
  readonly #withdraw: (() => void)[];
  #directory: Promise<string> | undefined;
  #captures = 0;

  protected constructor(name: string, withdraw: (() => void)[]) {
    this.name = name;
    this.#withdraw = withdraw;
  }

  /** Makes a namespace with its loopback up. It goes with this process, however that ends. */
  static async create(name: string): Promise<Namespace> {
    const withdraw = await Namespace.make(name);
    return new Namespace(name, withdraw);
  }

  protected static async make(name: string): Promise<(() => void)[]> {
    const withdraw = deleteNamespaceOnDeath(name);
    try {
      await run('ip', ['netns', 'add', name]);
      await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    } catch (error) {
      withdraw();
      throw error;
    }
    return [withdraw];
  }

  /** Path by which a namespace is entered. */
  get path(): string {
    return this.name === '' ? '/proc/self/ns/net' : join(runDirectory, this.name);
  }

  /** A directory for this namespace's files, removed with it. */
  async directory(): Promise<string> {
    this.#directory ??= mkdtemp(join(tmpdir(), `relatd-lab-${process.pid}-`)).then((path) => {
      this.#withdraw.push(removeOnDeath(path));
      return path;
    });
    return this.#directory;
  }

  /**
   * Runs a command to its end. Rejects only when it cannot be started or takes longer than `timeoutMs`: the exit code is the
   * caller's to judge.
   */
  async exec(file: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<ExecResult> {
    const result = await execute(...this.#enter(file, args), options);
    if (result.code === 127 && result.stderr.startsWith('nsenter: failed to execute')) {
      throw new Error(`cannot start ${file} in ${this.name}: ${result.stderr.trim()}`);
    }
    return result;
  }

  /** Runs a command that must exit with 0; returns its stdout. Rejects with its stderr otherwise. */
  async run(file: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<string> {
    return run(...this.#enter(file, args), options);
  }

  /** Starts a process that runs until it is stopped, at the latest with the namespace. */
  async spawn(file: string, args: readonly string[] = [], options: SpawnOptions = {}): Promise<RunningProcess> {
    const running = await RunningProcess.start(...this.#enter(file, args), options);
    if (this.name === '') {
      const start = startTime(running.pid);
      if (start !== undefined) void running.exited.then(killOnDeath(running.pid, start));
    }
    return running;
  }

  /** TCP counters since the namespace was made. */
  async tcpStats(): Promise<TcpStats> {
    return parseTcpStats(await this.run('cat', ['/proc/self/net/snmp', '/proc/self/net/netstat']));
  }

  /** Loads nftables rules; rejects with nft's message. */
  async nft(rules: string): Promise<void> {
    await this.run('nft', ['-f', '-'], { input: rules });
  }

  /** Runs one iptables command; returns its stdout, rejects with its message. */
  async iptables(args: readonly string[], tool: IptablesTool = 'iptables'): Promise<string> {
    return this.run(tool, ['-w', '10', ...args]);
  }

  /** Sets sysctls by their dotted or slashed names. */
  async sysctl(values: Readonly<Record<string, string | number>>): Promise<void> {
    const lines = Object.entries(values).map(([name, value]) => {
      const path = name.includes('/') ? name : name.replaceAll('.', '/');
      return `echo '${value}' > '/proc/sys/${path}' || exit 1\n`;
    });
    await this.run('sh', [], { input: lines.join('') });
  }

  /** Captures packets with tcpdump; resolves when it listens. */
  async capture(networkInterface: string, filter = ''): Promise<Capture> {
    const path = join(await this.directory(), `${networkInterface}-${this.#captures++}.pcap`);
    const args = ['-n', '-U', '--immediate-mode', '-s', '0', '-Z', 'root', '-i', networkInterface, '-w', path];
    const tcpdump = await this.spawn('tcpdump', filter === '' ? args : [...args, filter]);
    await tcpdump.waitFor(/listening on/);
    return new Capture(tcpdump, path);
  }

  /** Kills what runs in the namespace and deletes it. */
  async close(): Promise<void> {
    if (this.name !== '') await deleteNamespace(this.name);
    if (this.#directory) await rm(await this.#directory, { recursive: true, force: true });
    for (const withdraw of this.#withdraw.splice(0)) withdraw();
    this.#directory = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #enter(file: string, args: readonly string[]): [string, string[]] {
    return this.name === '' ? [file, [...args]] : ['nsenter', [`--net=${this.path}`, '--', file, ...args]];
  }
}

/** Kills what runs in a namespace and deletes it; does nothing when it is gone. This process itself is spared. */
export async function deleteNamespace(name: string): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const { code, stdout } = await execute('ip', ['netns', 'pids', name]);
    const pids = stdout
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 0 && pid !== process.pid);
    if (code !== 0 || pids.length === 0) break;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    await sleep(10);
  }
  const { code, stderr } = await execute('ip', ['netns', 'delete', name]);
  if (code !== 0 && !stderr.includes('No such file')) throw new Error(`ip netns delete ${name}: ${stderr.trim()}`);
}

/** Deletes namespaces and directories of labs whose process is gone: what a reaper that was killed too has left. */
export async function sweep(): Promise<void> {
  for (const name of await entries(runDirectory)) {
    const pid = /^relatd-(\d+)-/.exec(name)?.[1];
    // The reaper may be at the same work: that it is gone then is as good.
    if (pid && !alive(Number(pid))) await deleteNamespace(name).catch(() => undefined);
  }
  for (const name of await entries(tmpdir())) {
    const pid = /^relatd-lab-(\d+)-/.exec(name)?.[1];
    if (pid && !alive(Number(pid))) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

async function entries(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

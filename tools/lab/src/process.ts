// SPDX-License-Identifier: Apache-2.0
import { spawn as spawnChild, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { constants } from 'node:os';
import { StringDecoder } from 'node:string_decoder';
import type { Bytes } from './packet.js';

/** What a command is given. */
export interface ExecOptions {
  /** Written to its stdin, which is then closed. */
  input?: Bytes;
  /** Milliseconds, default 30,000. At the end the process and its group are killed and the call rejects. */
  timeoutMs?: number;
  /** Added to this process's environment; `undefined` removes a variable. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
}

/** What a finished command left. */
export interface ExecResult {
  /** Exit code; 128 + number when a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

/** What a long-running process is given. */
export interface SpawnOptions {
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** Gets stdout instead of {@link RunningProcess.stdout}, for those who print without end. */
  onStdout?: (text: string) => void;
}

/** A process that runs until it is stopped. It is a group of its own: what it starts is stopped with it. */
export class RunningProcess implements AsyncDisposable {
  readonly command: string;
  readonly pid: number;
  /** Exit code; 128 + number when a signal ended it. Never rejects. */
  readonly exited: Promise<number>;
  /** All that came so far. */
  stdout = '';
  stderr = '';
  /** Set when it has ended. */
  exitCode: number | undefined;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #listeners = new Set<() => void>();

  private constructor(child: ChildProcessWithoutNullStreams, pid: number, command: string, options: SpawnOptions) {
    this.#child = child;
    this.pid = pid;
    this.command = command;
    read(child.stdout, (text) => {
      if (options.onStdout) options.onStdout(text);
      else this.stdout += text;
      this.#changed();
    });
    read(child.stderr, (text) => {
      this.stderr += text;
      this.#changed();
    });
    child.stdin.on('error', () => undefined);
    child.on('error', () => undefined);
    // What it started may keep its stdout: a daemon that forks is gone all the same, so do not wait for `close` for long.
    this.exited = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        const done = (): void => {
          this.exitCode ??= exitCode(code, signal);
          resolve(this.exitCode);
          this.#changed();
        };
        child.on('close', done);
        setTimeout(done, 200).unref();
      });
    });
  }

  /** Starts a process; resolves when it exists. */
  static async start(file: string, args: readonly string[], options: SpawnOptions = {}): Promise<RunningProcess> {
    const child = spawnChild(file, args, { detached: true, env: environment(options.env), cwd: options.cwd });
    const command = [file, ...args].join(' ');
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(new Error(`cannot start ${file}: ${error.message}`, { cause: error })));
    });
    return new RunningProcess(child, child.pid ?? 0, command, options);
  }

  /** Both outputs, stderr last. */
  get output(): string {
    return this.stdout + this.stderr;
  }

  /**
   * Waits until stdout or stderr matches; what came before counts too. Rejects after `timeoutMs` (default 10,000) and
   * when the process ends without a match; the message carries the output.
   */
  async waitFor(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    const found = (): RegExpExecArray | null => {
      pattern.lastIndex = 0;
      return pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
    };
    return new Promise((resolve, reject) => {
      const fail = (what: string): void =>
        reject(new Error(`${this.command}: ${what} before ${pattern}; output:\n${this.output.slice(-4000)}`));
      const check = (): void => {
        const match = found();
        if (!match && this.exitCode === undefined) return;
        this.#listeners.delete(check);
        clearTimeout(timer);
        if (match) resolve(match);
        else fail(`ended with ${this.exitCode}`);
      };
      const timer = setTimeout(() => {
        this.#listeners.delete(check);
        fail(`${timeoutMs} ms passed`);
      }, timeoutMs);
      this.#listeners.add(check);
      check();
    });
  }

  /** Writes to its stdin; resolves when the text has been handed over. */
  async write(data: Bytes): Promise<void> {
    await new Promise<void>((resolve) => this.#child.stdin.write(data, () => resolve()));
  }

  /** Closes its stdin. */
  endInput(): void {
    this.#child.stdin.end();
  }

  /** Sends a signal to the process alone; false when it is gone. */
  kill(signal: NodeJS.Signals): boolean {
    return this.exitCode === undefined && this.#child.kill(signal);
  }

  /** Ends the process and its group: `signal`, and after `graceMs` SIGKILL. Returns its exit code. */
  async stop({
    signal = 'SIGTERM',
    graceMs = 2000,
  }: { signal?: NodeJS.Signals; graceMs?: number } = {}): Promise<number> {
    this.kill(signal);
    const timer = setTimeout(() => killGroup(this.pid), graceMs);
    const code = await this.exited;
    clearTimeout(timer);
    killGroup(this.pid);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Runs a command to its end. Rejects when it cannot be started or takes too long; its exit code is the caller's to judge. */
export async function execute(file: string, args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const running = await RunningProcess.start(file, args, options);
  const timeoutMs = options.timeoutMs ?? 30_000;
  const deadline = { passed: false };
  const timer = setTimeout(() => {
    deadline.passed = true;
    killGroup(running.pid);
  }, timeoutMs);
  if (options.input !== undefined) void running.write(options.input);
  running.endInput();
  const code = await running.exited;
  clearTimeout(timer);
  if (deadline.passed)
    throw new Error(`${running.command}: not done after ${timeoutMs} ms; output:\n${running.output.slice(-4000)}`);
  return { code, stdout: running.stdout, stderr: running.stderr };
}

/** Runs a command that must exit with 0; returns its stdout. Rejects with its stderr otherwise. */
export async function run(file: string, args: readonly string[], options: ExecOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await execute(file, args, options);
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')}: exit code ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is empty: nothing is left to kill.
  }
}

function exitCode(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal ? constants.signals[signal] : 0);
}

function environment(extra: ExecOptions['env']): NodeJS.ProcessEnv {
  const merged = Object.entries({ ...process.env, ...extra });
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined));
}

function read(stream: NodeJS.ReadableStream, take: (text: string) => void): void {
  const decoder = new StringDecoder('utf8');
  stream.on('data', (chunk: Buffer) => take(decoder.write(chunk)));
  stream.on('end', () => take(decoder.end()));
  stream.on('error', () => undefined);
}

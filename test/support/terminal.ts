// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { Namespace, type RunningProcess } from '@relatd/lab';
import { eventually } from './gateway.js';

/** A real terminal with a shell in it, by tmux: keys go in, and the screen can be looked at. */
export class Terminal implements AsyncDisposable {
  readonly #server: RunningProcess;
  readonly #socket: string;

  private constructor(server: RunningProcess, socket: string) {
    this.#server = server;
    this.#socket = socket;
  }

  /** 80 columns and 24 rows. `directory` is where its socket may be made. */
  static async open(directory: string, env: Readonly<Record<string, string>>): Promise<Terminal> {
    const socket = join(directory, 'tmux');
    // Without its own daemon: what a test starts ends with the test. Its panes get this environment.
    const server = await Namespace.here.spawn('tmux', ['-D', '-S', socket, '-f', '/dev/null'], {
      env: { ...env, LC_ALL: 'C.UTF-8', TMUX: undefined },
    });
    const terminal = new Terminal(server, socket);
    try {
      await eventually(
        async () => ((await terminal.#try('start-server')) ? true : undefined),
        () => `tmux does not start: ${server.output}`,
      );
      await terminal.#tmux('new-session', '-d', '-x', '80', '-y', '24', 'sh');
      await terminal.shows((screen) => screen !== '');
      return terminal;
    } catch (error) {
      await terminal.close();
      throw error;
    }
  }

  /** Types a line at the shell. */
  async line(text: string): Promise<void> {
    await this.#tmux('send-keys', '-l', text);
    await this.keys('Enter');
  }

  /** Presses keys, by tmux's names of them: `q`, `Down`, `Enter`, `C-c`. */
  async keys(...names: string[]): Promise<void> {
    await this.#tmux('send-keys', ...names);
  }

  /** What is on the screen, without the empty lines at its end; `-e`: with colours. */
  async screen(...options: '-e'[]): Promise<string> {
    return (await this.#tmux('capture-pane', '-p', ...options)).trimEnd();
  }

  /** Waits until the screen satisfies `accept`; returns it. */
  async shows(accept: (screen: string) => boolean, what = accept.toString()): Promise<string> {
    let last = '';
    return eventually(
      async () => {
        last = await this.screen();
        return accept(last) ? last : undefined;
      },
      () => `the screen does not show ${what}:\n${last}`,
      10_000,
    );
  }

  /** Waits until the screen matches; returns the match. */
  async waitFor(pattern: RegExp): Promise<RegExpExecArray> {
    const match = pattern.exec(await this.shows((screen) => pattern.test(screen), pattern.source));
    if (match === null) throw new Error(`${pattern.source} matches, and does not`);
    return match;
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** Whether the screen is the shell's, with its cursor, and breaks lines that are too long. */
  async isUsual(): Promise<boolean> {
    const flags = await this.#tmux('display-message', '-p', '#{alternate_on} #{cursor_flag} #{wrap_flag}');
    return flags.trim() === '0 1 1';
  }

  /** Pid of the program that the shell runs. */
  async pid(): Promise<number> {
    const shell = await this.#tmux('display-message', '-p', '#{pane_pid}');
    return Number(await Namespace.here.run('pgrep', ['-P', shell.trim()]));
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #tmux(...args: string[]): Promise<string> {
    return Namespace.here.run('tmux', ['-u', '-S', this.#socket, ...args]);
  }

  async #try(...args: string[]): Promise<boolean> {
    return (await Namespace.here.exec('tmux', ['-N', '-S', this.#socket, ...args])).code === 0;
  }
}

// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RelatdClient } from '@relatd/client';
import { Lab, Namespace, removeOnDeath, startVsftpd, type FtpServer, type RunningProcess } from '@relatd/lab';

/** The script of the `relatd` command: the daemon of the demo is a process of its own, as everywhere else. */
const script = fileURLToPath(new URL('../../bin/relatd.js', import.meta.url));

/** The port on which the demo's FTP server listens: nothing knows by itself that this is FTP. */
export const FTP_PORT = 2121;

/** The demo's machinery: lab, server, firewall, daemon; each part is removed by `close`, whatever was reached. */
export class Stage {
  readonly directory: string;
  readonly lab: Lab;
  readonly client: RelatdClient;
  readonly configPath: string;
  readonly #withdraw: () => void;
  #daemon: RunningProcess | null = null;
  #closed = false;

  private constructor(directory: string, lab: Lab) {
    this.directory = directory;
    this.lab = lab;
    this.configPath = join(directory, 'relatd.yaml');
    this.client = new RelatdClient(join(directory, 'relatd.sock'));
    this.#withdraw = removeOnDeath(directory);
  }

  /** Builds client, gateway and server. Needs root. */
  static async create(): Promise<Stage> {
    const lab = await Lab.create();
    return new Stage(await mkdtemp(join(tmpdir(), `relatd-demo-${String(process.pid)}-`)), lab);
  }

  /** Starts vsftpd with one user, alice. */
  startServer(): Promise<FtpServer> {
    this.#mustBeOpen();
    return startVsftpd(this.lab.server, { port: FTP_PORT, users: [{ name: 'alice', password: 'wonderland' }] });
  }

  async writeConfig(text: string): Promise<void> {
    await writeFile(this.configPath, text);
  }

  /** Runs `relatd` and returns what it printed; throws with its stderr when it fails. */
  relatd(...line: string[]): Promise<string> {
    this.#mustBeOpen();
    return this.#run(...line);
  }

  #run(...line: string[]): Promise<string> {
    return Namespace.here.run(process.execPath, [script, ...line]);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error('the demo was interrupted');
  }

  /** Starts `relatd up` for the gateway's packets and returns its ready line. */
  async startDaemon(): Promise<string> {
    this.#mustBeOpen();
    const daemon = await Namespace.here.spawn(process.execPath, [
      ...[script, 'up', '-c', this.configPath, '--netns', this.lab.gateway.path],
      ...['--socket', this.client.socketPath, '--ephemeral'],
    ]);
    this.#daemon = daemon;
    // Ctrl-C may have come while the process was made: `close` has not seen it then.
    if (this.#closed) await daemon.stop();
    try {
      const [line] = await daemon.waitFor(/^relatd ready.*$/m, 20_000);
      return line;
    } catch {
      const words = daemon.stderr
        .trimEnd()
        .split('\n')
        .at(-1)
        ?.replace(/^relatd: /, '');
      throw new Error(
        `the daemon does not get ready: ${words === undefined || words === '' ? 'it says nothing' : words}`,
      );
    }
  }

  /** What the daemon logged. */
  get log(): string {
    return this.#daemon?.stderr ?? '';
  }

  /** Stops the daemon, which takes its datapath with it, then the lab and every file. Never throws; returns what failed. */
  async close(): Promise<string[]> {
    this.#closed = true;
    const failures: string[] = [];
    const attempt = async (what: string, work: () => Promise<unknown>) => {
      try {
        await work();
      } catch (error) {
        failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    await attempt('stop of the daemon', async () => {
      const code = await this.#daemon?.stop({ graceMs: 5000 });
      // Killed or crashed it leaves its pins, which would outlive the namespace.
      if (code !== undefined && code !== 0) await this.#run('down', '--purge', '--netns', this.lab.gateway.path);
    });
    await attempt('removal of the namespaces', () => this.lab.close());
    await attempt('removal of the files', () => rm(this.directory, { recursive: true, force: true }));
    this.#withdraw();
    return failures;
  }
}

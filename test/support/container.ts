// SPDX-License-Identifier: Apache-2.0
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Namespace, removeOnDeath, type ExecResult, type RunningProcess } from '@relatd/lab';

const environment =
  'env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive';

/**
 * A Debian tree that has been booted with systemd, in namespaces of its own and with a bpffs of its own. What is written
 * goes into memory and is gone with it, as is everything that is mounted; the tree itself stays as it is.
 */
export class Container implements AsyncDisposable {
  /** A folder that both sides see: `/mnt` inside. */
  readonly shared: string;
  readonly #process: RunningProcess;
  readonly #withdraw: () => void;
  #leader = 0;

  private constructor(shared: string, process: RunningProcess, withdraw: () => void) {
    this.shared = shared;
    this.#process = process;
    this.#withdraw = withdraw;
  }

  /** Boots it; rejects with what it printed when systemd does not come up. */
  static async boot(tree: string): Promise<Container> {
    const directory = await mkdtemp(join(tmpdir(), `relatd-container-${process.pid}-`));
    const withdraw = removeOnDeath(directory);
    const shared = join(directory, 'shared');
    await mkdir(shared);
    await mkdir(join(directory, 'bpf'));
    // Mounts are this mount namespace's: they go with its last process, and so does what nspawn keeps in /run.
    const script = `
      mount -t bpf bpf '${directory}/bpf'
      mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd
      exec systemd-nspawn --quiet --directory='${tree}' --volatile=overlay --machine=relatd-${process.pid} \\
        --register=no --keep-unit --private-network --console=pipe --link-journal=no \\
        --capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN --system-call-filter=bpf \\
        --bind='${directory}/bpf:/sys/fs/bpf' --bind=/dev/net/tun --bind='${shared}:/mnt' --boot`;
    const args = ['--mount', '--propagation', 'private', 'sh', '-ec', script];
    const running = await Namespace.here.spawn('unshare', args, { env: { SYSTEMD_NSPAWN_LOCK: '0' } });
    const container = new Container(shared, running, withdraw);
    try {
      await container.#started();
      return container;
    } catch (error) {
      await container[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #started(): Promise<void> {
    for (let round = 0; round < 300; round++) {
      if (this.#process.exitCode !== undefined) break;
      this.#leader = await this.#firstChild();
      // systemd listens there once it is up; before that systemctl would fail at once.
      if (this.#leader !== 0 && (await this.exec('systemctl is-system-running --wait')).stdout.trim() !== '') {
        const { stdout } = await this.exec('systemctl is-system-running --wait');
        if (['running', 'degraded'].includes(stdout.trim())) return;
      }
      await sleep(100);
    }
    throw new Error(`the container does not start: ${this.#process.output}`);
  }

  /** nspawn's child is the container's first process; 0: not there yet. */
  async #firstChild(): Promise<number> {
    const { pid } = this.#process;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    return Number(children.trim().split(' ')[0] ?? 0);
  }

  /** Runs a shell script inside, as root; its exit code is the caller's to judge. */
  async exec(script: string): Promise<ExecResult> {
    const enter = ['-t', String(this.#leader), '-m', '-u', '-i', '-n', '-p', '-C', '--'];
    return Namespace.here.exec('nsenter', [...enter, ...environment.split(' '), 'sh', '-c', script]);
  }

  /** Runs a shell script that must succeed, inside; returns its stdout without white space at the ends. */
  async run(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.exec(script);
    if (code !== 0) throw new Error(`${script}: exit code ${code}: ${stderr}${stdout}`);
    return stdout.trim();
  }

  /** Runs a script until what it prints is this; what it printed last is in the error. */
  async until(script: string, expected: string): Promise<void> {
    let printed = '';
    for (let round = 0; round < 200; round++) {
      printed = (await this.exec(script)).stdout.trim();
      if (printed === expected) return;
      await sleep(100);
    }
    throw new Error(`${script}: prints ${JSON.stringify(printed)}, and never ${JSON.stringify(expected)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop({ graceMs: 10_000 });
    this.#withdraw();
    await rm(join(this.shared, '..'), { recursive: true, force: true });
  }
}

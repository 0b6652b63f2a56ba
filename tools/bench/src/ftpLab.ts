// SPDX-License-Identifier: Apache-2.0
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { availableServers, startVsftpd, type Lab } from '@relatd/lab';
import { nativeTool } from './paths.js';
import { RelatdDaemon } from './relatdDaemon.js';
import { CONTROL_PORTS, buildLab, closeAll, type Firewall } from './variant.js';

/** How data connections get through the gateway. */
export type Variant = Exclude<Firewall, 'conntrack'>;

export const VARIANT_TITLES: Readonly<Record<Variant, string>> = {
  nothing: 'no tracking',
  netfilter: 'netfilter',
  mark: 'relatd, by mark alone',
  rules: 'relatd, printed rules',
  existing: 'relatd, related: conntrack',
};

const [LIGHT_PORT, VSFTPD_PORT] = CONTROL_PORTS;
const WORKERS = 16;

/** A lab with the light server, on demand vsftpd, and relatd where the variant is one of its. */
export class FtpLab {
  readonly variant: Variant;
  readonly lab: Lab;
  readonly daemon: RelatdDaemon | null;

  private constructor(variant: Variant, lab: Lab, daemon: RelatdDaemon | null) {
    this.variant = variant;
    this.lab = lab;
    this.daemon = daemon;
  }

  /** `config`: of relatd, beside the defaults. */
  static async build(variant: Variant, config: object = {}): Promise<FtpLab> {
    const lab = await buildLab(variant);
    let daemon: RelatdDaemon | null = null;
    try {
      const related = variant === 'existing' ? { related: 'conntrack' } : {};
      if (variant === 'mark' || variant === 'rules' || variant === 'existing')
        daemon = await RelatdDaemon.start(lab, { ...related, ...config });
      const light = await lab.server.spawn(nativeTool('ftpd'), [
        ...[lab.server.ipv4, String(LIGHT_PORT), String(WORKERS)],
      ]);
      await light.waitFor(/ready/);
      return new FtpLab(variant, lab, daemon);
    } catch (error) {
      await daemon?.close();
      await lab.close();
      throw error;
    }
  }

  /** Builds them all; when one fails, none is left. */
  static async buildAll(variants: readonly Variant[]): Promise<FtpLab[]> {
    const built: FtpLab[] = [];
    try {
      for (const variant of variants) built.push(await FtpLab.build(variant));
      return built;
    } catch (error) {
      await closeAll(built);
      throw error;
    }
  }

  /** Starts vsftpd with a file of that many bytes; false when it is not unpacked. */
  async startVsftpd(bytes: number): Promise<boolean> {
    if (!availableServers().includes('vsftpd')) return false;
    const root = join(await this.lab.server.directory(), 'files');
    await mkdir(root, { recursive: true });
    await writeFile(join(root, String(bytes)), new Uint8Array(bytes));
    await startVsftpd(this.lab.server, { port: VSFTPD_PORT, root, passivePorts: { from: 20_000, to: 60_000 } });
    return true;
  }

  /** Runs the light client; its output, and on stderr what went wrong with single sessions. */
  async client(
    mode: 'sessions' | 'rtt' | 'starts' | 'bulk',
    server: 'light' | 'vsftpd',
    args: readonly number[],
    more: readonly ('active' | 'judged')[] = [],
  ): Promise<{ stdout: string; stderr: string }> {
    const port = server === 'light' ? LIGHT_PORT : VSFTPD_PORT;
    const login = mode === 'sessions' ? ['anonymous', 'bench@'] : [];
    const { code, stdout, stderr } = await this.lab.client.exec(
      nativeTool('ftpc'),
      [mode, this.lab.server.ipv4, String(port), ...args.map(String), ...login, ...more],
      { timeoutMs: 120_000 },
    );
    if (code !== 0) throw new Error(`${VARIANT_TITLES[this.variant]}: ${stderr.trim()}`);
    return { stdout, stderr };
  }

  /**
   * Lets ends be used again at once: with thousands of sessions per second ports would run out of those that wait for late
   * packets of connections that are over.
   */
  async forgetOldConnections(): Promise<void> {
    for (const host of [this.lab.client, this.lab.server])
      await host.run('sysctl', ['-qw', 'net.ipv4.tcp_max_tw_buckets=0', 'net.ipv4.ip_local_port_range=1024 65001']);
  }

  async close(): Promise<void> {
    try {
      await this.daemon?.close();
    } finally {
      await this.lab.close();
    }
  }
}

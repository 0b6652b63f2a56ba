// SPDX-License-Identifier: Apache-2.0
import { Lab } from '@relatd/lab';
import type { Expected, Master, Tracker } from './script.js';

/** A use of one of the kernel's own helpers. */
export interface KernelAssignment {
  /** As the kernel calls it. */
  readonly helper: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** netfilter's own helpers at work in a lab's gateway, and nothing else: what relatd's are compared with. */
export class NetfilterTracker implements Tracker, AsyncDisposable {
  readonly lab: Lab;

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Builds the lab. Segments are not merged on the way: netfilter's helpers look at each alone. */
  static async open(assignments: readonly KernelAssignment[]): Promise<NetfilterTracker> {
    const lab = await Lab.create({ offload: false });
    try {
      for (const { helper, protocol, port } of assignments) {
        const tools =
          helper === 'irc' ? (['iptables-legacy'] as const) : (['iptables-legacy', 'ip6tables-legacy'] as const);
        for (const tool of tools) {
          const match = ['-p', protocol, '--dport', String(port)];
          await lab.gateway.iptables(['-t', 'raw', '-A', 'PREROUTING', ...match, '-j', 'CT', '--helper', helper], tool);
        }
      }
      return new NetfilterTracker(lab);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async expectations(master: Master): Promise<Expected[]> {
    const text = await this.lab.gateway.run('conntrack', ['-f', master.family, '-L', 'expect']);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line) => readExpectation(line, master) ?? []);
  }

  async forget(): Promise<void> {
    await this.lab.gateway.run('conntrack', ['-F', 'expect']);
    await this.lab.gateway.run('conntrack', ['-F']);
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const protocols: Readonly<Record<string, string>> = { '6': 'tcp', '17': 'udp' };

/**
 * A line of `conntrack -L expect`: the tuple, its mask, the master's tuple, each with words of the same names. Undefined: it is another
 * master's.
 */
function readExpectation(line: string, { client, server }: Master): Expected | undefined {
  const [tuple = '', mask = '', master = ''] = line.split(/ (?=mask-src=|master-src=)/);
  const word = (text: string, name: string): string => new RegExp(`(?:^| )${name}=(\\S+)`).exec(text)?.[1] ?? '';
  const ends = [word(master, 'master-src'), word(master, 'sport'), word(master, 'master-dst'), word(master, 'dport')];
  const wanted = [client.address, String(client.port), server.address, String(server.port)];
  if (ends.join(' ') !== wanted.join(' ')) return undefined;
  const destination = word(tuple, 'dst');
  const port = Number(word(tuple, 'dport'));
  return {
    protocol: protocols[word(tuple, 'proto')] ?? word(tuple, 'proto'),
    source: /^[0:.]+$/.test(word(mask, 'mask-src')) ? null : word(tuple, 'src'),
    destination,
    port: destination === client.address && port === client.port ? 'own' : port,
  };
}

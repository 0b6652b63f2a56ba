// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RelatdClient, type ListFilter } from '@relatd/client';
import { loadConfig, type Config } from '@relatd/config';
import { Namespace, type ExecOptions, type ExecResult, type Lab, type RunningProcess } from '@relatd/lab';
import { formatEvent, formatMark, type Event, type EventType, type Expectation, type Flow } from '@relatd/model';

/** The script of the `relatd` command. It runs what `npm run build` made. */
export const relatdScript = fileURLToPath(new URL('../../packages/cli/bin/relatd.js', import.meta.url));

/**
 * What is loaded before the daemon starts. All but `none` drop by default in INPUT and FORWARD and accept new control
 * connections. `nft`, `iptables`: with what `relatd rules` prints. `mark-only`: by the masked mark alone, nothing in the
 * rules asks connection tracking, which then does not see a packet.
 */
export type Firewall = 'nft' | 'iptables' | 'mark-only' | 'none';

export interface GatewayOptions {
  /** The configuration file, as text or as what is written as JSON. Default: {@link defaultConfig}. Metrics are off unless it has `listen`. */
  config?: string | object;
  /** Default `nft`. */
  firewall?: Firewall;
  /** Ports of control connections that the firewall accepts. Default: 21, 2121 and those of the assignments. */
  controlPorts?: readonly number[];
  /** Where the daemon works. Default: the lab's gateway. */
  namespace?: Namespace;
  /** Further arguments of `relatd up`. */
  args?: readonly string[];
  /** False: a stop leaves the datapath pinned; {@link Gateway.close} removes it in any case. Default true. */
  ephemeral?: boolean;
}

/** FTP on ports 21 and 2121 of everything that the gateway forwards. */
export const defaultConfig = {
  interfaces: ['eth0', 'eth1'],
  assignments: [
    { helper: 'ftp', port: 21 },
    { name: 'ftp-2121', helper: 'ftp', port: 2121 },
  ],
} as const;

/** Runs `relatd` in this process's namespace; its exit code is the caller's to judge. */
export function relatd(args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  return Namespace.here.exec(process.execPath, [relatdScript, ...args], options);
}

/** A namespace with a firewall and a daemon that serves it, and all the events since it is ready. */
export class Gateway implements AsyncDisposable {
  readonly namespace: Namespace;
  readonly configPath: string;
  readonly socketPath: string;
  /** In the order of their arrival, over restarts of the daemon. */
  readonly events: Event[] = [];
  readonly #options: GatewayOptions;
  readonly #client: RelatdClient;
  #daemon: RunningProcess | undefined;
  #watching: Promise<void> = Promise.resolve();
  #pinned = false;

  private constructor(namespace: Namespace, directory: string, options: GatewayOptions) {
    this.namespace = namespace;
    this.configPath = join(directory, 'relatd.yaml');
    this.socketPath = join(directory, 'relatd.sock');
    this.#options = options;
    this.#client = new RelatdClient(this.socketPath);
  }

  /** Loads the firewall and starts the daemon. When that fails, both are removed. */
  static async start(lab: Lab, options: GatewayOptions = {}): Promise<Gateway> {
    const gateway = await Gateway.prepare(lab, options);
    try {
      await gateway.start();
      return gateway;
    } catch (error) {
      // That the start failed is the news; a removal that fails too says nothing more.
      await gateway.close().catch(() => undefined);
      throw error;
    }
  }

  /** Writes the configuration and loads the firewall, without a daemon. */
  static async prepare(lab: Lab, options: GatewayOptions = {}): Promise<Gateway> {
    const namespace = options.namespace ?? lab.gateway;
    const directory = await mkdtemp(join(await namespace.directory(), 'relatd-'));
    const gateway = new Gateway(namespace, directory, options);
    const config = await gateway.writeConfig(options.config ?? defaultConfig);
    await gateway.#loadFirewall(config);
    return gateway;
  }

  /** The daemon of now; its `stderr` is the log. Throws when none was started. */
  get daemon(): RunningProcess {
    if (this.#daemon === undefined) throw new Error('no daemon was started');
    return this.#daemon;
  }

  /** What is pinned has another maker than this gateway's daemon: {@link close} removes it all the same. */
  owns(): void {
    this.#pinned = true;
  }

  client(): RelatdClient {
    return this.#client;
  }

  flows(filter: ListFilter = {}): Promise<Flow[]> {
    return this.#client.flows(filter);
  }

  expectations(): Promise<Expectation[]> {
    return this.#client.expectations();
  }

  /** Runs `relatd` against this daemon. */
  relatd(...args: string[]): Promise<ExecResult> {
    return relatd(args, { env: { RELATD_SOCKET: this.socketPath } });
  }

  /** Writes the file, without telling the daemon. Throws when it is not valid. */
  async writeConfig(config: string | object): Promise<Config> {
    const text = withoutMetrics(config);
    // Beside the daemon's, which must not change if this one is not valid.
    const draft = `${this.configPath}.new`;
    await writeFile(draft, text);
    const result = await loadConfig(draft);
    if (result.config === undefined) throw new Error(`the test's configuration: ${JSON.stringify(result.problems)}`);
    await rename(draft, this.configPath);
    return result.config;
  }

  /** Writes the file and lets the daemon read it. The firewall stays as it is. */
  async reload(config: string | object): Promise<readonly string[]> {
    await this.writeConfig(config);
    return (await this.#client.reload()).messages;
  }

  /**
   * Starts the daemon, again after a stop or its death; resolves when it is ready and no event can be missed. `more` are
   * arguments of this start alone.
   */
  async start(...more: string[]): Promise<void> {
    this.#pinned = true;
    const args = ['up', '-c', this.configPath, '--netns', this.namespace.path, '--socket', this.socketPath];
    if (this.#options.ephemeral !== false) args.push('--ephemeral');
    args.push(...(this.#options.args ?? []), ...more);
    this.#daemon = await Namespace.here.spawn(process.execPath, [relatdScript, ...args]);
    await this.#daemon.waitFor(/^relatd ready.*$/m, 30_000);
    await this.#watch();
  }

  /** SIGTERM; returns the daemon's exit code. The datapath stays unless it is ephemeral. */
  async stop(): Promise<number> {
    const code = await this.daemon.stop({ graceMs: 10_000 });
    await this.#watching;
    if (code === 0 && this.#options.ephemeral !== false) this.#pinned = false;
    return code;
  }

  /** SIGKILL; resolves when the daemon is gone. */
  async kill(): Promise<void> {
    this.daemon.kill('SIGKILL');
    await this.daemon.exited;
    await this.#watching;
  }

  /** Events of a type so far. */
  of<Type extends EventType>(type: Type): Extract<Event, { type: Type }>[] {
    return this.events.filter((event): event is Extract<Event, { type: Type }> => event.type === type);
  }

  /** The first event, seen already or to come, of this type that satisfies `accept`. */
  async event<Type extends EventType>(
    type: Type,
    accept: (event: Extract<Event, { type: Type }>) => boolean = () => true,
    timeoutMs = 5000,
  ): Promise<Extract<Event, { type: Type }>> {
    return eventually(
      () => this.of(type).find(accept),
      () => `no such event ${type}; there were:\n${this.history()}\nthe daemon said:\n${this.daemon.stderr}`,
      timeoutMs,
    );
  }

  /** How many SYNs the firewall `nft` has dropped. */
  async droppedSyns(): Promise<number> {
    const text = await this.namespace.run('nft', ['list', 'counter', 'inet', 'filter', 'dropped-syn']);
    return Number(/packets (\d+)/.exec(text)?.[1]);
  }

  /** Every event on a line, for messages. */
  history(): string {
    return this.events.map(formatEvent).join('\n');
  }

  /** Stops the daemon and removes what it has pinned. The firewall goes with the namespace. */
  async close(): Promise<void> {
    if (this.#daemon !== undefined && this.#daemon.exitCode === undefined) await this.stop();
    await this.#watching;
    if (!this.#pinned) return;
    this.#pinned = false;
    const { code, stderr } = await relatd(['down', '--purge', '--netns', this.namespace.path]);
    if (code !== 0) throw new Error(`relatd down: ${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #watch(): Promise<void> {
    await this.#watching;
    await new Promise<void>((resolve, reject) => {
      const read = async (): Promise<void> => {
        for await (const event of this.#client.events({ onOpen: resolve })) this.events.push(event);
      };
      // That the daemon was killed ends the stream with an error, and the test knows.
      this.#watching = read().catch(reject);
    });
  }

  async #loadFirewall(config: Config): Promise<void> {
    const { firewall = 'nft' } = this.#options;
    if (firewall === 'none') return;
    const ports = this.#options.controlPorts ?? [...new Set([21, 2121, ...config.assignments.map(({ port }) => port)])];
    if (firewall === 'mark-only') {
      await this.namespace.nft(markOnlyFirewall(config, ports));
      return;
    }
    const { code, stdout, stderr } = await this.relatd('rules', firewall, '-c', this.configPath);
    if (code !== 0) throw new Error(`relatd rules ${firewall}: ${stderr}`);
    if (firewall === 'nft') await this.namespace.nft(nftFirewall(ports) + stdout);
    else await this.namespace.run('sh', ['-e'], { input: iptablesFirewall(ports) + stdout });
  }
}

/** Loads the firewall and starts the daemon. */
export function startGateway(lab: Lab, options: GatewayOptions = {}): Promise<Gateway> {
  return Gateway.start(lab, options);
}

/** Waits until `look` gives something; rejects with what `complaint` says. */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  complaint: () => string,
  timeoutMs = 5000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(complaint());
    await sleep(10);
  }
}

function withoutMetrics(config: string | object): string {
  if (typeof config === 'string') return /^listen:/m.test(config) ? config : `${config}\nlisten: { metrics: off }\n`;
  return JSON.stringify({ listen: { metrics: 'off' }, ...config }, null, 2);
}

/** Neighbour discovery is what an IPv6 host cannot do without. The last rule counts what the policy drops: new connections. */
function nftFirewall(ports: readonly number[]): string {
  return `table inet filter {
  counter dropped-syn { }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ct state new tcp dport { ${ports.join(', ')} } accept
    tcp flags & (syn | ack) == syn counter name dropped-syn
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state new tcp dport { ${ports.join(', ')} } accept
    tcp flags & (syn | ack) == syn counter name dropped-syn
  }
}
`;
}

function iptablesFirewall(ports: readonly number[]): string {
  return ['iptables', 'ip6tables']
    .flatMap((command) => [
      `${command} -w -P INPUT DROP`,
      `${command} -w -P FORWARD DROP`,
      `${command} -w -A INPUT -i lo -j ACCEPT`,
      ...(command === 'ip6tables' ? [`${command} -w -A INPUT -p ipv6-icmp -j ACCEPT`] : []),
      ...['INPUT', 'FORWARD'].map(
        (chain) =>
          `${command} -w -A ${chain} -p tcp -m multiport --dports ${ports.join(',')} -m conntrack --ctstate NEW -j ACCEPT`,
      ),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

function markOnlyFirewall(config: Config, ports: readonly number[]): string {
  const marks = [...new Set(config.assignments.map(({ mark }) => formatMark(mark)))];
  const mask = formatMark(config.mark.mask);
  const accepts = [
    `tcp dport { ${ports.join(', ')} } accept`,
    `tcp sport { ${ports.join(', ')} } accept`,
    ...marks.map((mark) => `meta mark & ${mask} == ${mark} accept`),
  ].join('\n    ');
  return `table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ${accepts}
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ${accepts}
  }
}
`;
}

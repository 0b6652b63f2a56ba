// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import { Namespace, sweep } from './namespace.js';
import { nativeTool } from './paths.js';
import { run } from './process.js';

/** Which of the gateway's two links. */
export type Side = 'client' | 'server';

/** How a {@link Lab} is built. */
export interface LabOptions {
  /** IPv6 addresses and forwarding besides IPv4. Default true. */
  ipv6?: boolean;
  /** False turns GRO, GSO and TSO off everywhere. Default: as the kernel has it. */
  offload?: boolean;
  /** Round trip time in milliseconds that the client's link adds. The link is then a slow relay in user space. */
  rttMs?: number;
  /**
   * The gateway's nftables table `inet lab` masquerades what leaves towards the server, and the server has no route back
   * to the client.
   */
  masquerade?: boolean;
  /** That link (`true`: both) is a TUN pair: interfaces without Ethernet header, joined by a relay in user space. */
  tun?: boolean | Side;
  /** The gateway's `eth0` is a port of its bridge `br0`, which carries the address. */
  bridge?: boolean;
}

/** Where {@link Lab.addHost} puts a host. */
export interface HostOptions {
  /** On the bridge `br0`, in the client's subnet; the lab must have `bridge`. Default: a link and a subnet of its own. */
  bridged?: boolean;
}

/** A host of the lab: one interface `eth0` and a default route to the gateway. */
export class Host extends Namespace {
  readonly ipv4: string;
  readonly ipv6: string;
  /** The gateway's addresses and interface on this host's link; on a bridge, `gatewayInterface` is the port. */
  readonly gatewayIpv4: string;
  readonly gatewayIpv6: string;
  readonly gatewayInterface: string;

  /** Used by {@link Lab}. */
  constructor(name: string, withdraw: (() => void)[], place: Place) {
    super(name, withdraw);
    this.ipv4 = `10.77.${place.subnet}.${place.number}`;
    this.ipv6 = `fd77:${place.subnet}::${place.number.toString(16)}`;
    this.gatewayIpv4 = `10.77.${place.subnet}.1`;
    this.gatewayIpv6 = `fd77:${place.subnet}::1`;
    this.gatewayInterface = place.gatewayInterface;
  }

  /** Used by {@link Lab}. */
  static async at(name: string, place: Place): Promise<Host> {
    return new Host(name, await Namespace.make(name), place);
  }
}

interface Place {
  subnet: number;
  number: number;
  gatewayInterface: string;
}

let labs = 0;

/**
 * Client, gateway and server, each in a network namespace:
 *
 * ```text
 * client eth0 ---- eth0 gateway eth1 ---- eth0 server
 * 10.77.1.2    10.77.1.1   10.77.2.1    10.77.2.2
 * fd77:1::2    fd77:1::1   fd77:2::1    fd77:2::2
 * ```
 *
 * All of it goes with {@link Lab.close} or with this process, however that ends. Needs root.
 */
export class Lab implements AsyncDisposable {
  readonly client: Host;
  readonly gateway: Namespace;
  readonly server: Host;
  readonly options: Readonly<LabOptions>;
  readonly #prefix: string;
  readonly #hosts: Host[];
  readonly #onBridge = new Set<Host>();
  #links = 2;
  #bridged = 2;

  private constructor(prefix: string, options: LabOptions, gateway: Namespace, client: Host, server: Host) {
    this.#prefix = prefix;
    this.options = options;
    this.gateway = gateway;
    this.client = client;
    this.server = server;
    this.#hosts = [client, server];
  }

  /** Builds a lab; when that fails, what was built is removed. */
  static async create(options: LabOptions = {}): Promise<Lab> {
    if (process.getuid?.() !== 0) throw new Error('a lab makes network namespaces: run it as root');
    if (options.tun && options.bridge && options.tun !== 'server') {
      throw new TypeError('a TUN interface has no Ethernet header and cannot be a port of a bridge');
    }
    await sweep();
    const prefix = nextPrefix();
    const made: Namespace[] = [];
    try {
      const gateway = await Namespace.create(`${prefix}-gw`);
      made.push(gateway);
      const client = await Host.at(`${prefix}-client`, { subnet: 1, number: 2, gatewayInterface: 'eth0' });
      made.push(client);
      const server = await Host.at(`${prefix}-server`, { subnet: 2, number: 2, gatewayInterface: 'eth1' });
      made.push(server);
      const lab = new Lab(prefix, options, gateway, client, server);
      await lab.#build();
      return lab;
    } catch (error) {
      await Promise.all(made.map((namespace) => namespace.close()));
      throw error;
    }
  }

  /** Adds a host: `eth2`, `eth3`, … of the gateway with 10.77.3.2, 10.77.4.2, …; bridged: 10.77.1.3, 10.77.1.4, … */
  async addHost(name: string, { bridged = false }: HostOptions = {}): Promise<Host> {
    if (bridged && !this.options.bridge) throw new TypeError('this lab has no bridge');
    const gatewayInterface = `eth${this.#links++}`;
    const place = bridged
      ? { subnet: 1, number: ++this.#bridged, gatewayInterface }
      : { subnet: this.#links, number: 2, gatewayInterface };
    const host = await Host.at(`${this.#prefix}-${name}`, place);
    this.#hosts.push(host);
    await quiet(host);
    await this.#veth(host);
    await this.#address(host, bridged);
    return host;
  }

  /**
   * Makes the gateway deliver packets for an address nobody has to a host, where the kernel drops them unseen: a place for
   * raw packets in which no kernel answers with resets. The link must have Ethernet headers.
   */
  async addSilentAddress(host: Host, address: string): Promise<void> {
    const device = this.gatewayDevice(host);
    await this.gateway.run('ip', ['neigh', 'replace', address, 'lladdr', await this.mac(host), 'dev', device]);
  }

  /** The gateway's interface that has the address on this host's link: `br0` for hosts on the bridge. */
  gatewayDevice(host: Host): string {
    return this.#onBridge.has(host) ? 'br0' : host.gatewayInterface;
  }

  /** MAC address of an interface, by default `eth0`. */
  async mac(namespace: Namespace, networkInterface = 'eth0'): Promise<string> {
    const text = await namespace.run('ip', ['-j', 'link', 'show', 'dev', networkInterface]);
    const [link] = JSON.parse(text) as { address?: string }[];
    if (!link?.address) throw new Error(`${networkInterface} in ${namespace.name} has no MAC address`);
    return link.address;
  }

  /** Every namespace of the lab. */
  get namespaces(): readonly Namespace[] {
    return [this.gateway, ...this.#hosts];
  }

  /** Kills what runs in the lab and removes it. */
  async close(): Promise<void> {
    await Promise.all(this.namespaces.map((namespace) => namespace.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #build(): Promise<void> {
    const { client, server, gateway, options } = this;
    await Promise.all(this.namespaces.map(quiet));
    await gateway.sysctl({
      'net.ipv4.ip_forward': 1,
      ...(options.ipv6 === false ? {} : { 'net.ipv6.conf.all.forwarding': 1 }),
    });
    for (const side of ['client', 'server'] as const) {
      const host = this[side];
      const delay = side === 'client' ? (options.rttMs ?? 0) * 500 : 0;
      if (options.tun === true || options.tun === side) await this.#wire(host, 'tun', delay);
      else if (delay > 0) await this.#wire(host, 'tap', delay);
      else await this.#veth(host);
    }
    if (options.bridge) {
      await gateway.run('ip', ['-batch', '-'], { input: 'link add br0 type bridge\nlink set br0 up\n' });
    }
    await this.#address(client, options.bridge ?? false);
    await this.#address(server, false);
    if (options.masquerade) {
      await server.run('ip', ['-batch', '-'], { input: 'route del default\n' });
      if (options.ipv6 !== false) await server.run('ip', ['-6', 'route', 'del', 'default']);
      await gateway.nft(`table inet lab {
        chain postrouting { type nat hook postrouting priority srcnat; oifname "eth1" masquerade; }
      }`);
    }
  }

  async #veth(host: Host): Promise<void> {
    await run('ip', [
      ...['link', 'add', 'eth0', 'netns', host.name, 'type', 'veth'],
      ...['peer', 'name', host.gatewayInterface, 'netns', this.gateway.name],
    ]);
  }

  async #wire(host: Host, mode: 'tun' | 'tap', delayUs: number): Promise<void> {
    const wire = await Namespace.here.spawn(nativeTool('wire'), [
      ...[mode, host.path, 'eth0', this.gateway.path, host.gatewayInterface, String(Math.round(delayUs))],
    ]);
    await wire.waitFor(/ready/);
  }

  async #address(host: Host, bridged: boolean): Promise<void> {
    if (bridged) this.#onBridge.add(host);
    const port = host.gatewayInterface;
    const device = this.gatewayDevice(host);
    const ipv6 = this.options.ipv6 !== false;
    const first = host === this.client || !bridged;
    const gatewaySide = [`link set ${port} up`];
    if (bridged) gatewaySide.push(`link set ${port} master br0`);
    if (first) gatewaySide.push(`addr add ${host.gatewayIpv4}/24 dev ${device}`);
    if (first && ipv6) gatewaySide.push(`addr add ${host.gatewayIpv6}/64 dev ${device} nodad`);
    const hostSide = ['link set eth0 up', `addr add ${host.ipv4}/24 dev eth0`];
    if (ipv6) hostSide.push(`addr add ${host.ipv6}/64 dev eth0 nodad`);
    hostSide.push(`route add default via ${host.gatewayIpv4}`);
    if (ipv6) hostSide.push(`route add default via ${host.gatewayIpv6}`);
    await this.gateway.run('ip', ['-batch', '-'], { input: gatewaySide.join('\n') });
    await host.run('ip', ['-batch', '-'], { input: hostSide.join('\n') });
    if (this.options.offload === false) {
      for (const [namespace, name] of [
        [this.gateway, port],
        [host, 'eth0'],
      ] as const) {
        await namespace.run('ethtool', ['-K', name, 'gro', 'off', 'gso', 'off', 'tso', 'off']);
      }
    }
  }
}

/** Before any interface exists: addresses are usable at once, nothing is solicited, nothing is filtered by source. */
async function quiet(namespace: Namespace): Promise<void> {
  await namespace.sysctl({
    'net.ipv4.conf.all.rp_filter': 0,
    'net.ipv4.conf.default.rp_filter': 0,
    'net.ipv6.conf.all.accept_dad': 0,
    'net.ipv6.conf.default.accept_dad': 0,
    'net.ipv6.conf.default.router_solicitations': 0,
    // Some tests open thousands of connections: ephemeral ports must not be the limit.
    'net.ipv4.ip_local_port_range': '10000 65535',
  });
}

function nextPrefix(): string {
  for (;;) {
    // Worker threads share a pid, and so may two copies of this module: the name decides.
    const prefix = `relatd-${process.pid}-${threadId === 0 ? '' : `${threadId}t`}${++labs}`;
    if (!existsSync(`/run/netns/${prefix}-gw`)) return prefix;
  }
}

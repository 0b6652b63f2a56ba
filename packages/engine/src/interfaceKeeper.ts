// SPDX-License-Identifier: Apache-2.0
import type { Config } from '@relatd/config';
import { chainPrograms, type Datapath, type Interface, type Namespace } from '@relatd/datapath';
import { RelatdError, type InterfaceStatus } from '@relatd/model';
import { planInterfaces, type InterfacePlan, type WatchedInterface } from './interfaces.js';

/** Keeps the programs on the interfaces that the configuration names, as these come and go. */
export class InterfaceKeeper {
  readonly #namespace: Namespace;
  readonly #datapath: Datapath;
  readonly #logger: { info(message: string): void; warn(message: string): void };
  readonly #watch: { close(): void };
  readonly #modes = new Map<number, 'tcx' | 'clsact'>();
  readonly #problems = new Map<number, string>();
  #names = new Map<number, string>();
  #plan: InterfacePlan = { watched: [], missing: [], entries: [] };
  #config: Config | null = null;
  #closed = false;
  /** Called with a look-up by name whenever interfaces may have other numbers. */
  onChange: (ifindexOf: (name: string) => number | undefined) => void = () => undefined;
  holdDevice: string | null = null;

  constructor(
    namespace: Namespace,
    datapath: Datapath,
    logger: { info(message: string): void; warn(message: string): void },
  ) {
    this.#namespace = namespace;
    this.#datapath = datapath;
    this.#logger = logger;
    this.#watch = namespace.watch(() => {
      this.#refresh();
    });
  }

  get watched(): readonly WatchedInterface[] {
    return this.#plan.watched;
  }

  get missing(): readonly string[] {
    return this.#plan.missing;
  }

  /** The name of an ifindex, also of one that was there before. */
  name(ifindex: number): string {
    return this.#names.get(ifindex) ?? `#${String(ifindex)}`;
  }

  apply(config: Config): void {
    this.#config = config;
    this.#refresh();
  }

  /** At the start an interface that is not there is an error; later it may come back. */
  requireAll(config: Config): void {
    const [missing] = this.missing;
    if (config.interfaces !== 'auto' && missing !== undefined) throw RelatdError.of('INTERFACE_MISSING', missing);
    for (const { ifindex, name } of this.watched) {
      const problem = this.#problems.get(ifindex);
      if (problem !== undefined) throw RelatdError.of('INTERNAL', `${name}: ${problem}`);
    }
  }

  #refresh(): void {
    const config = this.#config;
    if (config === null || this.#closed) return;
    const interfaces: readonly Interface[] = this.#namespace.interfaces();
    for (const { index, name } of interfaces) this.#names.set(index, name);
    const plan = planInterfaces(interfaces, config, this.holdDevice);
    const numbers = new Map(interfaces.map(({ index, name }) => [name, index]));
    // Known before the first packet: an interface without entry is left alone.
    this.#datapath.setInterfaces(plan.entries);
    this.onChange((name) => numbers.get(name));
    const wanted = new Set(plan.watched.map(({ ifindex }) => ifindex));
    for (const one of plan.watched) this.#attach(one, config);
    for (const ifindex of this.#datapath.attachedInterfaces()) {
      if (wanted.has(ifindex)) continue;
      this.#datapath.detach(ifindex);
      this.#modes.delete(ifindex);
      this.#logger.info(`no longer watching ${this.name(ifindex)}`);
    }
    this.#plan = plan;
  }

  #attach({ ifindex, name, hasEthernetHeader }: WatchedInterface, config: Config): void {
    if (this.#modes.has(ifindex) && this.#attached(ifindex)) return;
    try {
      const mode = this.#datapath.attach(ifindex, hasEthernetHeader, { mode: config.attach, ...config.order });
      this.#modes.set(ifindex, mode);
      this.#problems.delete(ifindex);
      this.#logger.info(`watching ${name} (${mode})`);
    } catch (error) {
      // It may have vanished between the look and the attach; then the next change tells.
      const message = error instanceof Error ? error.message : String(error);
      this.#problems.set(ifindex, message);
      this.#logger.warn(`${name}: ${message}`);
    }
  }

  #attached(ifindex: number): boolean {
    return chainPrograms(this.#namespace, ifindex, 'ingress').some(({ ours }) => ours);
  }

  status(): InterfaceStatus[] {
    const watched = this.#plan.watched.map(({ name, ifindex, zone }) => {
      const chain = {
        ingress: chainPrograms(this.#namespace, ifindex, 'ingress'),
        egress: chainPrograms(this.#namespace, ifindex, 'egress'),
      };
      const problems = [];
      const problem = this.#problems.get(ifindex);
      if (problem !== undefined) problems.push(problem);
      if (!chain.ingress.some(({ ours }) => ours)) problems.push('the programs are not attached at ingress');
      if (!chain.egress.some(({ ours }) => ours)) problems.push('the programs are not attached at egress');
      const first = chain.ingress[0];
      if (this.#config?.order.ingress === 'first' && first !== undefined && !first.ours)
        problems.push(`${first.name} runs before relatd at ingress: what it redirects is not seen`);
      const mode = this.#modes.get(ifindex) ?? null;
      return { name, ifindex, watched: true, mode, zone, neighbours: chain, problems };
    });
    const missing = this.#plan.missing.map((name) => ({
      name,
      ifindex: 0,
      watched: false,
      mode: null,
      zone: 0,
      neighbours: { ingress: [], egress: [] },
      problems: ['it is configured and not there'],
    }));
    return [...watched, ...missing];
  }

  close(): void {
    this.#closed = true;
    this.#watch.close();
  }
}

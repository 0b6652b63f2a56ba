// SPDX-License-Identifier: Apache-2.0
import type { Config } from '@relatd/config';
import { attachedMode, chainPrograms, type Datapath, type Interface, type Namespace } from '@relatd/datapath';
import { RelatdError, type InterfaceStatus } from '@relatd/model';
import { messageOf } from './failure.js';
import { planInterfaces, type InterfacePlan, type WatchedInterface } from './interfaces.js';

/** How many interfaces that are gone are remembered by name. */
const NAMES_OF_GONE = 4096;

/** Keeps the programs on the interfaces that the configuration names, as these come and go. */
export class InterfaceKeeper {
  readonly #namespace: Namespace;
  readonly #datapath: Datapath;
  readonly #logger: { info(message: string): void; warn(message: string): void };
  readonly #watch: { close(): void };
  readonly #problems = new Map<number, string>();
  /** Where programs of ours are, an earlier daemon's included. */
  #attached = new Set<number>();
  /** Where they are this daemon's, in the way its configuration says. */
  readonly #taken = new Set<number>();
  #names = new Map<number, string>();
  #numbers: ReadonlyMap<string, number> = new Map();
  #plan: InterfacePlan = { watched: [], missing: [], entries: [] };
  #config: Config | null = null;
  #assign: (ifindexOf: (name: string) => number | undefined) => void = () => undefined;
  #closed = false;
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
      try {
        this.#refresh(false);
      } catch (error) {
        // The next change tries again.
        this.#logger.warn(`interfaces: ${messageOf(error)}`);
      }
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

  /** `assign` is called with a look-up by name, now and whenever interfaces have other numbers. */
  apply(config: Config, assign: (ifindexOf: (name: string) => number | undefined) => void): void {
    // What an earlier daemon left, clsact filters included, which have no pins.
    if (this.#config === null) this.#attached = new Set(this.#datapath.attachedInterfaces());
    this.#config = config;
    this.#assign = assign;
    this.#refresh(true);
  }

  /** At the start an interface that is not there is an error; later it may come back. */
  requireAll(config: Config): void {
    const [missing] = this.missing;
    if (config.interfaces !== 'auto' && missing !== undefined) throw RelatdError.of('INTERFACE_MISSING', missing);
    for (const { ifindex, name } of this.watched) {
      const problem = this.#problems.get(ifindex);
      if (problem !== undefined) throw new Error(`${name}: ${problem}`);
    }
  }

  #refresh(configChanged: boolean): void {
    const config = this.#config;
    if (config === null || this.#closed) return;
    const interfaces: readonly Interface[] = this.#namespace.interfaces();
    const plan = planInterfaces(interfaces, config, this.holdDevice);
    const present = new Set(interfaces.map(({ index }) => index));
    const wanted = new Set(plan.watched.map(({ ifindex }) => ifindex));
    this.#rename(interfaces);
    // Known before the first packet: an interface without entry is left alone.
    this.#datapath.setInterfaces(plan.entries);
    const numbers = new Map(interfaces.map(({ index, name }) => [name, index]));
    const moved = config.assignments.some(
      ({ interface: by }) => by !== null && numbers.get(by) !== this.#numbers.get(by),
    );
    this.#numbers = numbers;
    if (configChanged || moved) this.#assign((name) => numbers.get(name));
    for (const one of plan.watched) this.#attach(one, config);
    for (const ifindex of this.#attached) {
      if (wanted.has(ifindex)) continue;
      this.#datapath.detach(ifindex);
      this.#attached.delete(ifindex);
      this.#taken.delete(ifindex);
      this.#logger.info(`no longer watching ${this.name(ifindex)}`);
    }
    for (const ifindex of this.#problems.keys()) if (!present.has(ifindex)) this.#problems.delete(ifindex);
    this.#plan = plan;
  }

  /** Flows are shown with the name of an interface that is gone, but not for ever. */
  #rename(interfaces: readonly Interface[]): void {
    if (this.#names.size > interfaces.length + NAMES_OF_GONE) this.#names = new Map();
    for (const { index, name } of interfaces) this.#names.set(index, name);
  }

  #attach({ ifindex, name, hasEthernetHeader }: WatchedInterface, config: Config): void {
    // Asked of the kernel: a filter can be deleted, an interface come again with the same number.
    if (this.#taken.has(ifindex) && attachedMode(this.#namespace, ifindex) !== null) return;
    try {
      const mode = this.#datapath.attach(ifindex, hasEthernetHeader, { mode: config.attach, ...config.order });
      this.#attached.add(ifindex);
      this.#taken.add(ifindex);
      this.#problems.delete(ifindex);
      this.#logger.info(`watching ${name} (${mode})`);
    } catch (error) {
      // It may have vanished between the look and the attach; then the next change tells.
      const message = messageOf(error);
      this.#problems.set(ifindex, message);
      this.#logger.warn(`${name}: ${message}`);
    }
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
        problems.push(
          `${first.name === '' ? `program ${String(first.id)}` : first.name} runs before relatd at ingress: what it redirects is not seen`,
        );
      const mode = attachedMode(this.#namespace, ifindex);
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

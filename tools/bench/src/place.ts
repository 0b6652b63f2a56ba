// SPDX-License-Identifier: Apache-2.0
import { Namespace as LabNamespace } from '@relatd/lab';
import { Namespace, type Sizes } from '@relatd/datapath';
import { LoadedDatapath } from './loadedDatapath.js';

/** A namespace with two interfaces and a datapath that sees clients on one of them, servers on the other. */
export class Place {
  readonly loaded: LoadedDatapath;
  readonly #namespace: LabNamespace;

  private constructor(namespace: LabNamespace, loaded: LoadedDatapath) {
    this.#namespace = namespace;
    this.loaded = loaded;
  }

  static async create(name: string, sizes?: Sizes): Promise<Place> {
    const namespace = await LabNamespace.create(`relatd-${String(process.pid)}-${name}`);
    try {
      await namespace.run('ip', ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1']);
      for (const side of ['eth0', 'eth1']) await namespace.run('ip', ['link', 'set', side, 'up']);
      const entered = Namespace.open(namespace.name);
      const index = new Map(entered.interfaces().map((one) => [one.name, one.index]));
      const sides = { client: index.get('eth0') ?? 0, server: index.get('eth1') ?? 0 };
      return new Place(namespace, new LoadedDatapath(entered, sides, sizes));
    } catch (error) {
      await namespace.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    try {
      this.loaded.close();
    } finally {
      await this.#namespace.close();
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import { Lab } from '@relatd/lab';
import type { Expectation } from '@relatd/model';
import { eventually, startGateway, type Gateway } from './gateway.js';
import type { Expected, Master, Tracker } from './script.js';

/** relatd at work in a lab's gateway, and no firewall. */
export class RelatdTracker implements Tracker, AsyncDisposable {
  readonly lab: Lab;
  readonly gateway: Gateway;

  private constructor(lab: Lab, gateway: Gateway) {
    this.lab = lab;
    this.gateway = gateway;
  }

  /** Builds the lab, as netfilter's is built, and starts the daemon. */
  static async open(config: object): Promise<RelatdTracker> {
    const lab = await Lab.create({ offload: false });
    try {
      return new RelatdTracker(lab, await startGateway(lab, { config, firewall: 'none' }));
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async expectations(master: Master): Promise<Expected[]> {
    const id = await this.#id(master);
    const live = await this.gateway.expectations();
    const told = this.gateway.of('expectation.new').map(({ expectation }) => expectation);
    return [...live, ...told]
      .filter((expectation) => expectation.master === id)
      .map((expectation) => read(expectation, master));
  }

  /** A datagram has no end, and the next control connection has another port. */
  async forget(master: Master): Promise<void> {
    if (master.protocol === 'udp') return;
    const id = await this.#id(master);
    await this.gateway.event('control.end', ({ flow }) => flow.id === id);
    await eventually(
      async () =>
        (await this.gateway.expectations()).some((expectation) => expectation.master === id) ? undefined : true,
      () => 'the expectations of a connection that was reset have stayed',
    );
  }

  async close(): Promise<void> {
    try {
      await this.gateway.close();
    } finally {
      await this.lab.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Id of the control flow. */
  async #id({ client, server }: Master): Promise<string> {
    const { flow } = await this.gateway.event('control.new', ({ flow: { source, destination } }) => {
      return source.port === client.port && source.address === client.address && destination.port === server.port;
    });
    return flow.id;
  }
}

function read({ protocol, source, destination }: Expectation, { client }: Master): Expected {
  const { address, port } = destination;
  if (address === null || typeof port !== 'number')
    throw new Error('netfilter has no expectation with such a destination');
  return {
    protocol,
    source: source.address,
    destination: address,
    port: address === client.address && port === client.port ? 'own' : port,
  };
}

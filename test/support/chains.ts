// SPDX-License-Identifier: Apache-2.0
import { Lab, type Host, type Namespace } from '@relatd/lab';
import { startGateway, type Gateway, type GatewayOptions } from './gateway.js';
import { download, serve } from './session.js';

/** A lab whose gateway has a daemon and, like the server, vsftpd. */
export interface Stage {
  readonly lab: Lab;
  readonly gateway: Gateway;
}

interface Expected {
  readonly families?: readonly ('ipv4' | 'ipv6')[];
  readonly timeoutMs?: number;
}

/** Enough to see that nothing comes through. */
export const nothing: Expected = { families: ['ipv6'], timeoutMs: 700 };

/** Who opens data connections to whom, by the chain that sees them. FTP, both families. */
export async function transfers(
  { lab }: Stage,
  { families = ['ipv4', 'ipv6'], timeoutMs = 5000 }: Expected = {},
): Promise<Record<string, boolean>> {
  const found: Record<string, boolean> = {};
  const ways: [string, Namespace, Host | 'gateway', 'passive' | 'active'][] = [
    ['FORWARD', lab.client, lab.server, 'passive'],
    ['FORWARD back', lab.client, lab.server, 'active'],
    ['INPUT', lab.client, 'gateway', 'passive'],
    ['OUTPUT of a client', lab.gateway, lab.server, 'passive'],
    ['OUTPUT of a server', lab.client, 'gateway', 'active'],
    ['INPUT of a client', lab.gateway, lab.server, 'active'],
  ];
  for (const family of families) {
    const gatewayAddress = family === 'ipv4' ? lab.client.gatewayIpv4 : lab.client.gatewayIpv6;
    const results = await Promise.all(
      ways.map(async ([name, client, server, mode]) => {
        const address = server === 'gateway' ? gatewayAddress : server[family];
        const { code, bytesOk } = await download(client, { server: address, mode, timeoutMs });
        return [`${name}, ${family}`, code === 0 && bytesOk] as const;
      }),
    );
    for (const [name, worked] of results) found[name] = worked;
  }
  return found;
}

/** What did not work of {@link transfers}. */
export function failed(worked: Record<string, boolean>): string[] {
  return Object.entries(worked).flatMap(([name, yes]) => (yes ? [] : [name]));
}

/** No firewall is loaded. */
export async function openStage(options: GatewayOptions): Promise<Stage & AsyncDisposable> {
  const lab = await Lab.create();
  const gateway = await startGateway(lab, { firewall: 'none', ephemeral: false, ...options });
  const servers = [await serve(lab.server), await serve(lab.gateway)];
  return {
    lab,
    gateway,
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]();
      await gateway.close();
      await lab.close();
    },
  };
}

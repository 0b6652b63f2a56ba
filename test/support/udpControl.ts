// SPDX-License-Identifier: Apache-2.0
import type { Namespace } from '@relatd/lab';
import type { Firewall } from './gateway.js';

/** Lets new control connections over UDP through a firewall of `gateway.ts`, which knows those over TCP alone. */
export async function acceptUdp(namespace: Namespace, firewall: Firewall, port: number): Promise<void> {
  switch (firewall) {
    case 'nft':
      return namespace.nft(`add rule inet filter forward ct state new udp dport ${port} accept\n`);
    case 'mark-only':
      return namespace.nft(`add rule inet filter forward udp dport ${port} accept\n`);
    case 'iptables':
      for (const tool of ['iptables', 'ip6tables'] as const) {
        const match = ['-p', 'udp', '--dport', String(port), '-m', 'conntrack', '--ctstate', 'NEW'];
        await namespace.iptables(['-A', 'FORWARD', ...match, '-j', 'ACCEPT'], tool);
      }
      return;
    case 'none':
  }
}

// SPDX-License-Identifier: Apache-2.0
import { Lab } from '@relatd/lab';

/** Ports of control connections: the light server's, vsftpd's. */
export const CONTROL_PORTS = [21, 2121] as const;

const PORTS = `{ ${CONTROL_PORTS.join(', ')} }`;
const RELATED_RULE = 'meta mark & 0xff000000 == 0x52000000 accept';
const helper = `ct helper ftp {
    type "ftp" protocol tcp
  }
  chain prerouting {
    type filter hook prerouting priority filter
    tcp dport ${PORTS} ct helper set "ftp"
  }`;

/** Firewalls of the gateway: what a data connection needs is open, everything else closed. */
export const FIREWALLS = {
  nothing: '',
  /** Tracking with netfilter's own helper, and nothing that is decided by it. */
  conntrack: `table inet bench {
  ${helper}
}`,
  /** netfilter's own helper. */
  netfilter: `table inet bench {
  ${helper}
  chain forward {
    type filter hook forward priority filter; policy drop
    ct state established,related accept
    tcp dport ${PORTS} ct state new accept
  }
}`,
  /** relatd's mark alone: no conntrack. */
  mark: `table inet bench {
  counter unexpected {
  }
  chain forward {
    type filter hook forward priority filter; policy drop
    ${RELATED_RULE}
    tcp dport ${PORTS} accept
    tcp sport ${PORTS} accept
    tcp flags & (syn | ack) == syn counter name unexpected
  }
}`,
  /** What stands where rules were written for a kernel helper, without one. */
  existing: `table inet bench {
  chain forward {
    type filter hook forward priority filter; policy drop
    ct state established,related accept
    tcp dport ${PORTS} ct state new accept
  }
}`,
  /** What `relatd rules nft\` recommends: the first packet by mark, the rest by conntrack. */
  rules: `table inet bench {
  chain forward {
    type filter hook forward priority filter; policy drop
    ct state established accept
    ${RELATED_RULE}
    tcp dport ${PORTS} ct state new accept
  }
}`,
} as const;

export type Firewall = keyof typeof FIREWALLS;

/** A lab whose gateway has that firewall. */
export async function buildLab(firewall: Firewall): Promise<Lab> {
  const lab = await Lab.create({ ipv6: false });
  try {
    const rules = FIREWALLS[firewall];
    if (rules !== '') await lab.gateway.nft(`${rules}\n`);
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** Closes what can be closed, last made first, and throws the first error at the end. */
export async function closeAll(things: readonly { close(): Promise<void> | void }[]): Promise<void> {
  const errors: unknown[] = [];
  for (const thing of [...things].reverse()) {
    try {
      await thing.close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

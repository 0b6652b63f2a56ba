// SPDX-License-Identifier: Apache-2.0

/** Counters of one network namespace since it was made. */
export interface TcpStats {
  /** TcpExt.TCPSynRetrans: SYN and SYN-ACK segments that were sent again. */
  synRetransmits: number;
  /** Tcp.RetransSegs: segments that were sent again, SYNs included. */
  retransmits: number;
  /** Tcp.ActiveOpens: connections opened from here. */
  activeOpens: number;
  /** Every counter of /proc/net/snmp and /proc/net/netstat by names such as `TcpExt.TCPTimeouts`. */
  all: ReadonlyMap<string, number>;
}

/** Reads the texts of /proc/net/snmp and /proc/net/netstat, one after the other: pairs of lines, names then numbers. */
export function parseTcpStats(text: string): TcpStats {
  const all = new Map<string, number>();
  const lines = text.trimEnd().split('\n');
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [group = '', ...names] = (lines[i] ?? '').split(' ');
    const [, ...values] = (lines[i + 1] ?? '').split(' ');
    names.forEach((name, at) => all.set(group.replace(':', '.') + name, Number(values[at])));
  }
  const get = (name: string): number => {
    const value = all.get(name);
    if (value === undefined) throw new Error(`this kernel has no counter ${name}`);
    return value;
  };
  return {
    synRetransmits: get('TcpExt.TCPSynRetrans'),
    retransmits: get('Tcp.RetransSegs'),
    activeOpens: get('Tcp.ActiveOpens'),
    all,
  };
}

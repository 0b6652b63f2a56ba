// SPDX-License-Identifier: Apache-2.0
import { formatMark, formatPorts, type PortRange, type Protocol } from '@relatd/model';
import type { Config } from './config.js';

/** One rule: new connections with this mark to these ports. */
interface Accept {
  readonly protocol: Protocol;
  readonly mark: number;
  readonly ports: PortRange;
  readonly names: string[];
}

/** Assignments whose rule would be the same share one. */
function accepts(config: Config): Accept[] {
  const found = new Map<string, Accept>();
  for (const { name, mark, data } of config.assignments) {
    for (const protocol of data.protocols) {
      const key = `${protocol} ${String(mark)} ${formatPorts(data.ports)}`;
      const accept = found.get(key);
      if (accept === undefined) found.set(key, { protocol, mark, ports: data.ports, names: [name] });
      else accept.names.push(name);
    }
  }
  return [...found.values()];
}

/** A rule's comment; nft takes 127 bytes, iptables 255. */
function comment(names: readonly string[]): string {
  const all = `relatd: ${names.join(' ')}`;
  if (all.length <= 120) return all;
  return `relatd: ${names[0] ?? ''} and ${String(names.length - 1)} more`;
}

const REST = 'relatd: the rest of accepted connections';

/**
 * What `relatd rules nft` prints: a chain `relatd` for `nft -f -`, or to paste from. It accepts the first packet of a
 * related flow by its mark, and the rest by `ct state established`. Should a kernel helper be at work as well, that first
 * packet has state related: both are accepted, the mark decides.
 */
export function nftRules(config: Config): string {
  const lines = [
    '# Accepts what relatd marks as RELATED: new connections by mark, the rest by connection tracking.',
    '#   relatd rules nft | nft -f -    makes chain relatd in table inet filter, and jumps to it from input and forward',
    '# nftables drops what any base chain drops. If your firewall is not in table inet filter, chains input and forward,',
    '# write its names here instead, or paste the rules of chain relatd into your own chains before what drops.',
    '# Control connections need a rule of yours, like: tcp dport 21 accept',
    'table inet filter {',
    '\tchain input {',
    '\t\ttype filter hook input priority filter',
    '\t}',
    '\tchain forward {',
    '\t\ttype filter hook forward priority filter',
    '\t}',
    '\tchain relatd {',
    '\t}',
    '}',
    'flush chain inet filter relatd',
    'table inet filter {',
    '\tchain relatd {',
    `\t\tct state established accept comment "${REST}"`,
    '\t\t# Only needed if you want what connection tracking itself calls related: ICMP errors of accepted connections.',
    '\t\t# meta l4proto { icmp, icmpv6 } ct state related accept',
  ];
  for (const { protocol, mark, ports, names } of accepts(config)) {
    lines.push(
      `\t\tmeta mark & ${formatMark(config.mark.mask)} == ${formatMark(mark)} ct state new,related ${protocol} dport ${formatPorts(ports)} accept comment "${comment(names)}"`,
    );
  }
  lines.push(
    '\t}',
    '}',
    '# Only the first time: each further one adds a jump that does nothing more.',
    'insert rule inet filter input jump relatd',
    'insert rule inet filter forward jump relatd',
  );
  return `${lines.join('\n')}\n`;
}

/** What `relatd rules iptables` prints: commands for a shell, for both families. Can be run again. */
export function iptablesRules(config: Config): string {
  const lines = [
    '# Accepts what relatd marks as RELATED: new connections by mark, the rest by connection tracking.',
    '#   relatd rules iptables | sh    makes chain relatd, and jumps to it first in INPUT and FORWARD; can be run again',
    '# Control connections need a rule of yours, like: iptables -A FORWARD -p tcp --dport 21 -j ACCEPT',
  ];
  for (const [command, icmp] of [
    ['iptables', 'icmp'],
    ['ip6tables', 'ipv6-icmp'],
  ] as const) {
    const run = `${command} -w`;
    lines.push(
      `${run} -N relatd 2>/dev/null || ${run} -F relatd`,
      `${run} -A relatd -m conntrack --ctstate ESTABLISHED -m comment --comment "${REST}" -j ACCEPT`,
      '# Only needed if you want what connection tracking itself calls related: ICMP errors of accepted connections.',
      `# ${run} -A relatd -p ${icmp} -m conntrack --ctstate RELATED -j ACCEPT`,
    );
    for (const { protocol, mark, ports, names } of accepts(config)) {
      lines.push(
        `${run} -A relatd -p ${protocol} --dport ${formatPorts(ports).replace('-', ':')} -m mark --mark ${formatMark(mark)}/${formatMark(config.mark.mask)} -m conntrack --ctstate NEW,RELATED -m comment --comment "${comment(names)}" -j ACCEPT`,
      );
    }
    for (const chain of ['INPUT', 'FORWARD']) {
      lines.push(`${run} -C ${chain} -j relatd 2>/dev/null || ${run} -I ${chain} -j relatd`);
    }
  }
  return `${lines.join('\n')}\n`;
}

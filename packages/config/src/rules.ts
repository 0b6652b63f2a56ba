// SPDX-License-Identifier: Apache-2.0
import { MATCH_DIRECTORY, formatMark, formatPorts, matchName, type PortRange, type Protocol } from '@relatd/model';
import type { Assignment, Config } from './config.js';

/** One rule: new connections with this mark to these ports. */
interface Accept {
  readonly protocol: Protocol;
  readonly mark: number;
  readonly ports: PortRange;
  readonly names: string[];
}

/** What rules are to be printed. */
export interface RulesOptions {
  /** Only those of the assignment of this name, which the configuration has; null: of all. */
  readonly assignment: string | null;
}

function chosen(config: Config, { assignment }: RulesOptions): readonly Assignment[] {
  return config.assignments.filter(({ name }) => assignment === null || name === assignment);
}

/** Assignments whose rule would be the same share one. */
function accepts(assignments: readonly Assignment[]): Accept[] {
  const found = new Map<string, Accept>();
  for (const { name, mark, data } of assignments) {
    for (const protocol of data.protocols) {
      const key = `${protocol} ${String(mark)} ${formatPorts(data.ports)}`;
      const accept = found.get(key);
      if (accept === undefined) found.set(key, { protocol, mark, ports: data.ports, names: [name] });
      else accept.names.push(name);
    }
  }
  return [...found.values()];
}

/**
 * A sentence about an assignment whose rules by mark would accept related flows of others too, because its mark is theirs
 * as well; null: its mark is its own.
 */
export function sharedMark(config: Config, name: string): string | null {
  const mark = config.assignments.find((assignment) => assignment.name === name)?.mark;
  const others = config.assignments.filter((other) => other.mark === mark && other.name !== name);
  if (mark === undefined || others.length === 0) return null;
  const free = freeMark(config, mark);
  const advice =
    free === null
      ? 'every other mark inside mark.mask is in use'
      : `give ${name} one of its own with "mark: ${formatMark(free)}"`;
  const who = others.length > 3 ? `${String(others.length)} others` : others.map((other) => other.name).join(', ');
  return `${name} shares the mark ${formatMark(mark)} with ${who}: rules by mark cannot tell them apart; ${advice}`;
}

/** The next mark behind `mark` that no assignment has; null: there is none. */
function freeMark({ assignments, mark: { mask } }: Config, mark: number): number | null {
  // The bits outside of the mask are set, so that a carry goes through them.
  const next = (value: number): number => (((value | ~mask) + 1) & mask) >>> 0;
  for (let free = next(mark); free !== mark; free = next(free))
    if (free !== 0 && !assignments.some((assignment) => assignment.mark === free)) return free;
  return null;
}

/** Lines about a choice of one assignment; none about all of them. */
function aboutChoice(config: Config, assignment: string | null, byMark: boolean): string[] {
  if (assignment === null) return [];
  const shared = byMark ? sharedMark(config, assignment) : null;
  return [
    `# Only assignment ${assignment}: chain relatd has no other rules once this is loaded.`,
    ...(shared === null ? [] : [`# ${shared}.`]),
  ];
}

/** A rule's comment; nft takes 127 bytes, iptables 255. */
function comment(names: readonly string[]): string {
  const all = `relatd: ${names.join(' ')}`;
  if (all.length <= 120) return all;
  return `relatd: ${names[0] ?? ''} and ${String(names.length - 1)} more`;
}

const REST = 'relatd: the rest of accepted connections';

/**
 * What `relatd rules nft` prints, for INPUT, FORWARD and OUTPUT: a chain `relatd` for `nft -f -`, or to paste from. It accepts the first packet of a
 * related flow by its mark, and the rest by `ct state established`. Should a kernel helper be at work as well, that first
 * packet has state related: both are accepted, the mark decides.
 */
export function nftRules(config: Config, options: RulesOptions = { assignment: null }): string {
  const lines = [
    '# Accepts what relatd marks as RELATED: new connections by mark, the rest by connection tracking.',
    '#   relatd rules nft | nft -f -    makes chain relatd in table inet filter, with jumps from input, forward and output',
    '# nftables drops what any base chain drops. If your firewall is not in these chains of table inet filter, write its',
    '# names here instead, or paste the rules of chain relatd into your own chains before what drops.',
    ...aboutChoice(config, options.assignment, true),
    '# Control connections need a rule of yours, like: tcp dport 21 accept',
    'table inet filter {',
    '\tchain input {',
    '\t\ttype filter hook input priority filter',
    '\t}',
    '\tchain forward {',
    '\t\ttype filter hook forward priority filter',
    '\t}',
    '\tchain output {',
    '\t\ttype filter hook output priority filter',
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
  for (const { protocol, mark, ports, names } of accepts(chosen(config, options))) {
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
    'insert rule inet filter output jump relatd',
  );
  return `${lines.join('\n')}\n`;
}

/** How rules of iptables see RELATED: by its mark, or by a program that looks the packet up (`-m bpf`). */
export interface IptablesOptions extends RulesOptions {
  readonly by: 'mark' | 'bpf';
}

/** One rule: which packets it accepts, and its comment. */
function iptablesAccepts(config: Config, options: IptablesOptions): { match: string; names: readonly string[] }[] {
  const assignments = chosen(config, options);
  if (options.by === 'bpf')
    return assignments.map(({ name }) => ({
      match: `-m bpf --object-pinned ${MATCH_DIRECTORY}/${matchName(name)}`,
      names: [name],
    }));
  return accepts(assignments).map(({ protocol, mark, ports, names }) => ({
    match: `-p ${protocol} --dport ${formatPorts(ports).replace('-', ':')} -m mark --mark ${formatMark(mark)}/${formatMark(config.mark.mask)}`,
    names,
  }));
}

/** What `relatd rules iptables` prints, for INPUT, FORWARD and OUTPUT: commands for a shell, for both families. Can be run again. */
export function iptablesRules(config: Config, options: IptablesOptions = { assignment: null, by: 'mark' }): string {
  const by =
    options.by === 'mark'
      ? ['# Accepts what relatd marks as RELATED: new connections by mark, the rest by connection tracking.']
      : [
          '# Accepts what relatd calls RELATED: new connections by its programs, the rest by connection tracking.',
          `# The programs in ${MATCH_DIRECTORY} have to be there: without them these rules are not accepted.`,
        ];
  const lines = [
    ...by,
    '#   relatd rules iptables | sh    makes chain relatd, with jumps first in INPUT, FORWARD and OUTPUT; can be run again',
    ...aboutChoice(config, options.assignment, options.by === 'mark'),
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
    for (const { match, names } of iptablesAccepts(config, options)) {
      lines.push(
        `${run} -A relatd ${match} -m conntrack --ctstate NEW,RELATED -m comment --comment "${comment(names)}" -j ACCEPT`,
      );
    }
    for (const chain of ['INPUT', 'FORWARD', 'OUTPUT']) {
      lines.push(`${run} -C ${chain} -j relatd 2>/dev/null || ${run} -I ${chain} -j relatd`);
    }
  }
  return `${lines.join('\n')}\n`;
}

// SPDX-License-Identifier: Apache-2.0
import type { Context } from './context.js';

/** A value given after an option's name, or none for a switch. */
export interface OptionSpec {
  /** As commander and the manual write it: `-c, --config <file>`. */
  readonly flags: string;
  readonly summary: string;
  /** What is used when it is absent; shown in the help. */
  readonly fallback?: string;
  /** The only values allowed. */
  readonly choices?: readonly string[];
}

export interface ArgumentSpec {
  readonly name: string;
  readonly summary: string;
  readonly required: boolean;
  readonly choices?: readonly string[];
}

export interface Example {
  readonly command: string;
  readonly summary: string;
}

/** What a command gets: its arguments in order, its options by their long name in camel case. */
export interface Invocation {
  readonly arguments: readonly (string | undefined)[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/** Does a command's work and returns the exit code: 0 done, 1 failed, 2 wrong usage or configuration. */
export type Run = (context: Context, invocation: Invocation) => Promise<number>;

/**
 * One command. Parser, help, completion and manual page come from this. What an option's value or an argument is called
 * says how it is completed: `file` and `path` as files, `helper` as a helper, `name|path` as a network namespace.
 */
export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly arguments: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  /** The code is loaded when the command runs: `relatd --help` needs neither the addon nor the server. */
  readonly load: () => Promise<{ readonly run: Run }>;
}

export const DEFAULT_CONFIG = '/etc/relatd/relatd.yaml';

const config: OptionSpec = { flags: '-c, --config <file>', summary: 'configuration file', fallback: DEFAULT_CONFIG };
const socket: OptionSpec = {
  flags: '--socket <path>',
  summary: 'socket of the daemon (else $RELATD_SOCKET, else /run/relatd/relatd.sock)',
};
const netns: OptionSpec = { flags: '--netns <name|path>', summary: 'network namespace whose packets are meant' };
const helper: OptionSpec = { flags: '--helper <name>', summary: 'only those of this helper, for example ftp' };
const assignment: OptionSpec = {
  flags: '--assignment <name>',
  summary: 'only those of this assignment, for example ftp-2121',
};
const host: OptionSpec = { flags: '--host <address|prefix>', summary: 'only those of which one end lies in it' };
const json: OptionSpec = { flags: '--json', summary: 'print JSON' };

/** Every command of `relatd`, in the order of the help. */
export const commands: readonly CommandSpec[] = [
  {
    name: 'up',
    summary: 'run the daemon in the foreground',
    arguments: [],
    options: [
      config,
      netns,
      { flags: '--socket <path>', summary: 'where to make the socket (else $RELATD_SOCKET, else listen.socket)' },
      { flags: '--ephemeral', summary: 'remove the datapath at the stop instead of leaving it in place' },
      { flags: '--discard-state', summary: 'start anew when the pinned state is of a layout this version cannot read' },
      { flags: '-v, --verbose', summary: 'log more (level debug)' },
    ],
    examples: [
      { command: 'relatd up', summary: `serve what ${DEFAULT_CONFIG} assigns` },
      { command: 'relatd up -c lab.yaml --netns gw --socket /tmp/gw.sock', summary: 'serve another network namespace' },
    ],
    load: () => import('./commands/up.js'),
  },
  {
    name: 'down',
    summary: 'detach everything and remove the pins',
    arguments: [],
    options: [netns, { flags: '--purge', summary: 'remove the programs for `iptables -m bpf` too' }, json],
    examples: [
      { command: 'relatd down', summary: 'rules that name programs of relatd stay valid, and match nothing' },
      { command: 'relatd down --purge', summary: 'leave nothing of relatd in the kernel' },
    ],
    load: () => import('./commands/down.js'),
  },
  {
    name: 'pin-match',
    summary: 'make the programs for `iptables -m bpf` before the firewall is restored, without a daemon',
    arguments: [],
    options: [config, netns],
    examples: [{ command: 'relatd pin-match', summary: 'at boot, so that iptables-restore finds what rules name' }],
    load: () => import('./commands/pin-match.js'),
  },
  {
    name: 'check',
    summary: 'validate the configuration, and find firewall rules that overwrite the mark',
    arguments: [{ name: 'file', summary: `configuration file (default ${DEFAULT_CONFIG})`, required: false }],
    options: [{ ...config, summary: 'the same, as an option' }, netns, json],
    examples: [{ command: 'relatd check relatd.yaml', summary: 'print every problem as file:line:column: message' }],
    load: () => import('./commands/check.js'),
  },
  {
    name: 'reload',
    summary: 'apply a changed configuration without losing a flow',
    arguments: [],
    options: [socket, json],
    examples: [{ command: 'relatd reload', summary: 'the same as SIGHUP, but says what came of it' }],
    load: () => import('./commands/reload.js'),
  },
  {
    name: 'flows',
    summary: 'list the control connections and related flows that are tracked now',
    arguments: [],
    options: [
      { flags: '--related', summary: 'only related flows' },
      { flags: '--control', summary: 'only control connections' },
      helper,
      assignment,
      host,
      netns,
      socket,
      json,
    ],
    examples: [
      { command: 'relatd flows --related', summary: 'data connections' },
      { command: 'relatd flows --json --helper ftp', summary: 'one JSON array, for scripts' },
    ],
    load: () => import('./commands/flows.js'),
  },
  {
    name: 'expectations',
    summary: 'list the data connections that are expected now',
    arguments: [],
    options: [helper, assignment, host, netns, socket, json],
    examples: [{ command: 'relatd expectations', summary: 'what may be opened, by whom, and for how long' }],
    load: () => import('./commands/expectations.js'),
  },
  {
    name: 'why',
    summary: 'say why a connection was RELATED, or why not',
    arguments: [
      {
        name: 'source',
        summary: 'who opened it, ADDRESS:PORT or ADDRESS; or the destination, if it is alone',
        required: true,
      },
      { name: 'destination', summary: 'ADDRESS:PORT to which it was opened; IPv6: [ADDRESS]:PORT', required: false },
    ],
    options: [
      {
        flags: '--at <time>',
        summary: 'about when it was opened, as 2026-11-22T12:00:00 or 12:00:00; else the latest is meant',
      },
      { flags: '--zone <number>', summary: 'only in this zone' },
      netns,
      socket,
      json,
    ],
    examples: [
      { command: 'relatd why 10.0.1.2:45678 10.0.2.2:40001', summary: 'one connection' },
      { command: 'relatd why 10.0.2.2:40001', summary: 'the last one to that port, whoever opened it' },
      { command: 'relatd why [2001:db8::1]:45678 [2001:db8::2]:40001 --json', summary: 'for scripts' },
    ],
    load: () => import('./commands/why.js'),
  },
  {
    name: 'monitor',
    summary: 'print events as they happen, one line each, also across restarts of the daemon',
    arguments: [],
    options: [
      helper,
      assignment,
      host,
      { flags: '--type <types>', summary: 'only these types, with commas between' },
      socket,
      json,
    ],
    examples: [
      { command: 'relatd monitor', summary: 'watch what happens, until Ctrl-C; a daemon must run at the start' },
      { command: 'relatd monitor --host 10.0.0.0/8', summary: 'only what concerns these addresses' },
      { command: 'relatd monitor --json --type related.new', summary: 'NDJSON of new data connections' },
    ],
    load: () => import('./commands/monitor.js'),
  },
  {
    name: 'top',
    summary: 'show control connections and what came of them, live',
    arguments: [],
    options: [
      helper,
      assignment,
      host,
      { flags: '--interval <time>', summary: 'time between two looks, for example 5s', fallback: '1s' },
      netns,
      socket,
    ],
    examples: [
      { command: 'relatd top', summary: 'the busiest first; ? shows the keys, q quits' },
      { command: 'relatd top --host 10.0.1.2', summary: 'only what concerns this address' },
    ],
    load: () => import('./commands/top.js'),
  },
  {
    name: 'replay',
    summary: 'print the events that a capture file would have given, offline and without root',
    arguments: [{ name: 'file', summary: 'capture file, pcap or pcapng', required: true }],
    options: [
      {
        flags: '-c, --config <file>',
        summary: `configuration whose assignments count (else ${DEFAULT_CONFIG}, else every helper on its own port)`,
      },
      json,
    ],
    examples: [
      { command: 'relatd replay trouble.pcap', summary: 'what was announced, expected, refused and why' },
      { command: 'relatd replay -c lab.yaml --json trouble.pcapng', summary: 'NDJSON, as of `relatd monitor --json`' },
    ],
    load: () => import('./commands/replay.js'),
  },
  {
    name: 'status',
    summary: 'show the daemon, its interfaces, tables, counters and losses',
    arguments: [],
    options: [netns, socket, json],
    examples: [{ command: 'relatd status', summary: 'works without a daemon too, from what is pinned' }],
    load: () => import('./commands/status.js'),
  },
  {
    name: 'rules',
    summary: 'print firewall rules that accept what the configuration calls RELATED',
    arguments: [{ name: 'syntax', summary: 'syntax of the rules', required: true, choices: ['nft', 'iptables'] }],
    options: [
      config,
      { flags: '--assignment <name>', summary: 'only those of this assignment, for example ftp-2121' },
      {
        flags: '--by <what>',
        summary: 'how iptables sees RELATED: by its mark, or by a BPF program',
        fallback: 'mark',
        choices: ['mark', 'bpf'],
      },
    ],
    examples: [
      { command: 'relatd rules nft', summary: 'for INPUT, FORWARD and OUTPUT, to paste' },
      { command: 'relatd rules iptables -c lab.yaml', summary: 'from another configuration' },
    ],
    load: () => import('./commands/rules.js'),
  },
  {
    name: 'helper',
    summary: 'show what a helper reads, and what it announces',
    arguments: [
      { name: 'action', summary: 'what to do', required: true, choices: ['show'] },
      { name: 'helper', summary: "a helper's name, or the file of a definition", required: true },
    ],
    options: [json],
    examples: [
      { command: 'relatd helper show ftp', summary: 'phases, messages, and what each of them announces' },
      {
        command: 'relatd helper show ./rtsp.yaml',
        summary: 'the same of a definition of your own; complains where it is wrong',
      },
    ],
    load: () => import('./commands/helper.js'),
  },
  {
    name: 'completion',
    summary: 'print the completion of command lines for a shell',
    arguments: [{ name: 'shell', summary: 'who will read it', required: true, choices: ['bash', 'zsh', 'fish'] }],
    options: [],
    examples: [
      { command: 'relatd completion bash', summary: 'for source <(...); the Debian package brings it along' },
      { command: 'relatd completion fish', summary: 'for ~/.config/fish/completions/relatd.fish' },
    ],
    load: () => import('./commands/completion.js'),
  },
  {
    name: 'demo',
    summary: 'show a real FTP session becoming RELATED, in network namespaces',
    arguments: [],
    options: [{ flags: '-v, --verbose', summary: "show the daemon's log too" }],
    examples: [{ command: 'relatd demo', summary: 'needs root; removes everything it made' }],
    load: () => import('./commands/demo.js'),
  },
];

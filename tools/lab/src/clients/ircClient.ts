// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from '../namespace.js';
import { run, type RunningProcess } from '../process.js';

/** Real IRC clients, by the names of their commands. */
export type IrcClientName = 'weechat-headless' | 'irssi';

/** Who connects, and where. */
export interface IrcClientOptions {
  server: string;
  /** Default 6667. */
  port?: number;
  nick: string;
  /** The address that offers announce. */
  address: string;
}

/**
 * A real IRC client that takes every file and every chat that it is offered. Its commands come through a FIFO. It ends with
 * its namespace at the latest.
 */
export interface IrcClient extends AsyncDisposable {
  readonly name: IrcClientName;
  readonly nick: string;
  /** Offers a file (DCC SEND), and waits for whoever takes it. */
  sendFile(to: string, path: string): Promise<void>;
  /** Offers a chat (DCC CHAT). */
  chat(to: string): Promise<void>;
  /** Says a line in an open chat. */
  say(to: string, text: string): Promise<void>;
  /** What came of a file, or undefined. */
  file(from: string, name: string): Promise<Uint8Array | undefined>;
  /** Waits until all that it has shown matches. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

/** How each of them is told. */
interface Kind {
  /** Writes the configuration into a new directory; returns the command that starts the client. */
  prepare(options: Required<IrcClientOptions>, directory: string): Promise<[string, ...string[]]>;
  /** What the client has shown, from files below the directory. */
  logs(directory: string): Promise<string>;
  /** It has registered. */
  registered: RegExp;
  command(text: string): string;
  say(to: string, text: string): string;
  received(from: string, name: string): string;
}

const kinds: Readonly<Record<IrcClientName, Kind>> = {
  'weechat-headless': {
    async prepare({ server, port, nick, address }, directory) {
      const settings = {
        'fifo.file.path': join(directory, 'fifo'),
        'fifo.file.enabled': 'on',
        'xfer.network.own_ip': address,
        'xfer.file.auto_accept_files': 'on',
        'xfer.file.auto_accept_chats': 'on',
        'xfer.file.download_path': join(directory, 'downloads'),
        'logger.file.flush_delay': '0',
        'irc.server_default.ipv6': 'on',
      };
      const commands = [
        ...Object.entries(settings).map(([name, value]) => `/set ${name} ${value}`),
        `/server add lab ${server}/${port} -notls -nicks=${nick} -username=${nick}`,
        '/connect lab',
      ];
      await mkdir(join(directory, 'home', 'logs'), { recursive: true });
      return ['weechat-headless', '--dir', join(directory, 'home'), '--stdout', '--run-command', commands.join(';')];
    },
    async logs(directory) {
      const folder = join(directory, 'home', 'logs');
      const files = (await readdir(folder)).sort();
      return (await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))).join('');
    },
    registered: /Welcome to the Internet Relay/,
    command: (text) => `irc.server.lab */${text}`,
    say: (to, text) => `xfer.irc_dcc.lab.${to} *${text}`,
    received: (from, name) => `${from}.${name}`,
  },

  irssi: {
    async prepare({ server, port, nick, address }, directory) {
      const scripts = join(directory, 'scripts', 'autorun');
      await mkdir(scripts, { recursive: true });
      await run('mkfifo', [join(directory, 'fifo')]);
      await writeFile(join(scripts, 'lab.pl'), irssiScript(directory));
      await writeFile(
        join(directory, 'config'),
        `servers = ( { address = "${server}"; port = "${port}"; chatnet = "lab"; autoconnect = "yes"; } );
chatnets = { lab = { type = "IRC"; nick = "${nick}"; }; };
settings = {
  core = { real_name = "${nick}"; user_name = "${nick}"; nick = "${nick}"; };
  # Flood protection would make every command wait for seconds.
  "irc/core" = { cmd_queue_speed = "1msec"; cmds_max_at_once = "1000"; };
  "irc/dcc" = {
    dcc_autoget = "yes";
    dcc_autoaccept_lowports = "yes";
    dcc_autochat_masks = "*!*@*";
    dcc_download_path = "${join(directory, 'downloads')}";
    dcc_own_ip = "${address}";
  };
};
`,
      );
      // It insists on a terminal.
      return ['script', '--quiet', '--flush', '--return', '--command', `irssi --home='${directory}'`, '/dev/null'];
    },
    logs: (directory) => readFile(join(directory, 'shown'), 'utf8').catch(() => ''),
    registered: /Mode change \[|MOTD/,
    command: (text) => text,
    say: (to, text) => `msg =${to} ${text}`,
    received: (_from, name) => name,
  },
};

/** Runs in irssi: it takes commands from the FIFO and writes what irssi shows to a file. */
function irssiScript(directory: string): string {
  return `use strict;
use Irssi;
use Fcntl;
use IO::Handle;
my $rest = '';
open(my $shown, '>', '${directory}/shown') or die;
$shown->autoflush(1);
sysopen(my $fifo, '${directory}/fifo', O_RDWR | O_NONBLOCK) or die;
Irssi::input_add(fileno($fifo), Irssi::INPUT_READ, sub {
  sysread($fifo, my $data, 4096);
  $rest .= $data;
  while ($rest =~ s/^(.*)\\n//) {
    my $server = Irssi::server_find_tag('lab');
    $server->command($1) if $server;
  }
}, '');
Irssi::signal_add_last('print text', sub { print $shown "$_[2]\\n" });
`;
}

/** Every IRC client that the lab can run. */
export const ircClientNames = Object.keys(kinds) as IrcClientName[];

/** The IRC clients that are installed; a test that misses one is to say so. */
export function availableIrcClients(): IrcClientName[] {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return ircClientNames.filter((name) => directories.some((directory) => existsSync(join(directory, name))));
}

/** Starts a client; resolves when the server has welcomed it, and rejects with what it has shown otherwise. */
export async function startIrcClient(
  name: IrcClientName,
  namespace: Namespace,
  { port = 6667, ...rest }: IrcClientOptions,
): Promise<IrcClient> {
  const kind = kinds[name];
  const directory = await mkdtemp(join(await namespace.directory(), `${name}-`));
  await mkdir(join(directory, 'downloads'));
  const [file, ...args] = await kind.prepare({ port, ...rest }, directory);
  const process = await namespace.spawn(file, args, {
    env: { HOME: directory, TERM: 'xterm', LC_ALL: 'C.UTF-8' },
    cwd: directory,
    // A screen drawn again and again.
    onStdout: () => undefined,
  });
  const client = new Client(name, rest.nick, process, directory);
  try {
    await client.waitFor(kind.registered);
    return client;
  } catch (error) {
    await client.stop();
    throw error;
  }
}

class Client implements IrcClient {
  readonly name: IrcClientName;
  readonly nick: string;
  readonly #kind: Kind;
  readonly #process: RunningProcess;
  readonly #directory: string;

  constructor(name: IrcClientName, nick: string, process: RunningProcess, directory: string) {
    this.name = name;
    this.nick = nick;
    this.#kind = kinds[name];
    this.#process = process;
    this.#directory = directory;
  }

  async sendFile(to: string, path: string): Promise<void> {
    await this.#tell(this.#kind.command(`dcc send ${to} ${path}`));
  }

  async chat(to: string): Promise<void> {
    await this.#tell(this.#kind.command(`dcc chat ${to}`));
  }

  async say(to: string, text: string): Promise<void> {
    await this.#tell(this.#kind.say(to, text));
  }

  async file(from: string, name: string): Promise<Uint8Array | undefined> {
    const path = join(this.#directory, 'downloads', this.#kind.received(from, name));
    return readFile(path).catch(() => undefined);
  }

  async waitFor(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const shown = await this.#kind.logs(this.#directory);
      if (pattern.test(shown)) return;
      if (this.#process.exitCode !== undefined || Date.now() > deadline)
        throw new Error(`${this.name} has not shown ${String(pattern)}, but:\n${shown.slice(-4000)}`);
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    // irssi is the child of its terminal, and in a session of its own: no signal to a group reaches it.
    await this.#tell(this.#kind.command('quit')).catch(() => undefined);
    await Promise.race([this.#process.exited, sleep(1000, undefined, { ref: false })]);
    await this.#process.stop({ graceMs: 500 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #tell(line: string): Promise<void> {
    const fifo = await open(join(this.#directory, 'fifo'), 'r+');
    try {
      await fifo.write(`${line}\n`);
    } finally {
      await fifo.close();
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { formatOverwrite, iptablesOverwrites, nftOverwrites, type Overwrite } from '@relatd/config';
import { formatMark } from '@relatd/model';
import { explained, messageOf } from './failure.js';
import { namespacePath, openNamespace } from './namespace.js';

/** A listing that takes longer, or is larger, is not looked at: reading it holds the daemon up. */
const TIMEOUT_MS = 2000;
const MAX_BYTES = 4 * 1024 * 1024;
/** How long a look at the rules counts. */
const FRESH_MS = 60_000;
/** Rules that are told of; the rest is a number. */
const SHOWN = 20;

/** A way to list rules, and how they are read. */
interface Listing {
  readonly command: readonly [string, ...string[]];
  readonly overwrites: (text: string, mask: number) => Overwrite[];
}

const LISTINGS: readonly Listing[] = [
  { command: ['nft', '-j', '-t', 'list', 'ruleset'], overwrites: nftOverwrites },
  ...(['iptables', 'ip6tables'] as const).flatMap((tool) =>
    [`${tool}-save`, `${tool}-legacy-save`].map((command): Listing => {
      return { command: [command], overwrites: (text, mask) => iptablesOverwrites(tool, text, mask) };
    }),
  ),
];

/** What the firewall's rules do to relatd's bits of the mark. */
export interface RulesetFindings {
  /** A sentence for each rule that overwrites them, with what to write instead. */
  readonly warnings: readonly string[];
  /** Why rules could not be looked at. */
  readonly notes: readonly string[];
}

/**
 * Looks at the rules of a network namespace (null: the caller's) for those that overwrite bits of `mask`. A tool that is
 * not installed has no rules.
 * @throws NAMESPACE_MISSING, NOT_ROOT
 */
export async function inspectRuleset(netns: string | null, mask: number): Promise<RulesetFindings> {
  if (netns !== null) {
    try {
      openNamespace(netns).close();
    } catch (error) {
      throw explained(error, netns);
    }
  }
  const found = new Set<string>();
  const notes = new Set<string>();
  await Promise.all(
    LISTINGS.map(async ({ command, overwrites }) => {
      try {
        const text = await listed(command, netns);
        if (text !== null) for (const overwrite of overwrites(text, mask)) found.add(formatOverwrite(overwrite));
      } catch (error) {
        notes.add(noteOf(command[0], error));
      }
    }),
  );
  const all = [...found].sort();
  const more = all.length - SHOWN;
  const rest = more > 0 ? [`${String(more)} more rules overwrite bits of ${formatMark(mask)} of the mark`] : [];
  return { warnings: [...all.slice(0, SHOWN), ...rest], notes: [...notes].sort() };
}

/** What a command prints; null where it is not installed. Rejects when it fails. */
function listed(command: readonly [string, ...string[]], netns: string | null): Promise<string | null> {
  const [file, ...args] =
    netns === null ? command : (['nsenter', `--net=${namespacePath(netns)}`, '--', ...command] as const);
  const PATH = `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`;
  return new Promise((resolve, reject) => {
    const options = {
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_BYTES,
      env: { ...process.env, PATH, LC_ALL: 'C' },
    } as const;
    execFile(file, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      // 127: nsenter does not find the command.
      else if (error.code === 'ENOENT' || error.code === 127) resolve(null);
      else if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') reject(new Error('it is more than 4 MiB'));
      else if (error.killed === true) reject(new Error('it took too long'));
      else reject(new Error(stderr.trim().split('\n', 1)[0] ?? error.message));
    });
  });
}

function noteOf(tool: string, error: unknown): string {
  const reason = messageOf(error);
  if (/not permitted|permission denied|must be root/i.test(reason))
    return 'firewall rules were not looked at: only root may list them';
  return `what ${tool} lists was not looked at: ${reason}`;
}

/** The rules of one namespace, looked at again after a minute. */
export class Ruleset {
  readonly #netns: string | null;
  #mask = 0;
  #looked = 0;
  #findings: Promise<RulesetFindings> | null = null;

  constructor(netns: string | null) {
    this.#netns = netns;
  }

  /** What an operator should look at. Never rejects. */
  async warnings(mask: number): Promise<string[]> {
    const now = performance.now();
    if (this.#findings === null || mask !== this.#mask || now - this.#looked > FRESH_MS) {
      this.#mask = mask;
      this.#looked = now;
      this.#findings = inspectRuleset(this.#netns, mask).catch((error: unknown) => {
        return { warnings: [], notes: [noteOf('the firewall', error)] };
      });
    }
    const { warnings, notes } = await this.#findings;
    return [...warnings, ...notes];
  }
}

// SPDX-License-Identifier: Apache-2.0
import { iptablesRules, nftRules, sharedMark, type Config } from '@relatd/config';
import { printable } from '@relatd/model';
import { DEFAULT_CONFIG, type Run } from '../commands.js';
import { configuration } from '../configuration.js';
import { print } from '../context.js';
import { EXIT_DONE, UsageError } from '../failure.js';
import { valueOf } from '../list.js';

/** `relatd rules nft|iptables`: rules to paste, for INPUT, FORWARD and OUTPUT; what they cannot do is said on stderr. */
export const run: Run = async (context, { arguments: [syntax], options }) => {
  const by = options['by'] === 'bpf' ? 'bpf' : 'mark';
  if (by === 'bpf' && syntax === 'nft')
    throw new UsageError('nft has no match for BPF programs: leave --by bpf out, or print rules for iptables');
  const config = await configuration(valueOf(options['config']) ?? DEFAULT_CONFIG, context);
  const assignment = assignmentOf(config, valueOf(options['assignment']));
  const shared = by === 'mark' && assignment !== null ? sharedMark(config, assignment) : null;
  if (shared !== null) context.stderr.stream.write(`relatd: ${shared}\n`);
  const rules = syntax === 'nft' ? nftRules(config, { assignment }) : iptablesRules(config, { assignment, by });
  await print(context.stdout, rules.trimEnd());
  return EXIT_DONE;
};

function assignmentOf({ assignments, file }: Config, name: string | null): string | null {
  if (name === null || assignments.some((assignment) => assignment.name === name)) return name;
  const names = assignments.map((assignment) => assignment.name).join(', ');
  throw new UsageError(`${printable(file)} has no assignment ${printable(name)}: its assignments are ${names}`);
}

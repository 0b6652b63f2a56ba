// SPDX-License-Identifier: Apache-2.0
import { formatProblem, loadConfig, type Config } from '@relatd/config';
import type { RulesetFindings } from '@relatd/engine';
import { printable } from '@relatd/model';
import { DEFAULT_CONFIG, type Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE, EXIT_USAGE, UsageError } from '../failure.js';
import { printArray, valueOf } from '../list.js';

/**
 * `relatd check`: every problem as `file:line:column: message` on stderr, exit code 2; with `--json` on stdout. Of a valid
 * file also the live firewall rules that overwrite its `mark.mask`.
 */
export const run: Run = async (context, { arguments: [argument], options }) => {
  const option = valueOf(options['config']);
  if (argument !== undefined && option !== null)
    throw new UsageError('give the file once: as argument or with --config');
  const file = argument ?? option ?? DEFAULT_CONFIG;
  const result = await loadConfig(file);
  const problems = result.problems ?? [];
  const warnings = result.problems === undefined ? result.warnings : [];
  const rules = result.config === undefined ? NOTHING : await rulesOf(result.config, valueOf(options['netns']));
  if (options['json'] === true) {
    await printArray(context.stdout, [
      ...problems.map((problem) => ({ severity: 'error', ...problem })),
      ...warnings.map((problem) => ({ severity: 'warning', ...problem })),
      ...rules.warnings.map((message) => ({ severity: 'warning', ...ofMask(file), message })),
      ...rules.notes.map((message) => ({ severity: 'note', ...ofMask(file), message })),
    ]);
  } else {
    for (const problem of problems) context.stderr.stream.write(`${formatProblem(problem)}\n`);
    for (const warning of warnings) context.stderr.stream.write(`${formatProblem(warning)} (warning)\n`);
    for (const warning of rules.warnings) context.stderr.stream.write(`${printable(warning)} (warning)\n`);
    for (const note of rules.notes) context.stderr.stream.write(`${printable(note)} (note)\n`);
    if (result.config !== undefined) {
      const count = result.config.assignments.length;
      await print(context.stdout, `${printable(file)}: valid, ${String(count)} assignment${count === 1 ? '' : 's'}`);
    }
  }
  return problems.length === 0 ? EXIT_DONE : EXIT_USAGE;
};

const NOTHING: RulesetFindings = { warnings: [], notes: [] };

async function rulesOf(config: Config, netns: string | null): Promise<RulesetFindings> {
  const { inspectRuleset } = await import('@relatd/engine');
  return inspectRuleset(netns, config.mark.mask);
}

/** Where in the configuration a rule is wrong: it meets the mask. */
function ofMask(file: string): { file: string; line: null; column: null; path: string } {
  return { file, line: null, column: null, path: 'mark.mask' };
}

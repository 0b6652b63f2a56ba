// SPDX-License-Identifier: Apache-2.0
import { formatProblem, loadConfig } from '@relatd/config';
import { printable } from '@relatd/model';
import { DEFAULT_CONFIG, type Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE, EXIT_USAGE, UsageError } from '../failure.js';
import { printArray, valueOf } from '../list.js';

/** `relatd check`: every problem as `file:line:column: message` on stderr, exit code 2; with `--json` on stdout. */
export const run: Run = async (context, { arguments: [argument], options }) => {
  const option = valueOf(options['config']);
  if (argument !== undefined && option !== null)
    throw new UsageError('give the file once: as argument or with --config');
  const file = argument ?? option ?? DEFAULT_CONFIG;
  const result = await loadConfig(file);
  const problems = result.problems ?? [];
  const warnings = result.problems === undefined ? result.warnings : [];
  if (options['json'] === true) {
    await printArray(context.stdout, [
      ...problems.map((problem) => ({ severity: 'error', ...problem })),
      ...warnings.map((problem) => ({ severity: 'warning', ...problem })),
    ]);
  } else {
    for (const problem of problems) context.stderr.stream.write(`${formatProblem(problem)}\n`);
    for (const warning of warnings) context.stderr.stream.write(`${formatProblem(warning)} (warning)\n`);
    if (result.config !== undefined) {
      const count = result.config.assignments.length;
      await print(context.stdout, `${printable(file)}: valid, ${String(count)} assignment${count === 1 ? '' : 's'}`);
    }
  }
  return problems.length === 0 ? EXIT_DONE : EXIT_USAGE;
};

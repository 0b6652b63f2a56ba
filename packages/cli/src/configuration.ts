// SPDX-License-Identifier: Apache-2.0
import { formatProblem, loadConfig, type Config } from '@relatd/config';
import { RelatdError } from '@relatd/model';
import type { Context } from './context.js';

/**
 * The configuration in `file`; what deserves a look in it goes to stderr, a line each.
 * @throws RelatdError `CONFIG_INVALID` with every problem
 */
export async function configuration(file: string, context: Context): Promise<Config> {
  const result = await loadConfig(file);
  if (result.problems !== undefined) {
    const problems = result.problems.map(formatProblem);
    throw RelatdError.with({ problems }, 'CONFIG_INVALID', file, problems.length);
  }
  for (const warning of result.warnings) context.stderr.stream.write(`${formatProblem(warning)} (warning)\n`);
  return result.config;
}

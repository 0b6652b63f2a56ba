// SPDX-License-Identifier: Apache-2.0
import { formatProblem, loadConfig, type Config } from '@relatd/config';
import type { Sizes } from '@relatd/datapath';
import { RelatdError } from '@relatd/model';

/** Reads a configuration file. @throws CONFIG_INVALID with all problems */
export async function readConfig(path: string): Promise<{ config: Config; warnings: readonly string[] }> {
  const result = await loadConfig(path);
  if (result.config === undefined)
    throw RelatdError.with(
      { problems: result.problems.map(formatProblem) },
      'CONFIG_INVALID',
      path,
      result.problems.length,
    );
  return { config: result.config, warnings: result.warnings.map(({ message }) => message) };
}

/** How many entries each of the datapath's tables gets. */
export function tableSizes({ limits }: Config): Sizes {
  const { flows, control, expectations, embryonic } = limits;
  return { flows, controls: control, expectations, embryonic };
}

/** Without the line at which an assignment stands: a new comment above it changes nothing. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (key, part: unknown) => (part instanceof Map ? [...part] : key === 'line' ? undefined : part));

/** Whether two configurations say the same. */
export function sameConfig(before: Config, after: Config): boolean {
  return textOf(before) === textOf(after);
}

/** Sentences about what a reload cannot change. */
export function laterChanges(before: Config, after: Config): string[] {
  const differs = (part: (config: Config) => unknown): boolean => textOf(part(before)) !== textOf(part(after));
  const messages: string[] = [];
  if (differs(tableSizes)) messages.push('table sizes change after `relatd down`: they stay as they are');
  if (differs(({ order, attach }) => [order, attach]))
    messages.push('order and attach: interfaces that are watched already keep theirs until `relatd down`');
  if (differs(({ listen }) => listen)) messages.push('listen changes at the next start');
  return messages;
}

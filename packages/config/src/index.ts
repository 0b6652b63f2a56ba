// SPDX-License-Identifier: Apache-2.0
import { definitions } from '@relatd/helpers';
import { jsonSchema as schemaFor } from './schema.js';

export { assignmentPairs, type Assignment, type AssignmentPair, type Config, type Guard } from './config.js';
export type { Listen } from '@relatd/document';
export { DEFAULT_PATH, loadConfig, parseConfig, type ParseResult } from './load.js';
export { formatProblem, type Problem } from '@relatd/document';
export { iptablesOverwrites } from './iptablesOverwrites.js';
export { nftOverwrites } from './nftOverwrites.js';
export { formatOverwrite, type Overwrite } from './overwrite.js';
export { iptablesRules, nftRules, sharedMark, type IptablesOptions, type RulesOptions } from './rules.js';

/** JSON Schema (draft 2020-12) of the configuration file, for editors. */
export function jsonSchema(helpers: readonly string[] = definitions.map(({ name }) => name)): Record<string, unknown> {
  return schemaFor(helpers);
}

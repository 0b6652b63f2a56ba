// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readDefinition, type HelperDefinition } from '@relatd/grammar';

/** Reads a helper's definition, which stands beside its parser, from the source or the built package alike. */
function builtIn(name: string): HelperDefinition {
  const path = fileURLToPath(new URL(`../src/${name}/${name}.yaml`, import.meta.url));
  const { definition, problems } = readDefinition(readFileSync(path, 'utf8'), path, { judged: true });
  if (definition === undefined) throw new Error(`${path}: ${problems.map(({ message }) => message).join('; ')}`);
  return definition;
}

/** The definitions of this version's helpers. */
export const definitions: readonly HelperDefinition[] = ['ftp', 'tftp', 'irc'].map(builtIn);

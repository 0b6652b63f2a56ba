// SPDX-License-Identifier: Apache-2.0
import { dirname, resolve } from 'node:path';
import { formatKeyPath, readSource, show, type Problem } from '@relatd/document';
import { loadDefinition, type HelperDefinition } from '@relatd/grammar';
import { definitions } from '@relatd/helpers';
import { printable } from '@relatd/model';

/** The helpers whose definitions a configuration names, and what is wrong with them: in their files, or with the naming. */
export interface OwnDefinitions {
  readonly definitions: readonly HelperDefinition[];
  readonly problems: readonly Problem[];
}

/** Reads the files under `helpers`; paths are relative to the configuration's folder. */
export async function ownDefinitions(text: string, path: string): Promise<OwnDefinitions> {
  const source = readSource(text);
  const named = (source.data as { helpers?: unknown } | null | undefined)?.helpers;
  const found: HelperDefinition[] = [];
  const problems: Problem[] = [];
  // What is no list of paths, the configuration's own check reports.
  for (const [index, entry] of (Array.isArray(named) ? (named as unknown[]) : []).entries()) {
    if (typeof entry !== 'string' || entry === '') continue;
    const place = ['helpers', index];
    const wrong = (message: string): void => {
      const { line, column } = source.positionOf(place);
      problems.push({ file: printable(path), line, column, path: formatKeyPath(place), message });
    };
    const { definition, problems: unread } = await loadDefinition(resolve(dirname(path), entry), { judged: false });
    if (definition === undefined) {
      const [first] = unread;
      if (first?.line === null) wrong(`${printable(entry)}: ${first.message}`);
      else problems.push(...unread);
      continue;
    }
    const { name } = definition;
    if ([...definitions, ...found].some((other) => other.name === name))
      wrong(`there is a helper ${show(name)} already; give this one another name in its file`);
    problems.push(...(definition.compile().problems ?? []));
    found.push(definition);
  }
  return { definitions: found, problems };
}

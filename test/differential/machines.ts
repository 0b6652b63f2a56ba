// SPDX-License-Identifier: Apache-2.0
import { readDefinition, type HelperDefinition, type Machine } from '@relatd/grammar';
import { definitions } from '@relatd/helpers';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Helpers with a parser of their own, and definitions that only the tables read. */
export const HELPERS = ['ftp', 'irc', 'tftp', 'rtsp', 'everything'] as const;
export type HelperName = (typeof HELPERS)[number];

const FILES: Readonly<Partial<Record<HelperName, string>>> = {
  rtsp: '../../examples/rtsp.yaml',
  everything: 'everything.yaml',
};

function definitionOf(name: HelperName): HelperDefinition {
  const file = FILES[name];
  const known = definitions.find((definition) => definition.name === name);
  if (known !== undefined) return known;
  if (file === undefined) throw new Error(`there is no helper ${name}`);
  const path = fileURLToPath(new URL(file, import.meta.url));
  const { definition, problems } = readDefinition(readFileSync(path, 'utf8'), path, { judged: false });
  if (definition === undefined) throw new Error(problems.map(({ message }) => message).join('\n'));
  return definition;
}

const machines = new Map<HelperName, Machine>();

/** The tables of a helper; compiled once. */
export function machineOf(name: HelperName): Machine {
  const known = machines.get(name);
  if (known !== undefined) return known;
  const { compiled, problems } = definitionOf(name).compile();
  if (compiled === undefined) throw new Error(problems.map(({ message }) => message).join('\n'));
  machines.set(name, compiled.machine);
  return compiled.machine;
}

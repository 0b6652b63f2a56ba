// SPDX-License-Identifier: Apache-2.0
import type { Config } from '@relatd/config';
import type { Datapath, FlowEntry } from '@relatd/datapath';
import { definedHelper, definitions, helpers, type Helper } from '@relatd/helpers';
import { FlowKind } from '@relatd/datapath';

/** The helpers that a configuration uses. */
export interface LoadedHelpers {
  /** By name, those of the configuration's own files among them. */
  readonly helpers: ReadonlyMap<string, Helper>;
  /** By name: the number of the machine in the datapath. */
  readonly numbers: ReadonlyMap<string, number>;
}

/** The helpers that a configuration may assign by name, those of its own files included; of these only what is assigned. */
export function assignableHelpers({ assignments, helpers: own }: Config): ReadonlyMap<string, Helper> {
  const assigned = new Set(assignments.map(({ helper }) => helper));
  const found = new Map(helpers);
  for (const definition of own) {
    const { name } = definition;
    if (assigned.has(name) && !found.has(name)) found.set(name, definedHelper(name, machineOf(definition)));
  }
  return found;
}

/** Compiles the helpers that are assigned and brings their machines into the datapath. */
export function loadHelpers(config: Config, datapath: Datapath, flows: readonly FlowEntry[]): LoadedHelpers {
  const assigned = new Set(config.assignments.map(({ helper }) => helper));
  const inUse = new Set<number>();
  for (const { flow } of flows)
    if (flow.kind === FlowKind.control) inUse.add(datapath.tables.stream(flow)?.dialogue.machine ?? 0);
  const found = new Map(helpers);
  const numbers = new Map<string, number>();
  for (const definition of [...definitions, ...config.helpers]) {
    const { name } = definition;
    if (!assigned.has(name)) continue;
    const machine = machineOf(definition);
    const number = datapath.loadMachine(machine, inUse);
    inUse.add(number);
    numbers.set(name, number);
    if (!found.has(name)) found.set(name, definedHelper(name, machine));
  }
  return { helpers: found, numbers };
}

function machineOf(definition: Config['helpers'][number]) {
  const { compiled, problems } = definition.compile();
  if (compiled === undefined)
    throw new Error(`helper ${definition.name}: ${problems.map(({ message }) => message).join('; ')}`);
  return compiled.machine;
}

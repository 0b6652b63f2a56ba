// SPDX-License-Identifier: Apache-2.0
import { Findings, readSource, readTextFile, type Problem, type Source } from '@relatd/document';
import type { HelperDefaults, HelperDefinition } from '@relatd/grammar';
import { definitions } from '@relatd/helpers';
import { ANY, printable } from '@relatd/model';
import type { z } from 'zod';
import {
  checkAssignments,
  checkGuards,
  checkInterfaces,
  checkListen,
  checkMarks,
  type Entry,
  type Finding,
} from './check.js';
import type { Assignment, Config, Guard } from './config.js';
import { rank } from './coverage.js';
import { ownDefinitions } from './ownDefinitions.js';
import { configSchema, type AssignmentInput, type ConfigInput } from './schema.js';

/** Where the configuration is when nobody says otherwise. */
export const DEFAULT_PATH = '/etc/relatd/relatd.yaml';

/** The configuration and what deserves a look in it, or everything that is wrong with it, in the order of the file. */
export type ParseResult =
  | { readonly config: Config; readonly warnings: readonly Problem[]; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly config?: undefined };

/**
 * Reads and checks a file and the helper definitions that it names. Never rejects: that the file cannot be read is a
 * problem too.
 */
export async function loadConfig(path: string = DEFAULT_PATH): Promise<ParseResult> {
  const file = await readTextFile(path);
  if ('problem' in file)
    return { problems: [{ file: printable(path), line: null, column: null, path: '', message: file.problem }] };
  const own = await ownDefinitions(file.text, path);
  const result = parseConfig(file.text, path, own.definitions);
  if (own.problems.length === 0) return result;
  return { problems: [...own.problems, ...(result.problems ?? [])] };
}

/** Checks a configuration's text. `own` are the helpers of the files that it names. Never throws. */
export function parseConfig(text: string, filename: string, own: readonly HelperDefinition[] = []): ParseResult {
  const helpers = [...definitions, ...own];
  const source = readSource(text);
  const findings = new Findings(printable(filename), source);
  for (const { position, message } of source.errors) findings.add(position, '', message);
  if (source.errors.length > 0) return { problems: findings.wrong };

  if (source.data === null || source.data === undefined) {
    findings.error(
      [],
      'the file is empty; write at least `assignments:` with an entry like `- { helper: ftp, port: 21 }`',
    );
    return { problems: findings.wrong };
  }
  const schema = configSchema(helpers.map(({ name }) => name));
  const result = schema.safeParse(source.data);
  for (const issue of result.error?.issues ?? []) findings.issue(issue);

  const parts = validParts(schema, source.data);
  if (parts === null) return { problems: findings.sorted() };
  const { entries, complete } = resolveAssignments(parts, helpers, source);
  check(parts, entries, complete, source.data, findings);

  const { mark } = parts;
  if (findings.wrong.length > 0 || !result.success || mark === undefined) return { problems: findings.sorted() };
  if (entries.length === 0) findings.warn(['assignments'], 'nothing is assigned, so nothing is tracked');
  const assignments = rank(entries.map(({ item }) => item));
  return { config: resolve(filename, result.data, assignments, own), warnings: findings.sortedWarnings() };
}

type Schema = ReturnType<typeof configSchema>;

/** What of a file is valid by itself. Cross checks go on with these: one error must not hide the others. */
type Parts = Partial<Omit<ConfigInput, 'assignments' | 'guard'>> & {
  readonly assignments: readonly Entry<AssignmentInput>[];
  readonly guard: readonly Entry<Guard>[];
  /** Whether every entry of `assignments` is valid. */
  readonly complete: boolean;
};

function validParts(schema: Schema, data: unknown): Parts | null {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return null;
  const { assignments, guard } = schema.shape;
  const given = data as Readonly<Record<string, unknown>>;
  const parts: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(schema.shape)) {
    if (key !== 'assignments' && key !== 'guard') parts[key] = part.safeParse(given[key]).data;
  }
  const entries = validEntries(assignments.element, given['assignments']);
  return {
    ...(parts as Partial<ConfigInput>),
    assignments: entries,
    guard: validEntries(guard.unwrap().element, given['guard']),
    complete: Array.isArray(given['assignments']) && entries.length === given['assignments'].length,
  };
}

function validEntries<Item>(element: z.ZodType<Item>, data: unknown): Entry<Item>[] {
  if (!Array.isArray(data)) return [];
  return (data as unknown[]).flatMap((value, index) => {
    const result = element.safeParse(value);
    return result.success ? [{ item: result.data, index }] : [];
  });
}

function resolveAssignments(
  parts: Parts,
  helpers: readonly HelperDefaults[],
  source: Source,
): { entries: Entry<Assignment>[]; complete: boolean } {
  const entries = parts.assignments.flatMap(({ item, index }) => {
    const helper = helpers.find(({ name }) => name === item.helper);
    if (helper === undefined) return [];
    const assignment: Assignment = {
      name: item.name ?? item.helper,
      helper: item.helper,
      protocol: helper.protocol,
      port: item.port,
      interface: item.interface ?? null,
      from: item.from ?? [ANY],
      to: item.to ?? [ANY],
      data: {
        ports: item.data.ports ?? helper.dataPorts,
        thirdParty: item.data['third-party'],
        protocols: helper.dataProtocols,
      },
      mark: item.mark ?? parts.mark?.related ?? 0,
      limits: {
        perMaster: item.limits['per-master'] ?? helper.perMaster,
        expectation: item.limits.expectation ?? helper.expectation,
      },
      detail: item.detail,
      order: 0,
      line: source.positionOf(['assignments', index]).line,
    };
    return [{ item: assignment, index }];
  });
  return { entries, complete: parts.complete };
}

function check(
  parts: Parts,
  entries: readonly Entry<Assignment>[],
  complete: boolean,
  data: unknown,
  findings: Findings,
): void {
  const wrong: Finding = (path, message) => {
    findings.error(path, message);
  };
  const warn: Finding = (path, message) => {
    findings.warn(path, message);
  };
  checkAssignments(entries, wrong, warn);
  checkGuards(parts.guard, entries, complete, wrong, warn);
  if (parts.mark !== undefined) {
    const written = (data as { mark?: object }).mark ?? {};
    const marks = parts.assignments.flatMap(({ item, index }) =>
      item.mark === undefined ? [] : [{ value: item.mark, path: ['assignments', index, 'mark'] }],
    );
    checkMarks(parts.mark, { mask: 'mask' in written, related: 'related' in written }, marks, wrong);
  }
  if (parts.interfaces !== undefined) {
    const zones = Object.keys(parts.zones ?? {}).map((name) => ({ name, path: ['zones', name] }));
    const own = parts.assignments.flatMap(({ item, index }) =>
      item.interface === undefined ? [] : [{ name: item.interface, path: ['assignments', index, 'interface'] }],
    );
    // A zone's place is its key: the value is only a number.
    checkInterfaces(parts.interfaces, [...zones, ...own], (path, message) => {
      findings.warn(path, message, path[0] === 'zones' ? 'key' : 'value');
    });
  }
  if (parts.listen !== undefined) checkListen(parts.listen, warn);
  const limits = parts.limits;
  if (limits?.control !== undefined && limits.control > limits.flows) {
    wrong(
      ['limits', 'control'],
      `${String(limits.control)} control connections do not fit into ${String(limits.flows)} flows; lower it, or raise limits.flows`,
    );
  }
}

/** Control connections that the datapath has room for when the file does not say. */
const CONTROL_DEFAULT = 16384;

function resolve(
  file: string,
  input: ConfigInput,
  assignments: readonly Assignment[],
  helpers: readonly HelperDefinition[],
): Config {
  const { idle, limits, hold, listen } = input;
  return {
    file,
    interfaces: input.interfaces,
    zones: new Map(Object.entries(input.zones)),
    order: input.order,
    attach: input.attach,
    helpers,
    assignments,
    mark: input.mark,
    idle: { control: idle.control, related: idle.related, halfOpen: idle['half-open'], closed: idle.closed },
    limits: {
      flows: limits.flows,
      expectations: limits.expectations,
      perSource: limits['per-source'],
      control: limits.control ?? Math.min(CONTROL_DEFAULT, limits.flows),
      embryonic: limits.embryonic,
    },
    hold,
    guard: input.guard,
    related: input.related,
    listen: {
      socket: listen.socket,
      group: listen.group ?? null,
      metrics: listen.metrics,
      tokenFile: listen['token-file'] ?? null,
    },
  };
}

// SPDX-License-Identifier: Apache-2.0
import { createReadStream } from 'node:fs';
import { ANY, printable } from '@relatd/model';
import type { z } from 'zod';
import { checkAssignments, checkGuards, checkInterfaces, checkMarks, type Entry, type Finding } from './check.js';
import type { Assignment, Config, Guard } from './config.js';
import { rank } from './coverage.js';
import { list } from './field.js';
import { HELPERS, type HelperDefaults } from './helper.js';
import { formatKeyPath, nearest, show, type Problem } from './problem.js';
import { configSchema, type AssignmentInput, type ConfigInput } from './schema.js';
import { readSource, TEXT_MAX, type Source } from './source.js';

/** Where the configuration is when nobody says otherwise. */
export const DEFAULT_PATH = '/etc/relatd/relatd.yaml';

/** The configuration and what deserves a look in it, or everything that is wrong with it, in the order of the file. */
export type ParseResult =
  | { readonly config: Config; readonly warnings: readonly Problem[]; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly config?: undefined };

/** Reads and checks a file. Never rejects: that the file cannot be read is a problem too. */
export async function loadConfig(
  path: string = DEFAULT_PATH,
  helpers: readonly HelperDefaults[] = HELPERS,
): Promise<ParseResult> {
  const whole = (message: string): ParseResult => ({
    problems: [{ file: printable(path), line: null, column: null, path: '', message }],
  });
  const chunks: Buffer[] = [];
  try {
    // One byte more than allowed shows that there is more.
    for await (const chunk of createReadStream(path, { end: TEXT_MAX })) chunks.push(chunk as Buffer);
  } catch (error) {
    return whole(unreadable(error));
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length > TEXT_MAX) return whole(`the file is larger than ${String(TEXT_MAX)} bytes`);
  try {
    return parseConfig(new TextDecoder('utf-8', { fatal: true }).decode(bytes), path, helpers);
  } catch {
    return whole('the file is not UTF-8 text');
  }
}

function unreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ENOENT') return 'there is no such file; create it, or name another';
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it; run as root, or change its mode';
  if (code === 'EISDIR') return 'this is a directory; name a file in it';
  return `cannot be read: ${(error as Error).message}`;
}

/** Checks a configuration's text. `filename` is what messages call it. Never throws. */
export function parseConfig(text: string, filename: string, helpers: readonly HelperDefaults[] = HELPERS): ParseResult {
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
  return { config: resolve(filename, result.data, assignments), warnings: findings.sortedWarnings() };
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
      data: { ports: item.data.ports ?? helper.dataPorts, thirdParty: item.data['third-party'] },
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
    checkInterfaces(parts.interfaces, [...zones, ...own], warn);
  }
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

function resolve(file: string, input: ConfigInput, assignments: readonly Assignment[]): Config {
  const { idle, limits, hold, listen } = input;
  return {
    file,
    interfaces: input.interfaces,
    zones: new Map(Object.entries(input.zones)),
    order: input.order,
    attach: input.attach,
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
    listen,
  };
}

/** Collects problems and finds their places. */
class Findings {
  readonly wrong: Problem[] = [];
  readonly #warnings: Problem[] = [];
  readonly #file: string;
  readonly #source: Source;

  constructor(file: string, source: Source) {
    this.#file = file;
    this.#source = source;
  }

  add(position: { line: number; column: number } | null, path: string, message: string, into = this.wrong): void {
    into.push({
      file: this.#file,
      line: position?.line ?? null,
      column: position?.column ?? null,
      path: printable(path),
      message: printable(message),
    });
  }

  error(path: PropertyKey[], message: string): void {
    this.add(this.#source.positionOf(path), formatKeyPath(path), message);
  }

  warn(path: PropertyKey[], message: string): void {
    // A zone's place is its key: the value is only a number.
    const part = path[0] === 'zones' ? 'key' : 'value';
    this.add(this.#source.positionOf(path, part), formatKeyPath(path), message, this.#warnings);
  }

  /** One of zod's issues; an issue about unknown keys carries the known ones as its message. */
  issue(issue: z.core.$ZodIssue): void {
    if (issue.code !== 'unrecognized_keys') {
      this.error([...issue.path], issue.message);
      return;
    }
    const known = JSON.parse(issue.message) as string[];
    for (const key of issue.keys) {
      const near = nearest(key, known);
      const right = near === null ? `known here are ${list(known, 'and')}` : `did you mean ${near}?`;
      const position = this.#source.positionOf([...issue.path, key], 'key');
      this.add(position, formatKeyPath(issue.path), `unknown key ${show(key)}; ${right}`);
    }
  }

  sorted(): Problem[] {
    return sortProblems(this.wrong);
  }

  sortedWarnings(): Problem[] {
    return sortProblems(this.#warnings);
  }
}

function sortProblems(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

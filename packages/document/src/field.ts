// SPDX-License-Identifier: Apache-2.0
import {
  formatMilliseconds,
  formatPrefix,
  parseAddress,
  parseMilliseconds,
  parsePrefix,
  type PortRange,
  type Prefix,
} from '@relatd/model';
import { z } from 'zod';
import { nearest, show } from './problem.js';

/** Says what is wrong with the value, or with the part of it at `path`. */
export type Report = (message: string, path?: PropertyKey[]) => void;

/** A value's JSON Schema: what editors complete and check by. */
type JsonSchema = Readonly<Record<string, unknown>>;

export type Field<T> = z.ZodPipe<z.ZodUnknown, z.ZodTransform<T>>;

/**
 * One value of the file. zod's own messages say what zod expected, ours what the operator should write: so zod gets the
 * value as it is, and `read` judges it.
 */
export function field<T>(schema: JsonSchema, read: (value: unknown, report: Report) => T | undefined): Field<T> {
  return z
    .unknown()
    .meta(schema)
    .transform((value, context): T => {
      let problems = 0;
      const report: Report = (message, path = []) => {
        problems++;
        context.addIssue({ code: 'custom', message, path });
      };
      const result = read(value, report);
      return problems > 0 || result === undefined ? z.NEVER : result;
    });
}

/** A mapping with these keys and no others. */
export function section<Shape extends z.ZodRawShape>(
  shape: Shape,
  description: string,
): z.ZodObject<Shape, z.core.$strict> {
  const keys = Object.keys(shape);
  return z
    .strictObject(shape, {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? JSON.stringify(keys)
          : `${show(issue.input)} stands where a mapping belongs; write \`key: value\` lines with ${list(keys)}`,
    })
    .meta({ description });
}

/** `a, b or c`. */
export function list(words: readonly string[], join = 'or'): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${join} ${words.at(-1) ?? ''}`;
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly Word[], description: string): Field<Word> {
  return field({ enum: words, description }, (value, report) => {
    const word = words.find((candidate) => candidate === value);
    if (word !== undefined) return word;
    const near = typeof value === 'string' ? nearest(value, words) : null;
    const right = near === null ? `write ${list(words)}` : `did you mean ${near}? Possible are ${list(words, 'and')}`;
    report(`${show(value)} is not possible here; ${right}`);
    return undefined;
  });
}

/** `true` or `false`. */
export function flag(description: string): Field<boolean> {
  return field({ type: 'boolean', description }, (value, report) => {
    if (typeof value === 'boolean') return value;
    report(`${show(value)} is neither true nor false`);
    return undefined;
  });
}

/** A whole number from `least` to `most`. */
export function count(what: string, least: number, most: number, description: string): Field<number> {
  return field({ type: 'integer', minimum: least, maximum: most, description }, (value, report) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    report(`${show(value)} is no ${what}; give a number from ${String(least)} to ${String(most)}`);
    return undefined;
  });
}

/** A time like `200ms`, `300s`, `5m`, `2h`, `5d`, in milliseconds. */
export function duration(least: string, most: string, description: string): Field<number> {
  const range = `from ${least} to ${most}`;
  return field({ type: 'string', pattern: '^[0-9]+(ms|s|m|h|d)$', description }, (value, report) => {
    const milliseconds = readDuration(value);
    if (milliseconds === null) {
      const bare = typeof value === 'number' && Number.isInteger(value) && value > 0;
      const example = bare ? `${String(value)}s` : '300s';
      report(
        `${show(value)} is no time; write a whole number and its unit (ms, s, m, h, d), like ${example}, ${range}`,
      );
      return undefined;
    }
    if (milliseconds >= (readDuration(least) ?? 0) && milliseconds <= (readDuration(most) ?? 0)) return milliseconds;
    report(`${formatMilliseconds(milliseconds)} is out of range; give a time ${range}`);
    return undefined;
  });
}

function readDuration(value: unknown): number | null {
  return typeof value === 'string' ? parseMilliseconds(value) : null;
}

/** A port. */
export function port(description: string): Field<number> {
  return field({ type: 'integer', minimum: 1, maximum: 65535, description }, (value, report) => {
    if (typeof value === 'number' && isPort(value)) return value;
    report(`${show(value)} is no port; give a number from 1 to 65535`);
    return undefined;
  });
}

/** `1024-65535`, or one port. */
export function ports(description: string): Field<PortRange> {
  const schema = {
    anyOf: [
      { type: 'integer', minimum: 1, maximum: 65535 },
      { type: 'string', pattern: '^[0-9]+-[0-9]+$' },
    ],
  };
  return field({ ...schema, description }, (value, report) => {
    if (typeof value === 'number' && isPort(value)) return { from: value, to: value };
    if (value === undefined) {
      report('is missing; write a range like 1024-65535, or one port');
      return undefined;
    }
    const match = typeof value === 'string' ? /^(\d{1,5})(?:\s*[-:]\s*(\d{1,5}))?$/.exec(value.trim()) : null;
    const from = Number(match?.[1] ?? 0);
    const to = Number(match?.[2] ?? from);
    if (!isPort(from) || !isPort(to)) {
      report(`${show(value)} is no port range; write like 1024-65535, or one port from 1 to 65535`);
      return undefined;
    }
    if (from <= to) return { from, to };
    report(`${String(from)}-${String(to)} runs backwards; write ${String(to)}-${String(from)}`);
    return undefined;
  });
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65535;
}

/** Bits of `skb->mark`, as a number. */
export function mark(description: string): Field<number> {
  const schema = {
    anyOf: [
      { type: 'integer', minimum: 1, maximum: 0xffffffff },
      { type: 'string', pattern: '^0[xX][0-9a-fA-F]{1,8}$' },
    ],
  };
  return field({ ...schema, description }, (value, report) => {
    const number = typeof value === 'string' && /^0x[0-9a-f]{1,8}$/i.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isInteger(number) && number > 0 && number <= 0xffffffff) return number;
    report(
      number === 0
        ? '0 marks nothing; give at least one bit, like 0x52000000'
        : `${show(value)} is no mark; give up to 32 bits, like 0x52000000`,
    );
    return undefined;
  });
}

/** One prefix. */
export function prefix(description: string): Field<Prefix> {
  return field({ type: 'string', description }, (value, report) => readPrefix(value, report, []));
}

/** One prefix or several; the same one twice counts once. */
export function prefixes(description: string): Field<Prefix[]> {
  const schema = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }] };
  return field({ ...schema, description }, (value, report) => {
    if (Array.isArray(value) && value.length === 0) {
      report('an empty list covers nobody; give a prefix, or leave the key out for everybody');
      return undefined;
    }
    const found = new Map<string, Prefix>();
    for (const [index, item] of (Array.isArray(value) ? (value as unknown[]) : [value]).entries()) {
      const read = readPrefix(item, report, Array.isArray(value) ? [index] : []);
      if (read !== undefined) found.set(formatPrefix(read), read);
    }
    return [...found.values()];
  });
}

function readPrefix(value: unknown, report: Report, path: PropertyKey[]): Prefix | undefined {
  const example = 'like 192.0.2.10, 10.0.0.0/8 or 2001:db8::/64';
  if (value === undefined) {
    report(`is missing; write an address or prefix ${example}`, path);
    return undefined;
  }
  if (typeof value !== 'string') {
    // `[::1]` and `[fe80::]` are mappings to YAML.
    const quote = typeof value === 'object' && value !== null ? ' in quotes' : '';
    report(`${show(value)} is no address or prefix; write one${quote}, ${example}`, path);
    return undefined;
  }
  const result = parsePrefix(value.trim());
  if ('prefix' in result) return result.prefix;
  const { error, right } = result;
  if (error === 'host-bits' && right !== null) {
    const slash = value.indexOf('/');
    const address = value.trim().slice(0, slash);
    report(
      `${show(value)} has bits set behind its length; write ${formatPrefix(right)}, or ${address} for that one address`,
      path,
    );
  } else if (error === 'length' && right !== null) {
    const most = right.family === 4 && !value.includes(':') ? 32 : 128;
    report(`${show(value)} has no length from 0 to ${String(most)} behind the slash; write ${example}`, path);
  } else if (value.includes('%')) {
    report(`${show(value)} names an interface; give the address alone, and the interface under \`interface\``, path);
  } else report(`${show(value)} is no address or prefix; write one ${example}`, path);
  return undefined;
}

/** Why the kernel would not take this as an interface's name, or null. */
export function interfaceNameProblem(value: unknown): string | null {
  if (typeof value !== 'string') {
    const quote = typeof value === 'number' ? `; if it is one, put it in quotes: "${String(value)}"` : '';
    return `${show(value)} is no interface name${quote === '' ? '; write one like eth0' : quote}`;
  }
  // dev_valid_name() of the kernel.
  if (value === '' || value === '.' || value === '..' || /[/:\s]/.test(value) || Buffer.byteLength(value) > 15) {
    return `${show(value)} is no interface name; give 1 to 15 bytes without slash, colon and space, like eth0`;
  }
  return null;
}

/** The name of an interface. */
export function interfaceName(description: string): Field<string> {
  return field({ type: 'string', minLength: 1, maxLength: 15, description }, (value, report) => {
    const problem = interfaceNameProblem(value);
    if (problem === null) return value as string;
    report(problem);
    return undefined;
  });
}

/** Where metrics are served: an address and a port, or null for `off`. */
export interface Listen {
  readonly address: string;
  readonly port: number;
}

/** `127.0.0.1:9469`, `[::1]:9469`, or `off`. */
export function listen(description: string): Field<Listen | null> {
  return field({ type: 'string', description }, (value, report) => {
    if (value === 'off') return null;
    const match = typeof value === 'string' ? /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value) : null;
    const host = match?.[1] ?? match?.[2] ?? '';
    const number = Number(match?.[3] ?? 0);
    const fits = parseAddress(host) !== null && host.includes(':') === (match?.[1] !== undefined);
    if (fits && isPort(number)) return { address: host, port: number };
    const near =
      host === 'localhost' && isPort(number) ? `127.0.0.1:${String(number)}` : '127.0.0.1:9469 or [::1]:9469';
    report(`${show(value)} is no address with a port; write ${near}, or off`);
    return undefined;
  });
}

/** Absolute path of a file. */
export function filePath(description: string, example: string): Field<string> {
  return field({ type: 'string', pattern: '^/', description }, (value, report) => {
    if (typeof value === 'string' && value.startsWith('/') && !value.endsWith('/') && !value.includes('\0'))
      return value;
    report(`${show(value)} is no path of a file; give an absolute one, like ${example}`);
    return undefined;
  });
}

/** The name of a group of users, as groupadd takes it. */
export function groupName(description: string): Field<string> {
  return field({ type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_.-]{0,31}$', description }, (value, report) => {
    if (typeof value === 'string' && /^[A-Za-z_][\w.-]{0,31}$/.test(value)) return value;
    report(`${show(value)} is no name of a group; write one like relatd`);
    return undefined;
  });
}

/** Longest path of a unix socket in bytes: `sun_path` without its terminating zero. */
const SOCKET_PATH_MAX = 107;

/** Path of a unix socket. */
export function socketPath(description: string): Field<string> {
  return field({ type: 'string', pattern: '^/', maxLength: SOCKET_PATH_MAX, description }, (value, report) => {
    if (typeof value !== 'string' || !value.startsWith('/') || value.endsWith('/') || value.includes('\0')) {
      report(`${show(value)} is no path of a socket; give an absolute one, like /run/relatd/relatd.sock`);
    } else if (Buffer.byteLength(value) > SOCKET_PATH_MAX) {
      report(
        `this path has ${String(Buffer.byteLength(value))} bytes; a socket's path has at most ${String(SOCKET_PATH_MAX)}`,
      );
    } else return value;
    return undefined;
  });
}

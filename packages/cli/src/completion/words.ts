// SPDX-License-Identifier: Apache-2.0
import { definitions } from '@relatd/helpers';
import type { ArgumentSpec, CommandSpec, OptionSpec } from '../commands.js';

/** What may stand at a place of the command line. */
export type Values =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  /** Names of files and directories. */
  | { readonly kind: 'files' }
  /** Names of network namespaces, or files. */
  | { readonly kind: 'namespaces' }
  /** Something that cannot be known. */
  | { readonly kind: 'any' };

/** An option as shells see it. */
export interface OptionWords {
  /** `c`, or null. */
  readonly short: string | null;
  /** `config`, or null. */
  readonly long: string | null;
  readonly summary: string;
  /** Of its value; null for a switch. */
  readonly values: Values | null;
}

export interface ArgumentWords {
  readonly name: string;
  readonly values: Values;
}

/** A command as shells see it. */
export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionWords[];
  readonly arguments: readonly ArgumentWords[];
}

const help: OptionWords = { short: 'h', long: 'help', summary: 'print this help', values: null };

/** What may stand behind `relatd` itself. */
export const topOptions: readonly OptionWords[] = [
  help,
  { short: null, long: 'version', summary: 'print the version', values: null },
];

/** The table of commands, and `help`, as words to complete. */
export function commandWords(commands: readonly CommandSpec[]): CommandWords[] {
  const names = commands.map(({ name }) => name);
  return [
    ...commands.map((spec) => ({
      name: spec.name,
      summary: spec.summary,
      options: [...spec.options.map(optionWords), help],
      arguments: spec.arguments.map(argumentWords),
    })),
    {
      name: 'help',
      summary: 'print the help of a command',
      options: [],
      arguments: [{ name: 'command', values: { kind: 'words', words: names } }],
    },
  ];
}

function optionWords({ flags, summary, choices }: OptionSpec): OptionWords {
  const long = /--([\w-]+)/.exec(flags)?.[1] ?? null;
  const placeholder = /<(.+)>/.exec(flags)?.[1];
  return {
    short: /^-(\w)/.exec(flags)?.[1] ?? null,
    long,
    summary,
    // `--helper <name>` takes the name of a helper.
    values: placeholder === undefined ? null : valuesOf(long === 'helper' ? 'helper' : placeholder, choices),
  };
}

function argumentWords({ name, choices }: ArgumentSpec): ArgumentWords {
  return { name, values: valuesOf(name, choices) };
}

/** The placeholder says what a value is. */
function valuesOf(placeholder: string, choices: readonly string[] | undefined): Values {
  if (choices !== undefined) return { kind: 'words', words: choices };
  if (placeholder === 'helper') return { kind: 'words', words: definitions.map(({ name }) => name) };
  if (placeholder === 'name|path') return { kind: 'namespaces' };
  return { kind: placeholder.startsWith('file') || placeholder === 'path' ? 'files' : 'any' };
}

/** The names of an option, dashes included: `-c`, `--config`. */
export function namesOf({ short, long }: OptionWords): string[] {
  return [...(short === null ? [] : [`-${short}`]), ...(long === null ? [] : [`--${long}`])];
}

/** A word in single quotes, as POSIX shells, zsh and bash read it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

// SPDX-License-Identifier: Apache-2.0
import type { CommandSpec } from '../commands.js';
import { commandWords, topOptions, type CommandWords, type OptionWords, type Values } from './words.js';

/** The completion for fish. */
export function fishCompletion(commands: readonly CommandSpec[]): string {
  const all = commandWords(commands);
  const lines = [
    '# fish completion for relatd; made by `relatd completion fish`.',
    '',
    '# How many arguments stand behind the command, this one not counted.',
    'function __relatd_position',
    '    set -l words (commandline -opc)',
    "    test (count (string match --invert -- '-*' $words)) -eq $argv[1]",
    'end',
    '',
    'complete -c relatd -f',
    ...topOptions.map((option) => `complete -c relatd -n __fish_use_subcommand${optionOf(option)}`),
    ...all.map(
      ({ name, summary }) => `complete -c relatd -n __fish_use_subcommand -a ${name} -d ${fishQuoted(summary)}`,
    ),
    ...all.flatMap(linesOf),
  ];
  return `${lines.join('\n')}\n`;
}

function linesOf({ name, options, arguments: places }: CommandWords): string[] {
  const seen = `__fish_seen_subcommand_from ${name}`;
  return [
    ...options.map((option) => `complete -c relatd -n ${fishQuoted(seen)}${optionOf(option)}`),
    ...places.flatMap(({ values }, index) => {
      const action = actionOf(values);
      const where = fishQuoted(`${seen}; and __relatd_position ${String(index + 2)}`);
      return action === null ? [] : [`complete -c relatd -n ${where}${action}`];
    }),
  ];
}

function optionOf({ short, long, summary, values }: OptionWords): string {
  const names = `${short === null ? '' : ` -s ${short}`}${long === null ? '' : ` -l ${long}`}`;
  const value = values === null ? '' : ` -x${actionOf(values) ?? ''}`;
  return `${names}${value} -d ${fishQuoted(summary)}`;
}

function actionOf(values: Values): string | null {
  switch (values.kind) {
    case 'words':
      return ` -a ${fishQuoted(values.words.join(' '))}`;
    case 'files':
      return ` -a '(__fish_complete_path (commandline -ct))'`;
    case 'namespaces':
      return ` -a '(path basename /run/netns/* 2>/dev/null; __fish_complete_path (commandline -ct))'`;
    case 'any':
      return null;
  }
}

/** In fish a single-quoted word knows only these two escapes. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}

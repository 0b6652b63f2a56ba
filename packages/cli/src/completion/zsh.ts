// SPDX-License-Identifier: Apache-2.0
import type { CommandSpec } from '../commands.js';
import {
  commandWords,
  namesOf,
  quoted,
  topOptions,
  type ArgumentWords,
  type CommandWords,
  type OptionWords,
  type Values,
} from './words.js';

/** The completion for zsh, as a file `_relatd` in its function path. */
export function zshCompletion(commands: readonly CommandSpec[]): string {
  const all = commandWords(commands);
  return `#compdef relatd
# zsh completion for relatd; made by \`relatd completion zsh\`.

_relatd() {
  local context state state_descr line
  typeset -A opt_args
  local -a commands=(
${all.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}\n`).join('')}  )
  _arguments -C \\
${topOptions.map((option) => `    ${optionOf(option, true)} \\\n`).join('')}    '1:command:->command' \\
    '*::argument:->rest'
  case $state in
    command) _describe -t commands command commands ;;
    rest)
      case $line[1] in
${all.map(caseOf).join('')}      esac
      ;;
  esac
}

_relatd_namespaces() {
  local -a names=(/run/netns/*(N:t))
  compadd -a names
  _files
}

_relatd "$@"
`;
}

function caseOf({ name, options, arguments: places }: CommandWords): string {
  const lines = [...options.map((option) => optionOf(option, false)), ...places.map(placeOf)];
  return `        ${name}) _arguments ${lines.join(' \\\n          ')} ;;\n`;
}

function optionOf(option: OptionWords, alone: boolean): string {
  const names = namesOf(option);
  const excluded = alone ? '- *' : names.join(' ');
  const spread = names.length === 1 ? (names[0] ?? '') : `{${names.join(',')}}`;
  const value = option.values === null ? '' : `:${option.long ?? 'value'}:${actionOf(option.values)}`;
  return `${quoted(`(${excluded})`)}${spread}${quoted(`[${escaped(option.summary)}]${value}`)}`;
}

function placeOf({ name, values }: ArgumentWords, index: number): string {
  return quoted(`${String(index + 1)}:${name}:${actionOf(values)}`);
}

/** Colons and brackets have a meaning inside of `_arguments`. */
function escaped(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, String.raw`\$&`);
}

function actionOf(values: Values): string {
  switch (values.kind) {
    case 'words':
      return `(${values.words.join(' ')})`;
    case 'files':
      return '_files';
    case 'namespaces':
      return '_relatd_namespaces';
    case 'any':
      return ' ';
  }
}

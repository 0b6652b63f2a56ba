// SPDX-License-Identifier: Apache-2.0
import type { CommandSpec } from '../commands.js';
import { commandWords, namesOf, quoted, topOptions, type CommandWords, type Values } from './words.js';

/** The completion for bash. It needs nothing but bash itself: `source <(relatd completion bash)` works everywhere. */
export function bashCompletion(commands: readonly CommandSpec[]): string {
  const all = commandWords(commands);
  const top = [...all.map(({ name }) => name), ...topOptions.flatMap(namesOf)];
  return `# bash completion for relatd; made by \`relatd completion bash\`.
_relatd() {
  local cur=\${COMP_WORDS[COMP_CWORD]} command='' option='' position=0 valued='' word i
  COMPREPLY=()
  # The words before this one: the command, then its arguments, and options whose value comes next.
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $word == '=' ]]; then continue; fi
    if [[ -n $option ]]; then
      option=''
    elif [[ $word == -* ]]; then
      if [[ " $valued " == *" $word "* ]]; then option=$word; fi
    elif [[ -z $command ]]; then
      command=$word
      case $command in
${all.map((spec) => valuedLine(spec)).join('')}      esac
    else
      position=$((position + 1))
    fi
  done
  if [[ $cur == '=' ]]; then cur=''; fi
  if [[ -n $option ]]; then
    case "$command $option" in
${all.map((spec) => valueLines(spec)).join('')}    esac
  elif [[ -z $command ]]; then
    _relatd_words ${quoted(top.join(' '))}
  elif [[ $cur == -* ]]; then
    case $command in
${all.map((spec) => optionsLine(spec)).join('')}    esac
  else
    case "$command $position" in
${all.map((spec) => argumentLines(spec)).join('')}    esac
  fi
}

_relatd_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_relatd_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

_relatd_namespaces() {
  if [[ $cur == */* ]]; then
    _relatd_files
  else
    _relatd_words "$(ls /run/netns 2>/dev/null)"
  fi
}

complete -F _relatd relatd
`;
}

function valuedLine({ name, options }: CommandWords): string {
  const valued = options.filter(({ values }) => values !== null).flatMap(namesOf);
  return valued.length === 0 ? '' : `        ${name}) valued=${quoted(valued.join(' '))} ;;\n`;
}

function valueLines({ name, options }: CommandWords): string {
  return options
    .map((option) => {
      const action = option.values === null ? null : actionOf(option.values);
      const patterns = namesOf(option).map((word) => quoted(`${name} ${word}`));
      return action === null ? '' : `      ${patterns.join(' | ')}) ${action} ;;\n`;
    })
    .join('');
}

function optionsLine({ name, options }: CommandWords): string {
  return options.length === 0 ? '' : `      ${name}) _relatd_words ${quoted(options.flatMap(namesOf).join(' '))} ;;\n`;
}

function argumentLines({ name, arguments: places }: CommandWords): string {
  return places
    .map(({ values }, index) => {
      const action = actionOf(values);
      return action === null ? '' : `      ${quoted(`${name} ${String(index)}`)}) ${action} ;;\n`;
    })
    .join('');
}

function actionOf(values: Values): string | null {
  switch (values.kind) {
    case 'words':
      return `_relatd_words ${quoted(values.words.join(' '))}`;
    case 'files':
      return '_relatd_files';
    case 'namespaces':
      return '_relatd_namespaces';
    case 'any':
      return null;
  }
}

// SPDX-License-Identifier: Apache-2.0
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { commands } from '../commands.js';
import { bashCompletion } from './bash.js';
import { fishCompletion } from './fish.js';
import { zshCompletion } from './zsh.js';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'relatd-completion-'));
  writeFileSync(join(directory, 'lab.yaml'), '');
  writeFileSync(join(directory, 'complete.bash'), bashCompletion(commands));
  writeFileSync(join(directory, 'complete.fish'), fishCompletion(commands));
  writeFileSync(join(directory, '_relatd'), zshCompletion(commands));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What is completed, the line so far, and everything that may come next. */
const cases: [what: string, line: string, expected: string[]][] = [
  ['a command', 'relatd ru', ['rules']],
  ['what an argument can be', 'relatd rules ', ['iptables', 'nft']],
  ['an option of a command', 'relatd up --net', ['--netns']],
  ['the value of an option', 'relatd flows --json --helper t', ['tftp']],
  ['a second argument', 'relatd helper show i', ['irc']],
];

/** Lines that end in the beginning of a file's name. */
const fileLines = () => [`relatd check ${directory}/la`, `relatd up -c ${directory}/la`];

/** What a shell offers for a command line that ends where the cursor is. */
type Shell = (line: string) => string[];

const words = (output: string) => output.split('\n').filter((word) => word !== '');

/** As bash does it: the words in COMP_WORDS, the answer in COMPREPLY. */
const bash: Shell = (line) => {
  const script = `
    source ${directory}/complete.bash
    COMP_WORDS=(${line.endsWith(' ') ? `${line}''` : line})
    COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _relatd
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  return words(execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }));
};

const fish: Shell = (line) => {
  const script = `source ${directory}/complete.fish; complete -C ${JSON.stringify(line)}`;
  const env = { ...process.env, HOME: directory };
  const output = execFileSync('fish', ['--no-config', '-c', script], { encoding: 'utf8', env });
  return words(output).map((candidate) => candidate.split('\t')[0] ?? '');
};

/**
 * zsh completes in its editor only: one in a terminal of its own, where what `compadd` would add is written down. It takes
 * long to start, so one answers for all lines.
 */
const zsh: Shell = (line) => {
  zshAnswers ??= zshOffers([...cases.map(([, given]) => given), ...fileLines()]);
  return zshAnswers.get(line) ?? [];
};
let zshAnswers: Map<string, string[]> | undefined;

function zshOffers(lines: readonly string[]): Map<string, string[]> {
  const file = join(directory, 'offered');
  const setUp = [
    `fpath=(${directory} $fpath); autoload -Uz compinit; compinit -u -D`,
    `compadd() { local -a out; builtin compadd -O out "$@"; print -rl -- $out >> ${file}; builtin compadd "$@" }`,
    'print RE""ADY',
  ];
  const script = `
    zmodload zsh/zpty
    zpty editor zsh -f -i
    zpty -w editor '${setUp.join('; ')}'
    zpty -r editor output '*READY*'
    for line in "$@"; do
      rm -f ${file}
      zpty -w -n editor $'\\C-u'"$line"$'\\t'
      repeat 100; do [[ -s ${file} ]] && break; sleep 0.05; done
      sleep 0.05
      print -r -- "line $line"
      cat ${file}
    done
    zpty -d editor`;
  const env = { ...process.env, HOME: directory, ZDOTDIR: directory };
  const args = ['-f', '-c', script, 'zsh', ...lines];
  const output = execFileSync('zsh', args, { encoding: 'utf8', env, timeout: 50_000 });
  const parts = output.split(/^line /m).slice(1);
  return new Map(lines.map((line, index) => [line, words((parts[index] ?? '').slice(line.length))]));
}

describe.each([
  ['bash', bash],
  ['fish', fish],
  ['zsh', zsh],
])('in %s', (name, shell) => {
  function installed(context: TestContext): void {
    if (spawnSync(name, ['--version']).error !== undefined) context.skip(`${name} is not installed`);
  }

  test.for(cases)('%s', ([, line, expected], context) => {
    installed(context);
    expect([...new Set(shell(line))].sort()).toEqual(expected);
  });

  test('files', (context) => {
    installed(context);
    for (const line of fileLines()) {
      const offered = shell(line).map((path) => path.split('/').at(-1));
      expect(offered, line).toContain('lab.yaml');
    }
  });
});

test('names every command and every option', () => {
  for (const text of [bashCompletion(commands), fishCompletion(commands), zshCompletion(commands)]) {
    for (const { name, options } of commands) {
      expect(text).toContain(name);
      for (const { flags } of options) expect(text).toContain(/--([\w-]+)/.exec(flags)?.[1]);
    }
  }
});

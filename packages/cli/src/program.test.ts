// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { commands } from './commands.js';
import { runCommandLine, version } from './program.js';
import { testContext } from './testing.js';

async function relatd(...line: string[]) {
  const context = testContext();
  const code = await runCommandLine(line, context);
  return { code, out: context.out(), err: context.err() };
}

/** The commands that CONTRACT.md names, or null where the page is not part of this checkout. */
function promised(file: string): string[] | null {
  const url = new URL(`../../../${file}`, import.meta.url);
  if (!existsSync(url)) return null;
  return [...readFileSync(url, 'utf8').matchAll(/`relatd ([a-z-]+)/g)].map(([, name]) => name ?? '');
}

describe('help', () => {
  test('of relatd', async () => {
    const { code, out, err } = await relatd('--help');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatchSnapshot();
  });

  test.each(commands.map(({ name }) => name))('of relatd %s', async (name) => {
    const { code, out, err } = await relatd(name, '--help');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatchSnapshot();
    expect((await relatd('help', name)).out).toBe(out);
  });

  test('is not longer than a line where one line is meant', async () => {
    for (const { summary } of commands) expect(summary).not.toMatch(/\n|\.$/);
    const { out } = await relatd('--help');
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  test('knows every command of the contract, and every file of src/commands', () => {
    const names = commands.map(({ name }) => name);
    expect(names.toSorted()).toEqual(
      [
        'up',
        'down',
        'pin-match',
        'check',
        'reload',
        'flows',
        'expectations',
        'monitor',
        'top',
        'replay',
        'why',
        'status',
        'rules',
        'helper',
        'completion',
        'demo',
      ].toSorted(),
    );
    for (const name of names) expect(existsSync(new URL(`./commands/${name}.ts`, import.meta.url)), name).toBe(true);
    for (const file of ['README.md', 'docs/CONTRACT.md', 'CONTRACT.md']) {
      for (const name of promised(file) ?? []) expect(names, file).toContain(name);
    }
  });

  test('every data command prints JSON, every example is a valid command line of its command', () => {
    for (const name of ['flows', 'expectations', 'monitor', 'replay', 'status', 'check', 'down', 'reload', 'helper']) {
      expect(
        commands.find((spec) => spec.name === name)?.options.map(({ flags }) => flags),
        name,
      ).toContain('--json');
    }
    for (const spec of commands) {
      expect(spec.examples.length, spec.name).toBeGreaterThan(0);
      for (const { command } of spec.examples) expect(command).toMatch(new RegExp(`^relatd ${spec.name}( |$)`));
    }
  });
});

describe('version', () => {
  test('is that of the package', async () => {
    expect(await relatd('--version')).toEqual({ code: 0, out: `${version()}\n`, err: '' });
    expect(version()).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe('wrong usage', () => {
  test.each([
    [[], 'relatd: no command given: see `relatd --help`'],
    [['flow'], "relatd: unknown command 'flow' (Did you mean flows?): see `relatd --help`"],
    [['--nonsense'], "relatd: unknown option '--nonsense': see `relatd --help`"],
    [['flows', '--relatd'], "relatd: unknown option '--relatd' (Did you mean --related?): see `relatd flows --help`"],
    [
      ['flows', 'x'],
      "relatd: too many arguments for 'flows'. Expected 0 arguments but got 1.: see `relatd flows --help`",
    ],
    [['flows', '--helper'], "relatd: option '--helper <name>' argument missing: see `relatd flows --help`"],
    [['flows', '--helper='], "relatd: option '--helper <name>' needs a value: see `relatd flows --help`"],
    [
      ['flows', '--helper', 'a', '--helper', 'b'],
      "relatd: option '--helper <name>' is given twice: see `relatd flows --help`",
    ],
    [['rules'], "relatd: missing required argument 'syntax': see `relatd rules --help`"],
    [
      ['rules', 'pf'],
      "relatd: command-argument value 'pf' is invalid for argument 'syntax'. Allowed choices are nft, iptables.: see `relatd rules --help`",
    ],
  ])('%j: one line on stderr, exit code 2', async (line, message) => {
    expect(await relatd(...line)).toEqual({ code: 2, out: '', err: `${message}\n` });
  });
});

test('no daemon: one line that names the path and what to do, exit code 1', async () => {
  const { code, out, err } = await relatd('monitor', '--socket', '/nonexistent/relatd.sock');
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toBe(
    'relatd: no relatd daemon answers at /nonexistent/relatd.sock: start one with `relatd up`, or choose its socket with --socket or $RELATD_SOCKET\n',
  );
});

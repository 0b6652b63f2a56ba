// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, Option } from 'commander';
import { commands, type CommandSpec, type OptionSpec } from './commands.js';
import type { Context } from './context.js';
import { EXIT_DONE, EXIT_USAGE, exitCodeOf, linesOf } from './failure.js';

/** The version of this package. */
export function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}

/**
 * Runs one command line (without `node` and the script) and returns the exit code. Prints errors itself, throws
 * nothing.
 */
export async function runCommandLine(line: readonly string[], context: Context): Promise<number> {
  let code = EXIT_DONE;
  const program = newProgram(context, (result) => {
    code = result;
  });
  try {
    if (line.length === 0) throw new CommanderError(EXIT_USAGE, 'relatd.noCommand', 'no command given');
    await program.parseAsync(line, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return usageCode(error, line, context);
    for (const text of linesOf(error)) context.stderr.stream.write(`${text}\n`);
    return exitCodeOf(error);
  }
}

/** The commander program for the table; `done` gets the exit code of the command that ran. */
export function newProgram(context: Context, done: (code: number) => void): Command {
  const program = new Command('relatd');
  program
    .description('Connection-tracking helpers for the eBPF era: makes the kernel recognise related data connections.')
    .usage('<command> [options]')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command');
  configure(program, context);
  for (const spec of commands) program.addCommand(newCommand(spec, context, done));
  program.addHelpText(
    'after',
    '\nExit code: 0 done, 1 failed, 2 wrong usage or configuration.\nMore about one command: relatd <command> --help',
  );
  return program;
}

function newCommand(spec: CommandSpec, context: Context, done: (code: number) => void): Command {
  const command = new Command(spec.name);
  command.description(`${spec.summary.charAt(0).toUpperCase()}${spec.summary.slice(1)}.`).summary(spec.summary);
  command.helpOption('-h, --help', 'print this help');
  configure(command, context);
  for (const { name, summary, required, choices } of spec.arguments) {
    const argument = new Argument(required ? `<${name}>` : `[${name}]`, summary);
    if (choices !== undefined) argument.choices(choices);
    command.addArgument(argument);
  }
  for (const option of spec.options) command.addOption(newOption(option));
  if (spec.examples.length > 0) command.addHelpText('after', `\nExamples:\n${exampleLines(spec).join('\n')}`);
  command.action(async (...given: unknown[]) => {
    const { run } = await spec.load();
    const options = command.opts<Record<string, string | boolean | undefined>>();
    done(await run(context, { arguments: given.slice(0, spec.arguments.length) as (string | undefined)[], options }));
  });
  return command;
}

function newOption(spec: OptionSpec): Option {
  const fallback = spec.fallback === undefined ? '' : ` (default ${spec.fallback})`;
  const option = new Option(spec.flags, spec.summary + fallback);
  if (spec.choices !== undefined) option.choices(spec.choices);
  if (takesValue(spec)) {
    option.argParser((value: string, previous: unknown) => {
      if (value === '') throw new CommanderError(EXIT_USAGE, 'relatd.empty', `option '${spec.flags}' needs a value`);
      if (previous !== undefined) {
        throw new CommanderError(EXIT_USAGE, 'relatd.twice', `option '${spec.flags}' is given twice`);
      }
      if (spec.choices !== undefined && !spec.choices.includes(value)) {
        throw new CommanderError(EXIT_USAGE, 'relatd.choice', `option '${spec.flags}' is ${spec.choices.join(' or ')}`);
      }
      return value;
    });
  }
  return option;
}

function takesValue(spec: OptionSpec): boolean {
  return spec.flags.includes('<');
}

function exampleLines(spec: CommandSpec): string[] {
  const width = Math.max(...spec.examples.map(({ command }) => command.length));
  return spec.examples.map(({ command, summary }) => `  ${command.padEnd(width)}  ${summary}`);
}

function configure(command: Command, context: Context): void {
  const { stdout } = context;
  command
    .exitOverride()
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: Math.min(stdout.columns ?? 100, 120) })
    .configureOutput({
      writeOut: (text) => stdout.stream.write(text),
      // Errors are printed once, by us, on one line.
      writeErr: () => undefined,
      getOutHasColors: () => stdout.colour,
      getErrHasColors: () => false,
    });
}

/** Help and version are no errors; the rest is wrong usage, on one line that says where to look. */
function usageCode(error: CommanderError, line: readonly string[], context: Context): number {
  if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version') return EXIT_DONE;
  if (error.code === 'commander.help' && error.exitCode === 0) return EXIT_DONE;
  const text = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  const known = commands.find(({ name }) => name === line[0]);
  const help = known === undefined ? 'relatd --help' : `relatd ${known.name} --help`;
  context.stderr.stream.write(`relatd: ${text}: see \`${help}\`\n`);
  return EXIT_USAGE;
}

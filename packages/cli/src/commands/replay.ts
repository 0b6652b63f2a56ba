// SPDX-License-Identifier: Apache-2.0
import { access } from 'node:fs/promises';
import { parseConfig, type Config } from '@relatd/config';
import { Replay, type ReplaySummary } from '@relatd/engine';
import { definitions } from '@relatd/helpers';
import { DEFAULT_CONFIG, type Run } from '../commands.js';
import { eventLine } from '../colour.js';
import { configuration } from '../configuration.js';
import { print, type Context } from '../context.js';
import { EXIT_DONE, EXIT_FAILED } from '../failure.js';
import { valueOf } from '../list.js';
import { replayLines } from '../replayText.js';

/** `relatd replay`: the events of a capture to stdout; what was in it, and what has to be known of it, to stderr. */
export const run: Run = async (context, { arguments: [file = ''], options }) => {
  const config = await configurationFor(valueOf(options['config']), context);
  const json = options['json'] === true;
  const replay = new Replay(config);
  try {
    for await (const event of replay.events(file)) {
      if (context.unread.aborted) break;
      await print(context.stdout, json ? JSON.stringify(event) : eventLine(event, context.stdout));
    }
  } catch (error) {
    // Of a damaged capture the events count that came before the damage, and so does this.
    if (replay.summary.packets > 0) tell(replay.summary, context);
    throw error;
  }
  tell(replay.summary, context);
  const { unknownLinks, faults } = replay.summary;
  return unknownLinks.size === 0 && faults.length === 0 ? EXIT_DONE : EXIT_FAILED;
};

function tell(summary: ReplaySummary, context: Context): void {
  for (const line of replayLines(summary)) context.stderr.stream.write(`relatd: ${line}\n`);
}

/** The configuration that is named, else the usual one where there is one, else every helper on its own port. */
async function configurationFor(file: string | null, context: Context): Promise<Config> {
  if (file !== null) return configuration(file, context);
  const say = (text: string): boolean => context.stderr.stream.write(`relatd: ${text}; choose others with --config\n`);
  if (await exists(DEFAULT_CONFIG)) {
    say(`assignments of ${DEFAULT_CONFIG}`);
    return configuration(DEFAULT_CONFIG, context);
  }
  const assignments = definitions.map(({ name, port }) => ({ helper: name, port }));
  const { config } = parseConfig(JSON.stringify({ assignments }), 'the assignments of relatd itself');
  if (config === undefined) throw new Error('the built-in helpers cannot be assigned');
  say(
    `no ${DEFAULT_CONFIG}: ${config.assignments.map(({ name, port }) => `${name} on port ${String(port)}`).join(', ')}`,
  );
  return config;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    // That it must not be read is for who reads it to say.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

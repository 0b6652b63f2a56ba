// SPDX-License-Identifier: Apache-2.0
import { EVENT_TYPES } from '@relatd/model';
import { eventLine } from '../colour.js';
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE, EXIT_FAILED, UsageError } from '../failure.js';
import { clientFor, valueOf } from '../list.js';

/** `relatd monitor`: events until Ctrl-C, or until nobody reads them. */
export const run: Run = async (context, { options }) => {
  const wanted = wantedTypes(valueOf(options['type']));
  const json = options['json'] === true;
  const client = clientFor(context, options['socket']);
  const stop = AbortSignal.any([context.interrupted(), context.unread]);
  for await (const event of client.events({ signal: stop })) {
    // What was lost may have been of any type.
    if (wanted !== null && event.type !== 'lost' && !wanted.has(event.type)) continue;
    await print(context.stdout, json ? JSON.stringify(event) : eventLine(event, context.stdout));
    if (stop.aborted) break;
  }
  if (stop.aborted) return EXIT_DONE;
  context.stderr.stream.write('relatd: the daemon has stopped, no more events will come: start it with `relatd up`\n');
  return EXIT_FAILED;
};

function wantedTypes(list: string | null): ReadonlySet<string> | null {
  if (list === null) return null;
  const known: readonly string[] = EVENT_TYPES;
  const types = list.split(',').map((type) => type.trim());
  for (const type of types) {
    if (!known.includes(type)) throw new UsageError(`no event type '${type}': choose among ${known.join(', ')}`);
  }
  return new Set(types);
}

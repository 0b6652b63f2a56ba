// SPDX-License-Identifier: Apache-2.0
import { matchesEvent, type EventFilter } from '@relatd/client';
import { eventLine } from '../colour.js';
import type { Invocation, Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { follow } from '../follow.js';
import { clientFor, filterOf, valueOf } from '../list.js';

/** `relatd monitor`: events of one daemon after the other, until Ctrl-C, or until nobody reads them. */
export const run: Run = async (context, invocation) => {
  const { options } = invocation;
  const filter = eventFilterOf(invocation);
  const stop = AbortSignal.any([context.interrupted(), context.unread]);
  const say = (text: string): void => {
    context.stderr.stream.write(`relatd: ${text}\n`);
  };
  const events = follow(clientFor(context, options['socket']), {
    filter,
    stop,
    onGone() {
      say('the daemon has stopped; waiting for the next');
    },
    onAgain() {
      const now = new Date().toISOString();
      say(`again since ${now}; events before may be missing: \`relatd flows\` shows what is tracked now`);
    },
  });
  let lost = 0;
  for await (const event of events) {
    if (event.type === 'lost') lost += event.count;
    await print(context.stdout, options['json'] === true ? JSON.stringify(event) : eventLine(event, context.stdout));
    if (stop.aborted) break;
  }
  if (lost > 0) say(lost === 1 ? '1 event was lost' : `${String(lost)} events were lost`);
  return EXIT_DONE;
};

/** @throws ApiError `API_BAD_FILTER` */
function eventFilterOf(invocation: Invocation): EventFilter {
  const type = valueOf(invocation.options['type']);
  const filter = { ...filterOf(invocation), ...(type === null ? {} : { type }) };
  matchesEvent(filter);
  return filter;
}

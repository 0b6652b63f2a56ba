// SPDX-License-Identifier: Apache-2.0
import { ReadStream, WriteStream } from 'node:tty';
import { matches, type Filter } from '@relatd/client';
import { formatMilliseconds, parseMilliseconds, printable } from '@relatd/model';
import type { Invocation, Run } from '../commands.js';
import type { Context } from '../context.js';
import { EXIT_DONE, UsageError } from '../failure.js';
import { askOrReadPins, clientFor, filterOf, valueOf } from '../list.js';
import type { Snapshot } from '../top/sessions.js';
import { Top } from '../top/top.js';

/** Milliseconds: more often only costs, more seldom is no live view. */
const INTERVAL = { least: 200, usual: 1000, most: 3_600_000 } as const;

/** Milliseconds without an answer after which the view says so. */
const TIMEOUT = 5000;

/** `relatd top`: a live view of sessions, until q or Ctrl-C. */
export const run: Run = async (context, invocation) => {
  const interval = intervalOf(valueOf(invocation.options['interval']));
  const filter = filterOf(invocation);
  const { input, output } = terminalOf(context);
  const read = reader(context, invocation, filter);
  const stop = AbortSignal.any([context.interrupted(), context.unread]);
  // What cannot be asked at all is an error, as for `flows`; what goes away later is waited for.
  const first = await read(stop);
  const scope = Object.entries(filter).map(([name, value]) => `${name} ${printable(String(value))}`);
  const options = { input, output, colours: context.stdout, read, interval, scope: scope.join('  ') };
  await new Top(options, first).run(stop);
  return EXIT_DONE;
};

function terminalOf({ stdin, stdout, env }: Context): { input: ReadStream; output: WriteStream } {
  const { stream } = stdout;
  if (!(stream instanceof WriteStream) || !(stdin instanceof ReadStream)) {
    throw new UsageError('top needs a terminal: in scripts use `relatd flows --json` and `relatd monitor --json`');
  }
  if (env['TERM'] === 'dumb') {
    throw new UsageError('top needs a terminal whose cursor can be moved, and TERM is dumb: use `relatd flows`');
  }
  return { input: stdin, output: stream };
}

function intervalOf(option: string | null): number {
  if (option === null) return INTERVAL.usual;
  const interval = parseMilliseconds(option);
  if (interval === null || interval < INTERVAL.least || interval > INTERVAL.most) {
    const range = `from ${formatMilliseconds(INTERVAL.least)} to ${formatMilliseconds(INTERVAL.most)}`;
    throw new UsageError(`no interval '${printable(option)}': write a time like 2s, ${range}`);
  }
  return interval;
}

/** Asks the daemon, or the pins where no daemon runs. */
function reader(context: Context, { options }: Invocation, filter: Filter): (end: AbortSignal) => Promise<Snapshot> {
  return (end) => {
    const client = clientFor(context, options['socket'], { signal: end, timeout: TIMEOUT });
    const time = Date.now();
    return askOrReadPins<Snapshot>(
      context,
      async () => {
        const [flows, expectations, status] = await Promise.all([
          client.flows(filter),
          client.expectations(filter),
          client.status(),
        ]);
        return { time, flows, expectations, status };
      },
      async () => {
        const { offlineExpectations, offlineFlows } = await import('@relatd/engine');
        const where = { netns: valueOf(options['netns']) };
        const isWanted = matches(filter);
        const [flows, expectations] = await Promise.all([offlineFlows(where), offlineExpectations(where)]);
        return { time, flows: flows.filter(isWanted), expectations: expectations.filter(isWanted), status: null };
      },
      { quiet: true },
    );
  };
}

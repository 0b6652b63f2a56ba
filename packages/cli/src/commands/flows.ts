// SPDX-License-Identifier: Apache-2.0
import { matches } from '@relatd/client';
import { FLOW_COLUMNS, flowRow } from '@relatd/model';
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { askOrReadPins, clientFor, listFilterOf, printArray, valueOf } from '../list.js';
import { tableText } from '../table.js';

const numbers = ['ID', 'MASTER', 'BYTES', 'IDLE'];
const columns = FLOW_COLUMNS.map((title) => ({ title, right: numbers.includes(title) }));

/** `relatd flows`: what is tracked now. */
export const run: Run = async (context, invocation) => {
  const { options } = invocation;
  const filter = listFilterOf(invocation);
  const client = clientFor(context, options['socket']);
  const flows = await askOrReadPins(
    context,
    () => client.flows(filter),
    async () => {
      const { offlineFlows } = await import('@relatd/engine');
      return (await offlineFlows({ netns: valueOf(options['netns']) })).filter(matches(filter));
    },
  );
  if (options['json'] === true) await printArray(context.stdout, flows);
  else await print(context.stdout, tableText(columns, flows.map(flowRow), context.stdout));
  return EXIT_DONE;
};

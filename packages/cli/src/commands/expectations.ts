// SPDX-License-Identifier: Apache-2.0
import { matches } from '@relatd/client';
import { EXPECTATION_COLUMNS, expectationRow } from '@relatd/model';
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { askOrReadPins, clientFor, listFilterOf, printArray, valueOf } from '../list.js';
import { tableText } from '../table.js';

const numbers = ['ID', 'MASTER', 'EXPIRES'];
const columns = EXPECTATION_COLUMNS.map((title) => ({ title, right: numbers.includes(title) }));

/** `relatd expectations`: which data connections may be opened now. */
export const run: Run = async (context, invocation) => {
  const { options } = invocation;
  const filter = listFilterOf(invocation);
  const client = clientFor(context, options['socket']);
  const expectations = await askOrReadPins(
    context,
    () => client.expectations(filter),
    async () => {
      const { offlineExpectations } = await import('@relatd/engine');
      return (await offlineExpectations({ netns: valueOf(options['netns']) })).filter(matches(filter));
    },
  );
  if (options['json'] === true) await printArray(context.stdout, expectations);
  else await print(context.stdout, tableText(columns, expectations.map(expectationRow), context.stdout));
  return EXIT_DONE;
};

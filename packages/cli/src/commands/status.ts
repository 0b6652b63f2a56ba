// SPDX-License-Identifier: Apache-2.0
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { askOrReadPins, clientFor, valueOf } from '../list.js';
import { statusText } from '../statusText.js';

/** `relatd status`: asks the daemon, or reads the pins and says since when no daemon runs. */
export const run: Run = async (context, { options }) => {
  const client = clientFor(context, options['socket']);
  const status = await askOrReadPins(
    context,
    () => client.status(),
    async () => {
      const { offlineStatus } = await import('@relatd/engine');
      return offlineStatus({ netns: valueOf(options['netns']) });
    },
    { quiet: true },
  );
  await print(context.stdout, options['json'] === true ? JSON.stringify(status) : statusText(status, context.stdout));
  return EXIT_DONE;
};

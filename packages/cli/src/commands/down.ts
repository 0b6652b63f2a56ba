// SPDX-License-Identifier: Apache-2.0
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { valueOf } from '../list.js';
import { printable } from '@relatd/model';

/** `relatd down`: detaches everything and removes the pins. Nothing there is a success too. */
export const run: Run = async (context, { options }) => {
  const { takeDown } = await import('@relatd/engine');
  const removed = await takeDown({ netns: valueOf(options['netns']), purge: options['purge'] === true });
  if (options['json'] === true) await print(context.stdout, JSON.stringify(removed));
  else if (removed.length === 0) await print(context.stdout, 'nothing to remove');
  else for (const what of removed) await print(context.stdout, printable(what));
  return EXIT_DONE;
};

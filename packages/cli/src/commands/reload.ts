// SPDX-License-Identifier: Apache-2.0
import { printable } from '@relatd/model';
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { clientFor } from '../list.js';

/** `relatd reload`: the running daemon reads its configuration again; a bad file changes nothing (exit code 2). */
export const run: Run = async (context, { options }) => {
  const { stdout } = context;
  const result = await clientFor(context, options['socket']).reload();
  if (options['json'] === true) {
    await print(stdout, JSON.stringify(result));
    return EXIT_DONE;
  }
  await print(stdout, result.changed ? 'reloaded' : 'nothing has changed');
  for (const message of result.messages) await print(stdout, printable(message));
  return EXIT_DONE;
};

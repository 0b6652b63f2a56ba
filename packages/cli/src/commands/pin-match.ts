// SPDX-License-Identifier: Apache-2.0
import { printable } from '@relatd/model';
import { DEFAULT_CONFIG, type Run } from '../commands.js';
import { configuration } from '../configuration.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { valueOf } from '../list.js';

/** `relatd pin-match`: one program per assignment, for rules that name it. Harmless beside a daemon, which keeps them itself. */
export const run: Run = async (context, { options }) => {
  const { assignments } = await configuration(valueOf(options['config']) ?? DEFAULT_CONFIG, context);
  const { pinMatchPrograms } = await import('@relatd/engine');
  const names = assignments.map(({ name }) => name);
  const paths = await pinMatchPrograms({ netns: valueOf(options['netns']), names });
  if (paths === null) await print(context.stdout, 'a daemon runs, and keeps the programs itself');
  else for (const path of paths) await print(context.stdout, printable(path));
  return EXIT_DONE;
};

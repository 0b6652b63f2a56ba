// SPDX-License-Identifier: Apache-2.0
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { Play } from '../demo/play.js';
import { Stage } from '../demo/stage.js';
import { EXIT_DONE, EXIT_FAILED } from '../failure.js';

/** `relatd demo`: a real FTP session becomes RELATED. Removes everything it made, also after a failure and Ctrl-C. */
export const run: Run = async (context, { options }) => {
  const stop = AbortSignal.any([context.interrupted(), context.unread]);
  const stage = await Stage.create();
  try {
    const play = new Play(context, stage).run();
    // What it waits for ends when the lab goes; its complaint about that is of no interest.
    play.catch(() => undefined);
    const finished = await Promise.race([play.then(() => true), abortion(stop)]);
    if (finished) return EXIT_DONE;
    context.stderr.stream.write('relatd: interrupted: removing what was made\n');
    return EXIT_FAILED;
  } finally {
    if (options['verbose'] === true) context.stderr.stream.write(stage.log);
    const failures = await stage.close();
    for (const failure of failures) context.stderr.stream.write(`relatd: ${failure}\n`);
    await print(context.stdout, failures.length === 0 ? 'everything is removed' : 'not everything could be removed');
  }
};

function abortion(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    const done = () => {
      resolve(false);
    };
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
  });
}

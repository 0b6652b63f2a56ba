// SPDX-License-Identifier: Apache-2.0
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE, EXIT_FAILED } from '../failure.js';

/** `relatd demo`: a real FTP session becomes RELATED. Removes everything it made, also after a failure and Ctrl-C. */
export const run: Run = async (context, { options }) => {
  const { Play, Stage } = await machinery();
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

/** The lab under the demo is a tool of the source folder: an installed package has none. */
async function machinery() {
  try {
    const [{ Play }, { Stage }] = await Promise.all([import('../demo/play.js'), import('../demo/stage.js')]);
    return { Play, Stage };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
    throw new Error('the demo is not part of the package: run `npm run demo` in the source folder', { cause: error });
  }
}

function abortion(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    const done = () => {
      resolve(false);
    };
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
  });
}

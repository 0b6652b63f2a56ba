// SPDX-License-Identifier: Apache-2.0
import { outputOf, type Context } from './context.js';
import { EXIT_FAILED } from './failure.js';
import { runCommandLine } from './program.js';

/** The `relatd` command of this process: runs `process.argv` and sets the exit code. */
export async function main(): Promise<void> {
  const unread = new AbortController();
  const broken = new AbortController();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    unread.abort();
    // `relatd flows | head` is done when head is; anything else on stdout is a real failure.
    if (error.code === 'EPIPE' || broken.signal.aborted) return;
    broken.abort();
    process.exitCode = EXIT_FAILED;
    process.stderr.write(
      `relatd: cannot write to stdout (${error.code ?? error.message}): let it write somewhere else\n`,
    );
  });
  // A daemon must outlive whoever read its log.
  process.stderr.on('error', () => undefined);
  const code = await runCommandLine(process.argv.slice(2), contextOf(unread.signal));
  process.exitCode = broken.signal.aborted ? EXIT_FAILED : code;
}

function contextOf(unread: AbortSignal): Context {
  let interrupts: AbortController | null = null;
  return {
    get stdin() {
      return process.stdin;
    },
    stdout: outputOf(process.stdout, process.env),
    stderr: outputOf(process.stderr, process.env),
    env: process.env,
    unread,
    interrupted() {
      if (interrupts === null) {
        const controller = new AbortController();
        interrupts = controller;
        for (const name of ['SIGINT', 'SIGTERM'] as const) {
          process.on(name, () => {
            controller.abort(name);
          });
        }
      }
      return interrupts.signal;
    },
  };
}

// SPDX-License-Identifier: Apache-2.0
import type { Readable, Writable } from 'node:stream';
import { DEFAULT_SOCKET } from '@relatd/client';

/** What a command may know of the process it runs in; tests give their own. */
export interface Context {
  readonly stdin: Readable;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by the first SIGINT or SIGTERM from the first call on; without a call these end the process as usual. */
  interrupted(): AbortSignal;
  /** Aborted when nobody reads stdout any more. */
  readonly unread: AbortSignal;
}

/** A stream to print to, and what may be printed there. */
export interface Output {
  readonly stream: Writable;
  /** A person looks at it: tables with lines. */
  readonly terminal: boolean;
  /** Colours are welcome. */
  readonly colour: boolean;
  /** Columns of the terminal; null where there is none. */
  readonly columns: number | null;
}

/** What `process.stdout` and `process.stderr` allow. `NO_COLOR` (no-color.org) rules, also on a terminal. */
export function outputOf(
  stream: Writable & { isTTY?: boolean; columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Output {
  const terminal = stream.isTTY === true;
  const plain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return { stream, terminal, colour: terminal && !plain, columns: terminal ? (stream.columns ?? 80) : null };
}

/** Prints a line. Resolves once the stream has taken it, so that a slow reader slows us and not our memory. */
export function print(output: Output, text: string): Promise<void> {
  return new Promise((resolve) => {
    const { stream } = output;
    if (stream.destroyed || stream.writableEnded) {
      resolve();
      return;
    }
    stream.write(`${text}\n`, () => {
      resolve();
    });
  });
}

/** The socket that is meant: `--socket`, else `$RELATD_SOCKET`, else the default. */
export function socketPathOf(context: Context, option: string | boolean | undefined): string {
  if (typeof option === 'string') return option;
  const fromEnvironment = context.env['RELATD_SOCKET'];
  return fromEnvironment !== undefined && fromEnvironment !== '' ? fromEnvironment : DEFAULT_SOCKET;
}

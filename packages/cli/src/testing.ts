// SPDX-License-Identifier: Apache-2.0
import { PassThrough } from 'node:stream';
import type { Context, Output } from './context.js';

/** A context for tests: what is printed is collected, nothing of this process is touched. */
export interface TestContext extends Context {
  readonly out: () => string;
  readonly err: () => string;
  readonly interrupt: AbortController;
}

/** A context whose outputs are no terminal, unless asked. */
export function testContext(
  options: { readonly env?: Record<string, string>; readonly terminal?: boolean; readonly colour?: boolean } = {},
): TestContext {
  const interrupt = new AbortController();
  const [stdout, out] = collect(options.terminal ?? false, options.colour ?? false);
  const [stderr, err] = collect(false, false);
  return {
    stdin: new PassThrough(),
    stdout,
    stderr,
    env: options.env ?? {},
    interrupted: () => interrupt.signal,
    unread: new AbortController().signal,
    out,
    err,
    interrupt,
  };
}

function collect(terminal: boolean, colour: boolean): [Output, () => string] {
  const stream = new PassThrough();
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return [{ stream, terminal, colour, columns: terminal ? 100 : null }, () => text];
}

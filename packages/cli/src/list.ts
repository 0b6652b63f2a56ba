// SPDX-License-Identifier: Apache-2.0
import {
  ApiError,
  errnoOf,
  matches,
  messageOf,
  RelatdClient,
  type ClientOptions,
  type Filter,
  type ListFilter,
} from '@relatd/client';
import type { Invocation } from './commands.js';
import { print, socketPathOf, type Context, type Output } from './context.js';

/** Elements of a JSON array that are printed in one piece. */
const CHUNK = 256;

/** Prints one JSON array, an element per line. */
export async function printArray(output: Output, items: readonly unknown[]): Promise<void> {
  if (items.length === 0) return print(output, '[]');
  await print(output, '[');
  for (let at = 0; at < items.length; at += CHUNK) {
    const piece = items.slice(at, at + CHUNK).map((item) => JSON.stringify(item));
    await print(output, piece.join(',\n') + (at + CHUNK < items.length ? ',' : ''));
  }
  await print(output, ']');
}

/** A client for the daemon that is meant. */
export function clientFor(
  context: Context,
  socket: string | boolean | undefined,
  options: ClientOptions = {},
): RelatdClient {
  return new RelatdClient(socketPathOf(context, socket), options);
}

/**
 * Asks the daemon; where none runs, reads the pinned datapath instead, and says so on stderr if `quiet` is not set.
 * When that cannot be read either, the error says both.
 */
export async function askOrReadPins<T>(
  context: Context,
  ask: () => Promise<T>,
  readPins: () => Promise<T>,
  { quiet = false } = {},
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'API_NO_DAEMON') throw error;
    let answer: T;
    try {
      answer = await readPins();
    } catch (cause) {
      if (errnoOf(cause) === 'NOT_RUNNING') throw error;
      throw new Error(`${error.message} (nor can its pinned datapath be read: ${messageOf(cause)})`, { cause });
    }
    if (!quiet) context.stderr.stream.write('relatd: no daemon runs: this is what its pinned datapath holds\n');
    return answer;
  }
}

/**
 * The filter that the options of a list ask for.
 * @throws ApiError `API_BAD_FILTER`
 */
export function listFilterOf(invocation: Invocation): ListFilter {
  const related = invocation.options['related'] === true;
  const control = invocation.options['control'] === true;
  const filter = filterOf(invocation);
  // Both switches ask for both kinds, and so does neither.
  return related === control ? filter : { ...filter, kind: related ? 'related' : 'control' };
}

/**
 * What `--helper`, `--assignment` and `--host` ask for.
 * @throws ApiError `API_BAD_FILTER`
 */
export function filterOf({ options }: Invocation): Filter {
  const helper = valueOf(options['helper']);
  const assignment = valueOf(options['assignment']);
  const host = valueOf(options['host']);
  const filter = {
    ...(helper === null ? {} : { helper }),
    ...(assignment === null ? {} : { assignment }),
    ...(host === null ? {} : { host }),
  };
  // A filter without meaning is told here, and not only by the daemon: it is wrong usage.
  matches(filter);
  return filter;
}

/** The value of an option that takes one, or null. */
export function valueOf(option: string | boolean | undefined): string | null {
  return typeof option === 'string' ? option : null;
}

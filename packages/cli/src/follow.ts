// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type EventFilter, type RelatdClient } from '@relatd/client';
import type { Event } from '@relatd/model';

/** Milliseconds until the next daemon is looked for: doubled each time, so that little of its beginning is missed. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 2000;

export interface FollowOptions {
  readonly filter: EventFilter;
  /** Ends the stream. */
  readonly stop: AbortSignal;
  /** The daemon has stopped, or was killed; the next one is waited for. */
  readonly onGone: () => void;
  /** A daemon is there again: no event from now on is missed. */
  readonly onAgain: () => void;
}

/**
 * Events of one daemon after the other, until `stop`.
 * @throws ApiError when there is no daemon at the start, or later for what waiting does not help against
 */
export async function* follow(
  client: RelatdClient,
  { filter, stop, onGone, onAgain }: FollowOptions,
): AsyncGenerator<Event, void, undefined> {
  const progress = { served: false, wait: 0 };
  const onOpen = (): void => {
    if (progress.served) onAgain();
    progress.served = true;
    progress.wait = 0;
  };
  while (!isAborted(stop)) {
    try {
      yield* client.events({ filter, signal: stop, onOpen });
    } catch (error) {
      if (!progress.served || !passes(error)) throw error;
    }
    if (progress.wait === 0 && !isAborted(stop)) onGone();
    progress.wait = Math.min(Math.max(progress.wait * 2, FIRST_WAIT), LONGEST_WAIT);
    await sleep(progress.wait, undefined, { signal: stop }).catch(() => undefined);
  }
}

/** Whether an error is of the kind that the next daemon mends. */
function passes(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  if (error.code === 'API_REFUSED') return ['starting', 'too-many-streams'].includes(error.answer?.code ?? '');
  return ['API_NO_DAEMON', 'API_CONNECTION_LOST', 'API_TIMEOUT'].includes(error.code);
}

// A function, because a check of the property itself would be taken to hold for the rest of the generator.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

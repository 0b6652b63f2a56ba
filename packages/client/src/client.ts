// SPDX-License-Identifier: Apache-2.0
import { request, type IncomingMessage } from 'node:http';
import {
  whyQueryOf,
  type Event,
  type Expectation,
  type Explanation,
  type Flow,
  type ReloadResult,
  type Status,
  type WhyQuestion,
} from '@relatd/model';
import { ApiError, errnoOf, type ErrorAnswer } from './errors.js';
import type { EventFilter, ListFilter } from './filter.js';
import { readLines } from './lines.js';

/** Where a daemon's socket is when nobody says otherwise. */
export const DEFAULT_SOCKET = '/run/relatd/relatd.sock';

export interface ClientOptions {
  /** Milliseconds without a byte from the daemon before a request is given up; default 15,000. Not for `events()`. */
  readonly timeout?: number;
  /** Ends every request but `events()`, which has its own. */
  readonly signal?: AbortSignal;
}

/**
 * Talks to a running daemon. Every method throws `ApiError`: `API_NO_DAEMON`, `API_NO_PERMISSION`, `API_TIMEOUT`,
 * `API_CONNECTION_LOST`, `API_BAD_ANSWER`, or `API_REFUSED` with the daemon's own words.
 */
export class RelatdClient {
  readonly socketPath: string;
  readonly #timeout: number;
  readonly #signal: AbortSignal | undefined;

  constructor(socketPath: string = DEFAULT_SOCKET, options: ClientOptions = {}) {
    this.socketPath = socketPath;
    this.#timeout = options.timeout ?? 15_000;
    this.#signal = options.signal;
  }

  flows(filter: ListFilter = {}): Promise<Flow[]> {
    return this.#json<Flow[]>('GET', `/v1/flows${query(filter)}`);
  }

  expectations(filter: Omit<ListFilter, 'kind'> = {}): Promise<Expectation[]> {
    return this.#json<Expectation[]>('GET', `/v1/expectations${query(filter)}`);
  }

  status(): Promise<Status> {
    return this.#json<Status>('GET', '/v1/status');
  }

  /** Why a connection was RELATED, or why not. */
  why(question: WhyQuestion): Promise<Explanation> {
    return this.#json<Explanation>('GET', `/v1/why${query(whyQueryOf(question))}`);
  }

  /** Asks the daemon to read its configuration file again. A bad file is `API_REFUSED` with `answer.problems`. */
  reload(): Promise<ReloadResult> {
    return this.#json<ReloadResult>('POST', '/v1/reload');
  }

  /**
   * Events from now on, those that pass the filter. Ends when the daemon stops in order; throws `API_CONNECTION_LOST`
   * when it is killed. `onOpen` is called once no later event can be missed.
   */
  async *events(
    options: { filter?: EventFilter; signal?: AbortSignal; onOpen?: () => void } = {},
  ): AsyncGenerator<Event, void, undefined> {
    const { filter = {}, signal } = options;
    if (isAborted(signal)) return;
    let response: IncomingMessage | null = null;
    try {
      response = await this.#open('GET', `/v1/events${query(filter)}`, 0, signal);
      if (response.statusCode !== 200) throw await this.#refusal(response);
      options.onOpen?.();
      for await (const line of readLines(response)) {
        if (line !== '') yield this.#parse(line) as Event;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      throw error instanceof ApiError ? error : ApiError.of('API_CONNECTION_LOST', this.socketPath);
    } finally {
      response?.destroy();
    }
  }

  async #json<T>(method: string, path: string): Promise<T> {
    const response = await this.#open(method, path, this.#timeout, this.#signal);
    if (response.statusCode !== 200) throw await this.#refusal(response);
    return this.#parse(await this.#text(response)) as T;
  }

  #open(method: string, path: string, timeout: number, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath: this.socketPath,
        method,
        path,
        agent: false,
        timeout,
        headers: { host: 'relatd', accept: 'application/json' },
        ...(signal === undefined ? {} : { signal }),
      });
      outgoing.once('response', resolve);
      outgoing.once('timeout', () => {
        outgoing.destroy(ApiError.of('API_TIMEOUT', this.socketPath, String(timeout / 1000)));
      });
      outgoing.once('error', (error) => {
        reject(this.#translate(error));
      });
      outgoing.end();
    });
  }

  #translate(error: Error): Error {
    if (error instanceof ApiError || error.name === 'AbortError') return error;
    const code = errnoOf(error);
    if (code === 'EACCES' || code === 'EPERM') return ApiError.of('API_NO_PERMISSION', this.socketPath);
    if (['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ENOTSOCK', 'EINVAL'].includes(code)) {
      return ApiError.of('API_NO_DAEMON', this.socketPath);
    }
    if (code === 'ECONNRESET' || code === 'EPIPE') return ApiError.of('API_CONNECTION_LOST', this.socketPath);
    return ApiError.of('API_BAD_ANSWER', this.socketPath);
  }

  async #text(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk as Buffer);
    } catch (error) {
      throw error instanceof ApiError ? error : ApiError.of('API_CONNECTION_LOST', this.socketPath);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw ApiError.of('API_BAD_ANSWER', this.socketPath);
    }
  }

  async #refusal(response: IncomingMessage): Promise<ApiError> {
    const body = this.#parse(await this.#text(response));
    return isRefusal(body) ? ApiError.refused(body.error) : ApiError.of('API_BAD_ANSWER', this.socketPath);
  }
}

function query(filter: object): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    if (typeof value === 'string') parameters.set(name, value);
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

function isRefusal(body: unknown): body is { error: ErrorAnswer } {
  if (typeof body !== 'object' || body === null || !('error' in body)) return false;
  const { error } = body;
  return typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string';
}

// A function, because a check of the property itself would be taken to hold for the rest of the generator.
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

// SPDX-License-Identifier: Apache-2.0
import { Readable } from 'node:stream';
import { fastify, type FastifyInstance, type FastifyReply } from 'fastify';
import { parseWhyQuery, type EngineView, type ReloadResult, type WhyQuery } from '@relatd/model';
import { errnoOf, messageOf, type ErrorAnswer } from './errors.js';
import { EventHub } from './hub.js';
import { matches, type ListFilter } from './filter.js';
import { socketFailure, takePlace } from './socket.js';

/** Event streams at the same time; each may cost `BACKLOG_BYTES`. */
const STREAMS_MAX = 32;

/** Items turned into JSON in one go: the event loop is free between two such chunks. */
const CHUNK_ITEMS = 256;

/** A listening API. Until `serve` is called every request is answered with 503: the datapath is being loaded. */
export interface ApiServer {
  readonly socketPath: string;
  /** Begins to answer from `view`. */
  serve(view: EngineView): void;
  /** Ends event streams, waits for answers under way (at most a second), removes the socket. */
  close(): Promise<void>;
}

export interface ApiServerOptions {
  readonly socketPath: string;
  /** Limits in milliseconds, for tests: until a request is complete; without progress on a connection. */
  readonly timeouts?: { readonly request: number; readonly idle: number };
  /** How a reload is done; by default `view.reload()`. */
  readonly reload?: () => Promise<ReloadResult>;
}

/**
 * Listens on the unix socket and takes it only if no other daemon answers there.
 * @throws ApiError `API_SOCKET_IN_USE`, `API_SOCKET_NOT_A_SOCKET`, `API_SOCKET_PATH`, `API_SOCKET_DENIED`, `API_SOCKET_FAILED`
 */
export async function listenApi(options: ApiServerOptions): Promise<ApiServer> {
  const place = await takePlace(options.socketPath);
  let view: EngineView | null = null;
  let hub: EventHub | null = null;
  const app = newApp(options);
  addRoutes(app, {
    view: () => view ?? refuse(503, 'starting', 'the daemon is still starting: try again in a moment'),
    hub: () => hub ?? refuse(503, 'starting', 'the daemon is still starting: try again in a moment'),
    reload: options.reload ?? null,
  });
  try {
    await app.listen({ path: place.temporary });
    await place.publish();
  } catch (error) {
    await app.close();
    throw socketFailure(options.socketPath, error);
  }
  return {
    socketPath: options.socketPath,
    serve(engine) {
      view = engine;
      hub = new EventHub(engine);
    },
    async close() {
      // The name first: who looks for a daemon from now on finds none, or the next one.
      await place.withdraw();
      hub?.close();
      const hard = setTimeout(() => {
        app.server.closeAllConnections();
      }, 1000);
      await app.close();
      clearTimeout(hard);
    },
  };
}

/** An answer other than 200, thrown by a route. */
class Refusal extends Error {
  readonly statusCode: number;
  readonly answer: ErrorAnswer;

  constructor(statusCode: number, answer: ErrorAnswer) {
    super(answer.message);
    this.statusCode = statusCode;
    this.answer = answer;
  }
}

function refuse(statusCode: number, code: string, message: string): never {
  throw new Refusal(statusCode, { code, message });
}

function newApp(options: ApiServerOptions): FastifyInstance {
  const { request, idle } = options.timeouts ?? { request: 10_000, idle: 30_000 };
  const app = fastify({
    logger: false,
    bodyLimit: 16 * 1024,
    connectionTimeout: idle,
    requestTimeout: request,
    keepAliveTimeout: 5000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    http: {
      headersTimeout: request,
      connectionsCheckingInterval: Math.min(1000, request),
      maxHeaderSize: 8 * 1024,
      joinDuplicateHeaders: false,
    },
    // A misspelt filter that is silently dropped would list everything.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  app.server.maxConnections = 512;
  app.setErrorHandler((error: unknown, _request, reply) => {
    const { status, answer } = answerOf(error);
    void reply.code(status).send({ error: answer });
  });
  app.setNotFoundHandler((incoming, reply) => {
    const message = `there is no ${incoming.method} ${incoming.url.slice(0, 100)} here`;
    void reply.code(404).send({ error: { code: 'not-found', message } });
  });
  return app;
}

interface Sources {
  view(): EngineView;
  hub(): EventHub;
  readonly reload: (() => Promise<ReloadResult>) | null;
}

function addRoutes(app: FastifyInstance, sources: Sources): void {
  app.get<{ Querystring: ListFilter }>('/v1/flows', { schema: filterSchema(true) }, async (request, reply) => {
    const flows = await sources.view().flows();
    return sendList(reply, flows.filter(matches(request.query)));
  });
  app.get<{ Querystring: ListFilter }>('/v1/expectations', { schema: filterSchema(false) }, async (request, reply) => {
    const expectations = await sources.view().expectations();
    return sendList(reply, expectations.filter(matches(request.query)));
  });
  app.get('/v1/status', () => sources.view().status());
  app.get<{ Querystring: WhyQuery }>('/v1/why', { schema: whySchema }, async (request) => {
    const question = parseWhyQuery(request.query);
    if (typeof question === 'string') refuse(400, 'bad-request', question);
    return sources.view().why(question);
  });
  app.get('/v1/events', { exposeHeadRoute: false }, (request, reply) => {
    const hub = sources.hub();
    if (hub.size >= STREAMS_MAX) {
      refuse(503, 'too-many-streams', `${String(STREAMS_MAX)} clients read events already: end one of them`);
    }
    reply.hijack();
    // Silence is what a stream of events mostly is.
    request.raw.socket.setTimeout(0);
    hub.add(reply.raw);
  });
  app.post('/v1/reload', async () => {
    const view = sources.view();
    return sources.reload === null ? view.reload() : sources.reload();
  });
}

/** The schema of {@link WhyQuery}. */
const whySchema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    required: ['destination'],
    properties: {
      source: { type: 'string', minLength: 1, maxLength: 64 },
      destination: { type: 'string', minLength: 1, maxLength: 64 },
      zone: { type: 'string', pattern: '^[0-9]{1,5}$' },
      at: { type: 'string', minLength: 1, maxLength: 64 },
    },
  },
} as const;

function filterSchema(withKind: boolean): object {
  const name = { type: 'string', minLength: 1, maxLength: 128 };
  const properties = {
    helper: name,
    assignment: name,
    ...(withKind ? { kind: { type: 'string', enum: ['control', 'related'] } } : {}),
  };
  return { querystring: { type: 'object', additionalProperties: false, properties } };
}

/** Sends a JSON array piece by piece: a full flow table is tens of megabytes as one string. */
function sendList(reply: FastifyReply, items: readonly unknown[]): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(Readable.from(pieces(items), { highWaterMark: 2 }));
}

function* pieces(items: readonly unknown[]): Generator<string, void, undefined> {
  let opening = '[';
  for (let at = 0; at < items.length; at += CHUNK_ITEMS) {
    const chunk = items.slice(at, at + CHUNK_ITEMS).map((item) => JSON.stringify(item));
    yield opening + chunk.join(',');
    opening = ',';
  }
  yield opening === '[' ? '[]' : ']';
}

function answerOf(error: unknown): { status: number; answer: ErrorAnswer } {
  if (error instanceof Refusal) return { status: error.statusCode, answer: error.answer };
  const message = messageOf(error);
  if (typeof error === 'object' && error !== null) {
    // A configuration that does not hold: the client shows every problem of it.
    if ('problems' in error && Array.isArray(error.problems) && error.problems.length > 0) {
      const problems = error.problems.map((problem) => String(problem));
      return { status: 422, answer: { code: errnoOf(error) || 'configuration', message, problems } };
    }
    if ('statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500) {
      return { status: error.statusCode, answer: { code: 'bad-request', message } };
    }
  }
  return { status: 500, answer: { code: errnoOf(error) || 'internal', message } };
}

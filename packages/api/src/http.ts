// SPDX-License-Identifier: Apache-2.0
import { fastify, type FastifyInstance } from 'fastify';
import { answerOf } from './refusal.js';

/** Limits of one listener in milliseconds: until a request is complete; without progress on a connection. */
export interface Timeouts {
  readonly request: number;
  readonly idle: number;
}

/** Connections at the same time. One that is idle costs a few KiB, until it is cut off. */
const CONNECTIONS_MAX = 4096;

/** Connections that wait to be accepted: with fewer, a burst of them keeps others out of the socket at once (EAGAIN). */
export const BACKLOG = 2048;

/** An HTTP server that bad clients cannot hold up: everything that they can make it keep is bounded. */
export function newHttpServer({ request, idle }: Timeouts = { request: 10_000, idle: 30_000 }): FastifyInstance {
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
  app.server.maxConnections = CONNECTIONS_MAX;
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

/** Waits for answers under way, at most a second. */
export async function closeHttpServer(app: FastifyInstance): Promise<void> {
  const hard = setTimeout(() => {
    app.server.closeAllConnections();
  }, 1000);
  await app.close();
  clearTimeout(hard);
}

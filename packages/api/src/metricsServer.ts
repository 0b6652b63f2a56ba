// SPDX-License-Identifier: Apache-2.0
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { errnoOf, messageOf } from '@relatd/client';
import { formatEndpoint, type EngineView } from '@relatd/model';
import type { Registry } from 'prom-client';
import { ListenError } from './errors.js';
import { newRegistry } from './metrics.js';

/** The Prometheus listener. Until `serve` is called it answers 503. */
export interface MetricsServer {
  /** Where it listens; the port is the real one also where 0 was asked for. */
  readonly address: string;
  serve(view: EngineView): void;
  close(): Promise<void>;
}

export interface MetricsServerOptions {
  /** IPv4 or IPv6, without brackets. */
  readonly address: string;
  /** 0 takes any that is free. */
  readonly port: number;
}

/**
 * Listens for `GET /metrics`.
 * @throws ListenError `API_METRICS_LISTEN`
 */
export async function listenMetrics({ address, port }: MetricsServerOptions): Promise<MetricsServer> {
  let registry: Registry | null = null;
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 60_000, connectionsCheckingInterval: 1000 },
    (request, response) => {
      void answer(request, response, registry);
    },
  );
  server.maxConnections = 64;
  // A scraper that stops reading in the middle.
  server.setTimeout(90_000);
  await listen(server, address, port);
  return {
    address: boundAddress(server),
    serve(view) {
      registry = newRegistry(() => view.counters());
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, registry: Registry | null): Promise<void> {
  response.on('error', () => undefined);
  // A body is not read; without this a client could go on sending one for ever.
  if (request.method !== 'GET' && request.method !== 'HEAD') response.setHeader('connection', 'close');
  const [path] = (request.url ?? '').split('?', 1);
  if (path !== '/metrics') {
    respond(response, 404, 'there is only /metrics here\n');
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    respond(response, 405, 'GET it\n');
    return;
  }
  if (registry === null) {
    respond(response, 503, 'the daemon is still starting\n');
    return;
  }
  try {
    const text = await registry.metrics();
    response.setHeader('content-type', registry.contentType);
    response.end(text);
  } catch (error) {
    respond(response, 500, `${messageOf(error)}\n`);
  }
}

function respond(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(text);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      const code = errnoOf(error);
      const why = code === 'EADDRINUSE' ? 'something else listens there, perhaps another relatd' : messageOf(error);
      reject(ListenError.of('API_METRICS_LISTEN', formatEndpoint({ address: host, port }), why));
    };
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.off('error', fail);
      // Out of file descriptors, an accept may fail; the daemon goes on.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

function boundAddress(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') return '';
  return bound.family === 'IPv6'
    ? `[${bound.address}]:${String(bound.port)}`
    : `${bound.address}:${String(bound.port)}`;
}

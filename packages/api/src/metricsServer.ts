// SPDX-License-Identifier: Apache-2.0
import { errnoOf, messageOf } from '@relatd/client';
import { formatEndpoint, type EngineView } from '@relatd/model';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import { Access } from './access.js';
import { ListenError } from './errors.js';
import { BACKLOG, closeHttpServer, newHttpServer, type Timeouts } from './http.js';
import { EventHub } from './hub.js';
import { newRegistry } from './metrics.js';
import { StaticFiles } from './files.js';
import { closedPage, loginPage, missingPage, PAGE_POLICY } from './pages.js';
import { refuse } from './refusal.js';
import { addReadRoutes, type Source } from './routes.js';
import { readToken } from './token.js';

/** The listener for Prometheus, the dashboard and the API that it reads. Until `serve` is called it answers 503. */
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
  /** The file with the token that all but `/metrics` asks for. Null or absent: no token, and only on loopback more than `/metrics`. */
  readonly tokenFile?: string | null;
  /** The folder of the built dashboard. Null or absent: a page says that it is not built. */
  readonly dashboard?: string | null;
  /** For tests. */
  readonly timeouts?: Timeouts;
}

/** A page that is loaded again finds the events of before. */
const LINGER_MS = 60_000;

/**
 * Listens for `GET /metrics`, and for what only reads under `/v1/`. Nothing here changes anything.
 * @throws ListenError `API_METRICS_LISTEN`, `API_TOKEN_FILE`
 */
export async function listenMetrics(options: MetricsServerOptions): Promise<MetricsServer> {
  const { address, port, tokenFile = null } = options;
  const access = new Access(tokenFile === null ? null : await readToken(tokenFile), address);
  let source: Source | null = null;
  let registry: Registry | null = null;
  const app = newHttpServer(options.timeouts);
  guard(app, access, port);
  app.get('/metrics', async (_request, reply) => {
    if (registry === null) return refuse(503, 'starting', 'the daemon is still starting');
    const text = await registry.metrics();
    return reply.type(registry.contentType).send(text);
  });
  addReadRoutes(app, () => source);
  await addDashboard(app, options.dashboard ?? null);
  try {
    await app.listen({ host: address, port, backlog: BACKLOG });
  } catch (error) {
    await app.close();
    const why =
      errnoOf(error) === 'EADDRINUSE' ? 'something else listens there, perhaps another relatd' : messageOf(error);
    throw ListenError.of('API_METRICS_LISTEN', formatEndpoint({ address, port }), why);
  }
  return {
    address: boundAddress(app),
    serve(view) {
      registry = newRegistry(() => view.counters());
      source = { view, hub: new EventHub(view, LINGER_MS) };
    },
    async close() {
      source?.hub.close();
      await closeHttpServer(app);
    },
  };
}

async function addDashboard(app: FastifyInstance, folder: string | null): Promise<void> {
  if (folder === null) {
    app.get('/', (_request, reply) => sendPage(reply, 200, missingPage));
    return;
  }
  const files = await StaticFiles.read(folder);
  app.get('/', (request, reply) => files.send('/index.html', request, reply));
  for (const path of files.paths) app.get(path, (request, reply) => files.send(path, request, reply));
}

/** Lets through who may see flows, and everybody to `/metrics`. */
function guard(app: FastifyInstance, access: Access, port: number): void {
  // Cookies of a host go to all its ports.
  const cookie = `relatd-${String(port)}`;
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    const path = pathOf(request);
    const isLogin = access.asksForToken && request.method === 'POST' && path === '/';
    if (request.method !== 'GET' && request.method !== 'HEAD' && !isLogin) {
      // A body is not read; without this a client could go on sending one for ever.
      reply.headers({ allow: 'GET, HEAD', connection: 'close' });
      return refuse(405, 'read-only', 'everything at this address can only be read: use GET');
    }
    if (path === '/metrics' || isLogin) return;
    switch (access.judge(request.headers, cookie)) {
      case 'yes':
        return;
      case 'foreign':
        return refuse(403, 'foreign', 'another web site may not ask this');
      case 'rebound':
        return refuse(421, 'host', 'ask for this by its address, like http://127.0.0.1:9469/, or as localhost');
      case 'closed':
        if (path.startsWith('/v1/')) {
          return refuse(403, 'no-token', 'others reach this address too: name a listen.token-file, or use the socket');
        }
        return sendPage(reply, 403, closedPage);
      case 'login':
        reply.header('www-authenticate', 'Bearer realm="relatd"');
        if (path.startsWith('/v1/')) return refuse(401, 'token', 'send the token as `Authorization: Bearer TOKEN`');
        return sendPage(reply, 401, loginPage(false));
    }
  });
  if (!access.asksForToken) return;
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, new URLSearchParams(String(body)).get('token') ?? '');
  });
  app.post<{ Body: string }>('/', (request, reply) => {
    const session = access.logIn(typeof request.body === 'string' ? request.body.trim() : '');
    if (session === null) return sendPage(reply, 401, loginPage(true));
    // Back to the same page: its filters stand in the address.
    return reply
      .header('set-cookie', `${cookie}=${session}; Path=/; HttpOnly; SameSite=Strict`)
      .redirect(request.url, 303);
  });
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}

function sendPage(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply
    .code(status)
    .headers({ 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_POLICY })
    .send(text);
}

function boundAddress(app: FastifyInstance): string {
  const bound = app.server.address();
  return bound === null || typeof bound === 'string' ? '' : formatEndpoint(bound);
}

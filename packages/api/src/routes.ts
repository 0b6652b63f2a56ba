// SPDX-License-Identifier: Apache-2.0
import type { OutgoingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { matches, matchesEvent, type EventFilter, type ListFilter } from '@relatd/client';
import { parseWhyQuery, type EngineView, type ReloadResult, type WhyQuery } from '@relatd/model';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { endpoints, type Endpoint } from './endpoints.js';
import type { EventHub } from './hub.js';
import { openApiDocument } from './openapi.js';
import { refuse } from './refusal.js';
import { schemaOf } from './schemas.js';

/** Event streams at the same time; each may cost `BACKLOG_BYTES`. */
const STREAMS_MAX = 32;

/** Items turned into JSON in one go: the event loop is free between two such chunks. */
const CHUNK_ITEMS = 256;

/** Where answers come from once the daemon has started. */
export interface Source {
  readonly view: EngineView;
  readonly hub: EventHub;
}

/** Everything that only reads. `source` gives null while the daemon is still starting. */
export function addReadRoutes(app: FastifyInstance, source: () => Source | null): void {
  const { flows, expectations, status, why, counters, events, history, document } = endpoints;
  const started = (): Source =>
    source() ?? refuse(503, 'starting', 'the daemon is still starting: try again in a moment');
  app.get<{ Querystring: ListFilter }>(flows.path, checked(flows), async (request, reply) => {
    const isWanted = matches(request.query);
    const list = await started().view.flows();
    return sendList(reply, list.filter(isWanted));
  });
  app.get<{ Querystring: ListFilter }>(expectations.path, checked(expectations), async (request, reply) => {
    const isWanted = matches(request.query);
    const list = await started().view.expectations();
    return sendList(reply, list.filter(isWanted));
  });
  app.get(status.path, () => started().view.status());
  app.get<{ Querystring: WhyQuery }>(why.path, checked(why), async (request) => {
    const question = parseWhyQuery(request.query);
    if (typeof question === 'string') refuse(400, 'bad-request', question);
    return started().view.why(question);
  });
  app.get(counters.path, () => started().view.counters());
  app.get(history.path, (_request, reply) => reply.type('application/json').send(started().hub.history()));
  const stream = { ...checked(events), exposeHeadRoute: false };
  app.get<{ Querystring: EventFilter }>(events.path, stream, (request, reply) => {
    const isWanted = matchesEvent(request.query);
    const { hub } = started();
    if (hub.size >= STREAMS_MAX) {
      refuse(503, 'too-many-streams', `${String(STREAMS_MAX)} clients read events already: end one of them`);
    }
    const headers = reply.getHeaders() as OutgoingHttpHeaders;
    reply.hijack();
    // Silence is what a stream of events mostly is.
    request.raw.socket.setTimeout(0);
    hub.add(reply.raw, isWanted, headers);
  });
  app.get(document.path, () => openApiDocument());
}

/** What changes something: for the socket alone. */
export function addReloadRoute(
  app: FastifyInstance,
  source: () => Source | null,
  reload: (() => Promise<ReloadResult>) | null,
): void {
  app.post(endpoints.reload.path, () => {
    const view = source()?.view ?? refuse(503, 'starting', 'the daemon is still starting: try again in a moment');
    return reload === null ? view.reload() : reload();
  });
}

function checked({ query }: Endpoint & { query: NonNullable<Endpoint['query']> }): { schema: object } {
  return { schema: { querystring: schemaOf(query) } };
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

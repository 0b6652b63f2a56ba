// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import * as schemas from './schemas.js';

/** One thing that can be asked for: what the routes check and what the document says. */
export interface Endpoint {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly query?: z.ZodObject;
  readonly answer: {
    readonly description: string;
    readonly schema: z.ZodType;
    /** Of a stream, the schema is that of one line. */
    readonly type: 'application/json' | 'application/x-ndjson';
  };
  /** Other answers than 200. All of them are an `Error`. */
  readonly refusals: Readonly<Record<number, string>>;
}

const starting = { 503: 'The daemon is still starting' } as const;
const badQuery = { 400: 'A parameter that does not exist or cannot have this value' } as const;

export const endpoints = {
  flows: {
    method: 'GET',
    path: '/v1/flows',
    summary: 'Control connections and related flows that are tracked now',
    query: schemas.flowFilter,
    answer: { description: 'Flows', schema: z.array(schemas.flow), type: 'application/json' },
    refusals: { ...badQuery, ...starting },
  },
  expectations: {
    method: 'GET',
    path: '/v1/expectations',
    summary: 'Data connections that are expected now',
    query: schemas.expectationFilter,
    answer: { description: 'Expectations', schema: z.array(schemas.expectation), type: 'application/json' },
    refusals: { ...badQuery, ...starting },
  },
  status: {
    method: 'GET',
    path: '/v1/status',
    summary: 'The daemon, interfaces, assignments, tables, losses, warnings',
    answer: { description: 'Status', schema: schemas.status, type: 'application/json' },
    refusals: starting,
  },
  why: {
    method: 'GET',
    path: '/v1/why',
    summary: 'Why a connection was RELATED, or why not',
    query: schemas.whyQuery,
    answer: { description: 'Explanation', schema: schemas.explanation, type: 'application/json' },
    refusals: { ...badQuery, ...starting },
  },
  counters: {
    method: 'GET',
    path: '/v1/counters',
    summary: 'Numbers by assignment, reason, interface and table',
    answer: { description: 'Counters', schema: schemas.counters, type: 'application/json' },
    refusals: starting,
  },
  events: {
    method: 'GET',
    path: '/v1/events',
    summary: 'Events from now on, one JSON object per line',
    description:
      'Does not end by itself. A reader that is too slow loses events, and is told how many by an event `lost`.',
    query: schemas.eventFilter,
    answer: { description: 'A line per event', schema: schemas.event, type: 'application/x-ndjson' },
    refusals: { ...badQuery, 503: 'The daemon is still starting, or too many clients read events already' },
  },
  history: {
    method: 'GET',
    path: '/v1/history',
    summary: 'The last events, oldest first',
    description:
      'Events are kept only while somebody reads `/v1/events`, and at the metrics address for a minute longer. ' +
      'At most 2000.',
    answer: { description: 'History', schema: schemas.history, type: 'application/json' },
    refusals: starting,
  },
  document: {
    method: 'GET',
    path: '/v1/openapi.json',
    summary: 'This document',
    answer: { description: 'OpenAPI 3.1', schema: z.looseObject({}), type: 'application/json' },
    refusals: {},
  },
  reload: {
    method: 'POST',
    path: '/v1/reload',
    summary: 'Reads the configuration again and applies it; on the socket only',
    description: 'A bad file changes nothing.',
    answer: { description: 'What it did', schema: schemas.reloaded, type: 'application/json' },
    refusals: { 422: 'The configuration does not hold; `problems` has everything that is wrong', ...starting },
  },
} as const satisfies Record<string, Endpoint>;

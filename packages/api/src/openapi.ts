// SPDX-License-Identifier: Apache-2.0
import { endpoints, type Endpoint } from './endpoints.js';
import { failure, namedSchemas, schemaOf } from './schemas.js';

type Json = Readonly<Record<string, unknown>>;

/** The OpenAPI 3.1 document of the socket and of the metrics address. It is what the routes are checked by. */
export function openApiDocument(): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'relatd',
      version: '1',
      summary: 'What a relatd daemon tracks, expects and has refused',
      description:
        'Served on the unix socket, and, without `/v1/reload`, at the metrics address. Fields may be added to every ' +
        'object; none changes its meaning. The metrics address asks for the token where `listen.token-file` names one.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:9469', description: 'listen.metrics' }],
    security: [{}, { token: [] }],
    paths: Object.fromEntries(
      Object.entries(endpoints).map(([id, endpoint]) => [endpoint.path, pathItem(id, endpoint)]),
    ),
    components: {
      schemas: namedSchemas(),
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function pathItem(operationId: string, endpoint: Endpoint): Json {
  const { method, summary, description, query, answer, refusals } = endpoint;
  const other = Object.entries(refusals).map(([status, why]) => [status, response(why, 'application/json', failure)]);
  return {
    [method.toLowerCase()]: {
      operationId,
      summary,
      ...(description === undefined ? {} : { description }),
      ...(query === undefined ? {} : { parameters: parameters(query) }),
      responses: {
        200: response(answer.description, answer.type, answer.schema),
        ...(Object.fromEntries(other) as Json),
      },
    },
  };
}

function response(description: string, type: string, schema: Endpoint['answer']['schema']): Json {
  return { description, content: { [type]: { schema: schemaOf(schema) } } };
}

function parameters(query: NonNullable<Endpoint['query']>): Json[] {
  const { properties } = schemaOf(query) as { properties: Json };
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }));
}

// SPDX-License-Identifier: Apache-2.0
import type { ErrorAnswer, EventFilter, ListFilter } from '@relatd/client';
import {
  REASONS,
  WHY_ANSWERS,
  type Counters,
  type Event,
  type EventType,
  type Expectation,
  type Explanation,
  type Flow,
  type ReloadResult,
  type Status,
  type WhyQuery,
} from '@relatd/model';
import { z } from 'zod';
import type { History } from './hub.js';

/** Schemas that the document names, each once. */
const named = z.registry<{ id: string }>();

function name<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  named.add(schema, { id });
  return schema;
}

const count = z.int().min(0);
const time = z.iso.datetime().describe('UTC');
const address = z.string().describe('In its canonical text form');
const mark = z.string().regex(/^0x[0-9a-f]{8}$/);

const reason = name('Reason', z.enum(REASONS).describe('Why something happened; README.md explains them'));
const endpoint = name(
  'Endpoint',
  z.object({ address, port: count.nullable().describe('Null where the protocol has none') }),
);
const directions = name(
  'Directions',
  z.object({ original: count, reply: count }).describe('`original` is the direction of who opened the connection'),
);
const detail = name(
  'Detail',
  z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .describe('What the helper knows, like user, command and argument: text from the network'),
);
const protocol = z.enum(['tcp', 'udp']);

const flowParts = {
  id: z.string(),
  assignment: z.string(),
  helper: z.string(),
  protocol,
  source: endpoint.describe('Who opened the connection'),
  destination: endpoint,
  interface: z.string().describe('Where it was first seen'),
  state: z.enum(['new', 'established', 'closing', 'closed']),
  mark,
  packets: directions.describe('As on the wire: a GSO packet counts by its segments'),
  bytes: directions.describe('At IP level'),
  created: time,
  idleSeconds: z.number(),
  detail: detail.nullable(),
};

const controlFlow = name(
  'ControlFlow',
  z.object({
    ...flowParts,
    kind: z.literal('control'),
    master: z.null(),
    trust: z.union([z.literal('ok'), reason]).describe('`ok`, or why it is no longer parsed'),
  }),
);
const relatedFlow = name(
  'RelatedFlow',
  z.object({ ...flowParts, kind: z.literal('related'), master: z.string().describe('Id of its control connection') }),
);

export const flow = name('Flow', z.union([controlFlow, relatedFlow])) satisfies z.ZodType<Flow>;

const pattern = name(
  'EndpointPattern',
  z
    .object({
      address: address.nullable(),
      port: z.union([count, z.object({ from: count, to: count }), z.null()]),
    })
    .describe('Null where any matches'),
);
const announcement = {
  assignment: z.string(),
  helper: z.string(),
  protocol,
  source: pattern.describe('Who will open it'),
  destination: pattern,
  master: z.string().describe('Id of its control connection'),
};

export const expectation = name(
  'Expectation',
  z.object({
    id: z.string(),
    ...announcement,
    created: time,
    expiresSeconds: z.number().nullable().describe('Null: it ends with its master'),
    permanent: z.boolean().describe('Whether it stays after a match'),
  }),
) satisfies z.ZodType<Expectation>;

const refused = name('Announcement', z.object(announcement));
const guarded = name(
  'GuardedPacket',
  z.object({
    protocol,
    source: endpoint,
    destination: endpoint,
    interface: z.string(),
    assignment: z.null(),
    detail: z.null(),
  }),
);

const one = <T extends EventType, Parts extends z.ZodRawShape>(type: T, parts: Parts) =>
  z.object({ time, type: z.literal(type), ...parts });

export const event = name(
  'Event',
  z
    .union([
      one('control.new', { flow: controlFlow }),
      one('control.end', { flow: controlFlow, reason }),
      one('expectation.new', { expectation }),
      one('expectation.refused', { expectation: refused, reason, count }),
      one('expectation.refused', { flow: controlFlow, reason, count }),
      one('expectation.expired', { expectation, reason }),
      one('related.new', { flow: relatedFlow }),
      one('related.end', { flow: relatedFlow, reason }),
      one('guard.drop', { flow: guarded, reason, count }),
      one('lost', { count }),
    ])
    .describe('What happened; `count`: how many it stands for'),
) satisfies z.ZodType<Event>;

const program = z.object({ id: z.number(), name: z.string(), ours: z.boolean() });
const table = name('Table', z.object({ name: z.string(), used: count, size: count, bytes: count }));
const hold = name(
  'Hold',
  z.object({
    device: z.string().nullable(),
    unavailablePolicy: z.enum(['pass', 'drop']),
    held: count,
    released: count,
    unattended: count,
  }),
);
const losses = name('Losses', z.object({ events: count, samples: count }));
const reasons = z.record(reason, count);
const flowCounts = z.object({ control: count, related: count });

export const status = name(
  'Status',
  z.object({
    version: z.string(),
    pid: z.int().nullable(),
    uptimeSeconds: z.number(),
    running: z.boolean(),
    daemonGoneSince: time.nullable(),
    namespace: z.string(),
    kernel: z.string(),
    interfaces: z.array(
      z.object({
        name: z.string(),
        ifindex: count,
        watched: z.boolean(),
        mode: z.enum(['tcx', 'clsact']).nullable(),
        zone: count,
        neighbours: z.object({ ingress: z.array(program), egress: z.array(program) }),
        problems: z.array(z.string()),
      }),
    ),
    output: z
      .object({ attached: z.boolean(), problem: z.string().nullable() })
      .describe('The programs that mark connections which this host opens'),
    conntrack: z
      .object({ made: count, withoutMaster: count, failed: count, problems: z.array(z.string()) })
      .nullable()
      .describe('Null without `related: conntrack`'),
    assignments: z.array(
      z.object({
        name: z.string(),
        helper: z.string(),
        protocol,
        port: count,
        interface: z.string().nullable(),
        from: z.array(z.string()),
        to: z.array(z.string()),
        mark,
        flows: flowCounts,
      }),
    ),
    tables: z.array(table),
    counters: reasons,
    losses,
    hold,
    warnings: z.array(z.string()),
  }),
) satisfies z.ZodType<Status>;

export const counters = name(
  'Counters',
  z
    .object({
      version: z.string(),
      started: time,
      reasons,
      assignments: z.array(
        z.object({
          name: z.string(),
          helper: z.string(),
          flows: flowCounts,
          expectations: count,
          perMaster: count,
          controlTotal: count,
          relatedTotal: count,
          expectationTotal: count,
          refused: z.partialRecord(reason, count),
          distrusted: z.partialRecord(reason, count),
        }),
      ),
      interfaces: z.array(z.object({ name: z.string(), watched: z.boolean(), problems: count })),
      tables: z.array(table),
      limits: z.object({ perSource: count }),
      losses,
      hold,
    })
    .describe('What `/metrics` is made of'),
) satisfies z.ZodType<Counters>;

export const history = name(
  'History',
  z.object({
    since: time.nullable().describe('From when on `events` has everything; null: nobody has asked for events lately'),
    events: z.array(event),
  }),
) satisfies z.ZodType<History>;

export const reloaded = name(
  'Reloaded',
  z.object({ changed: z.boolean(), messages: z.array(z.string()) }),
) satisfies z.ZodType<ReloadResult>;

export const failure = name(
  'Error',
  z.object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      problems: z.array(z.string()).optional().describe('Of a configuration: `file:line:column: what is wrong`'),
    }),
  }),
);
failure satisfies z.ZodType<{ error: Pick<ErrorAnswer, 'code' | 'message'> }>;

const filterWord = z.string().min(1).max(128).optional();
const host = filterWord.describe('An address or a prefix in which either end lies');
export const expectationFilter = z.strictObject({ helper: filterWord, assignment: filterWord, host });
export const flowFilter = expectationFilter.extend({ kind: z.enum(['control', 'related']).optional() });
flowFilter satisfies z.ZodType<{ [Key in keyof ListFilter]: ListFilter[Key] | undefined }>;
export const eventFilter = expectationFilter.extend({
  type: z.string().min(1).max(256).optional().describe('Types with commas between'),
});
eventFilter satisfies z.ZodType<{ [Key in keyof EventFilter]: EventFilter[Key] | undefined }>;

export const explanation = name(
  'Explanation',
  z.object({
    source: endpoint.nullable().describe('Null: it is not known who opened it'),
    destination: endpoint,
    related: z.boolean(),
    answer: z.enum(WHY_ANSWERS),
    sentence: z.string().describe('The answer, for people'),
    facts: z.array(z.object({ time: time.nullable(), text: z.string() })).describe('In the order of their times'),
    historySince: time.nullable().describe('How far back the history reaches'),
  }),
) satisfies z.ZodType<Explanation>;

const connectionEnd = z.string().min(1).max(64);
export const whyQuery = z.strictObject({
  source: connectionEnd.optional().describe('Who opened it: ADDRESS or ADDRESS:PORT; absent: anybody'),
  destination: connectionEnd.describe('ADDRESS:PORT, IPv6 as [ADDRESS]:PORT'),
  zone: z
    .string()
    .regex(/^[0-9]{1,5}$/)
    .optional(),
  at: connectionEnd.optional().describe('About when it was opened, ISO 8601; absent: the latest'),
});
whyQuery satisfies z.ZodType<{ [Key in keyof WhyQuery]: WhyQuery[Key] | undefined }>;

type Json = Readonly<Record<string, unknown>>;

const reference = (id: string): string => `#/components/schemas/${id}`;

/** Without what says nothing to a reader: bounds of every JavaScript number, the pattern beside a format. */
function override({ jsonSchema }: { jsonSchema: Record<string, unknown> }): void {
  if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum'];
  if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum'];
  if (jsonSchema['format'] !== undefined) delete jsonSchema['pattern'];
}

/** The named schemas as JSON Schema (draft 2020-12), as OpenAPI wants them. Fields may be added to what they describe. */
export function namedSchemas(): Readonly<Record<string, Json>> {
  const { schemas } = z.toJSONSchema(named, { io: 'input', uri: reference, override });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $id: _id, $schema: _schema, ...schema }]) => [id, schema]),
  );
}

/** A schema, or a reference to it where it has a name. */
export function schemaOf(schema: z.ZodType): Json {
  const id = named.get(schema)?.id;
  if (id !== undefined) return { $ref: reference(id) };
  if (schema instanceof z.ZodArray) return { type: 'array', items: schemaOf(schema.element as z.ZodType) };
  const { $schema: _schema, ...json } = z.toJSONSchema(schema, { override });
  return json;
}

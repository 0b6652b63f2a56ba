// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { EVENT_TYPES, type Event } from '@relatd/model';
import { format } from 'prettier';
import { expect, test } from 'vitest';
import type { z } from 'zod';
import { endpoints } from './endpoints.js';
import { controlFlow, expectation, FakeView, relatedFlow, relatedNew } from './fakeView.js';
import { openApiDocument } from './openapi.js';
import * as schemas from './schemas.js';

const file = fileURLToPath(new URL('../../../docs/openapi.json', import.meta.url));

test('docs/openapi.json is what the API serves; `npx vitest run --project api -u src/openapi.test.ts` writes it', async () => {
  await expect(
    await format(JSON.stringify(openApiDocument()), { parser: 'json', printWidth: 120 }),
  ).toMatchFileSnapshot(file);
});

test('every reference leads somewhere, and every schema is referred to', () => {
  const document = openApiDocument() as { components: { schemas: object } };
  const names = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, id]) => id);
  expect([...new Set(names)].sort()).toEqual(Object.keys(document.components.schemas).sort());
});

/** A schema leaves out what it does not know: what comes back unchanged is known to the last field. */
function known(schema: z.ZodType, value: unknown): void {
  expect(schema.parse(value)).toEqual(value);
}

test('the schemas know every field of what is served', async () => {
  const view = new FakeView();
  known(endpoints.flows.answer.schema, await view.flows());
  known(endpoints.expectations.answer.schema, await view.expectations());
  known(endpoints.status.answer.schema, await view.status());
  known(endpoints.counters.answer.schema, await view.counters());
  known(endpoints.reload.answer.schema, await view.reload());
  const { time } = relatedNew('1');
  const master = controlFlow('16');
  const {
    id: _id,
    created: _created,
    expiresSeconds: _expires,
    permanent: _permanent,
    ...announced
  } = expectation('3');
  const { protocol, source, destination } = master;
  const events: Event[] = [
    { time, type: 'control.new', flow: master },
    { time, type: 'control.end', flow: master, reason: 'fin' },
    { time, type: 'expectation.new', expectation: expectation('3') },
    { time, type: 'expectation.refused', expectation: announced, reason: 'nat', count: 2 },
    { time, type: 'expectation.refused', flow: master, reason: 'bad-syntax', count: 2 },
    { time, type: 'expectation.expired', expectation: expectation('3'), reason: 'expired' },
    { time, type: 'related.new', flow: relatedFlow('17') },
    { time, type: 'related.end', flow: relatedFlow('17'), reason: 'rst' },
    {
      time,
      type: 'guard.drop',
      flow: { protocol, source, destination, interface: 'eth0', assignment: null, detail: null },
      reason: 'guard',
      count: 1,
    },
    { time, type: 'lost', count: 3 },
  ];
  expect([...new Set(events.map(({ type }) => type))]).toEqual(EVENT_TYPES);
  for (const event of events) known(schemas.event, event);
  known(schemas.history, { since: time, events });
  expect(schemas.event.safeParse({ time, type: 'lost' }).success).toBe(false);
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { jsonSchema } from './index.js';
import { nearest } from '@relatd/document';

describe('JSON schema', () => {
  it('has every key, with a description and its default', () => {
    const schema = jsonSchema() as {
      properties: Record<string, { description?: string; default?: unknown; properties?: object }>;
      required: string[];
    };
    expect(schema.required).toEqual(['assignments']);
    expect(
      Object.entries(schema.properties).map(([key, value]) => [
        key,
        value.default,
        Object.keys(value.properties ?? {}).join(' '),
      ]),
    ).toMatchInlineSnapshot(`
      [
        [
          "interfaces",
          "auto",
          "",
        ],
        [
          "zones",
          {},
          "",
        ],
        [
          "order",
          {},
          "ingress egress",
        ],
        [
          "attach",
          "auto",
          "",
        ],
        [
          "helpers",
          [],
          "",
        ],
        [
          "assignments",
          undefined,
          "",
        ],
        [
          "mark",
          {},
          "mask related",
        ],
        [
          "idle",
          {},
          "control related half-open closed",
        ],
        [
          "limits",
          {},
          "flows expectations per-source control embryonic",
        ],
        [
          "hold",
          {},
          "unavailable deadline",
        ],
        [
          "guard",
          [],
          "",
        ],
        [
          "related",
          "mark",
          "",
        ],
        [
          "listen",
          {},
          "socket group metrics token-file",
        ],
      ]
    `);
    for (const [key, value] of Object.entries(schema.properties)) expect(value.description, key).toMatch(/\.$/);
  });
});

describe('nearest', () => {
  it.each([
    ['interfces', 'interfaces'],
    ['third_party', 'third-party'],
    ['thirdParty', 'third-party'],
    ['prot', 'port'],
    ['frmo', 'from'],
    ['x', null],
    ['colour', null],
    ['x'.repeat(10_000), null],
  ])('of %s is %s', (word, right) => {
    expect(nearest(word, ['interfaces', 'third-party', 'port', 'from', 'to'])).toBe(right);
  });
});

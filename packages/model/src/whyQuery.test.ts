// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { WhyQuestion } from './explanation.js';
import { parseWhyQuery, whyQueryOf } from './whyQuery.js';

const destination = { address: '10.0.2.2', port: 40001 };

describe('questions about connections', () => {
  it.each<WhyQuestion>([
    { source: null, destination, zone: null, at: null },
    { source: { address: '10.0.1.2', port: null }, destination, zone: 0, at: null },
    { source: { address: '10.0.1.2', port: 45678 }, destination, zone: 7, at: 1_800_000_000_123 },
    {
      source: { address: '2001:db8::1', port: null },
      destination: { address: '2001:db8::2', port: 40001 },
      ...{ zone: null, at: null },
    },
  ])('survive their way through a query: %o', (question) => {
    expect(parseWhyQuery(whyQueryOf(question))).toEqual(question);
  });

  it.each([
    [{ destination: '10.0.2.2' }, /^destination: /],
    [{ destination: '2001:db8::2' }, /^destination: /],
    [{ destination: '10.0.2.2:0' }, /^destination: /],
    [{ destination: '10.0.2.2:65536' }, /^destination: /],
    [{ destination: 'server:21' }, /^destination: /],
    [{ destination: '10.0.2.2:21', source: '10.0.1' }, /^source: /],
    [{ destination: '10.0.2.2:21', source: '[10.0.1.2]:4' }, /^source: /],
    [{ destination: '10.0.2.2:21', zone: '65536' }, /^zone: /],
    [{ destination: '10.0.2.2:21', at: 'yesterday' }, /^at: /],
  ])('are refused where they make no sense: %o', (query, complaint) => {
    expect(parseWhyQuery(query)).toMatch(complaint);
  });
});

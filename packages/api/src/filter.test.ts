// SPDX-License-Identifier: Apache-2.0
import type { Event } from '@relatd/model';
import { describe, expect, test } from 'vitest';
import { controlFlow, expectation, relatedFlow } from './fakeView.js';
import { matches, matchesEvent, type EventFilter } from '@relatd/client';

const time = '2026-11-22T12:00:00.000Z';
const events: readonly Event[] = [
  { time, type: 'control.new', flow: controlFlow('16') },
  { time, type: 'expectation.new', expectation: expectation('3') },
  { time, type: 'related.new', flow: { ...relatedFlow('17'), helper: 'irc', assignment: 'chat' } },
  {
    ...{ time, type: 'guard.drop', reason: 'guard', count: 1 },
    flow: {
      ...{ assignment: null, detail: null, protocol: 'tcp', interface: 'eth0' },
      source: { address: '2001:db8::1', port: 1 },
      destination: { address: '2001:db8:1::2', port: 2 },
    },
  },
  { time, type: 'lost', count: 1 },
];
const types = (filter: EventFilter): string[] => events.filter(matchesEvent(filter)).map(({ type }) => type);

describe('events', () => {
  test.each<[EventFilter, string[]]>([
    [{}, ['control.new', 'expectation.new', 'related.new', 'guard.drop']],
    [{ type: 'related.new, control.end' }, ['related.new']],
    [{ helper: 'ftp' }, ['control.new', 'expectation.new']],
    [{ assignment: 'chat', type: 'related.new' }, ['related.new']],
    [{ assignment: 'chat', type: 'control.new' }, []],
    [{ host: '10.0.1.2' }, ['control.new', 'expectation.new', 'related.new']],
    [{ host: '10.0.2.0/24', helper: 'irc' }, ['related.new']],
    [{ host: '2001:DB8:1::/48' }, ['guard.drop']],
    [{ host: '::/0' }, ['guard.drop']],
    [{ host: '192.0.2.1' }, []],
  ])('that pass %j; what was lost always does', (filter, expected) => {
    expect(types(filter)).toEqual([...expected, 'lost']);
  });
});

test('an end that may be anything lies in no prefix', () => {
  const anybody = { ...expectation('3'), source: { address: null, port: null } };
  expect(matches({ host: '10.0.1.0/24' })(anybody)).toBe(false);
  expect(matches({ host: '10.0.2.0/24' })(anybody)).toBe(true);
});

test('a filter without meaning is refused, and what it says is safe to show', () => {
  for (const host of ['', 'x', '10.0.0.1/8', '10.0.0.0/33', 'fe80::1%eth0', '\x1b[2J']) {
    expect(() => matches({ host }), host).toThrow(/^no address or prefix '[ -~]*': write /);
  }
  for (const type of ['', 'related', 'lost,', '\x1b[2J']) {
    expect(() => matchesEvent({ type }), type).toThrow(/^no event type '[ -~]*': choose among control\.new, /);
  }
});

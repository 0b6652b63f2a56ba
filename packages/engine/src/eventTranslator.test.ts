// SPDX-License-Identifier: Apache-2.0
import {
  EventType,
  FlowKind,
  FlowState,
  boottimeNs,
  monotonicNs,
  sortTuple,
  type EventRecord,
  type ExpectRecord,
  type FlowRecord,
} from '@relatd/datapath';
import { ftp } from '@relatd/helpers';
import { REASONS, type Reason } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import { ControlConnection } from './connection.js';
import { EventTranslator } from './eventTranslator.js';
import { assignmentOf, path } from './testing.js';

const CONTROL = path('10.0.1.2', 45678, '10.0.2.2', 21);
const DATA = path('10.0.1.2', 0, '10.0.2.2', 40001);

const side = { packets: 5n, bytes: 300n, next: 0, owner: 9 };

function flow(more: Partial<FlowRecord> = {}): FlowRecord {
  return {
    id: 16n,
    master: 0n,
    created: boottimeNs(),
    last: monotonicNs(),
    mark: 0x52000000,
    assignment: 0,
    kind: FlowKind.control,
    state: FlowState.established,
    flags: 0,
    trust: 0,
    sourceBucket: 77,
    side: [side, side],
    ...more,
  } as FlowRecord;
}

function expectation(more: Partial<ExpectRecord> = {}): ExpectRecord {
  const now = boottimeNs();
  return {
    tuple: DATA,
    live: 3n,
    master: 16n,
    created: now,
    deadline: now + 300_000_000_000n,
    assignment: 0,
    flags: 0,
    ...more,
  } as ExpectRecord;
}

function event(type: keyof typeof EventType, reason: Reason, more: Partial<EventRecord> = {}): EventRecord {
  return {
    type: EventType[type],
    reason: REASONS.indexOf(reason),
    count: 1,
    time: boottimeNs(),
    ifindex: 4,
    tuple: CONTROL,
    flow: flow(),
    expect: expectation(),
    ...more,
  } as EventRecord;
}

const translator = (): EventTranslator =>
  new EventTranslator({
    assignment: () => ({ name: 'ftp-2121', helper: 'ftp' }),
    interface: (ifindex) => `eth${String(ifindex)}`,
    detail: () => null,
  });

describe('an event of the datapath', () => {
  it.each<[keyof typeof EventType, Reason, string, Partial<EventRecord>]>([
    ['controlNew', 'none', 'control.new', {}],
    ['controlEnd', 'fin', 'control.end', {}],
    ['relatedNew', 'none', 'related.new', { flow: flow({ kind: FlowKind.related, id: 17n, master: 16n }) }],
    ['relatedEnd', 'rst', 'related.end', { flow: flow({ kind: FlowKind.related, id: 17n, master: 16n }) }],
    ['expectationNew', 'none', 'expectation.new', { tuple: DATA }],
    ['expectationExpired', 'expired', 'expectation.expired', { tuple: DATA }],
    ['expectationRefused', 'clash', 'expectation.refused', { tuple: DATA }],
    ['guardDrop', 'guard', 'guard.drop', { count: 120 }],
  ])('%s (%s) is a %s', (type, reason, name, more) => {
    const told = translator().translate(event(type, reason, more));
    expect(told?.type).toBe(name);
    expect(told?.reason).toBe(reason === 'none' ? undefined : reason);
    expect(told?.count).toBe(name === 'guard.drop' ? 120 : name === 'expectation.refused' ? 1 : undefined);
    expect(Math.abs(Date.parse(told?.time ?? '') - Date.now())).toBeLessThan(60_000);
  });

  it.each(['trust', 'unattended', 'tableFull', 'sample'] as const)('%s is nothing for people', (type) => {
    expect(translator().translate(event(type, 'none'))).toBeNull();
  });

  it('shows a flow from its opener, with names', () => {
    expect(translator().translate(event('controlNew', 'none'))?.flow).toMatchObject({
      id: '16',
      kind: 'control',
      assignment: 'ftp-2121',
      source: { address: '10.0.1.2', port: 45678 },
      destination: { address: '10.0.2.2', port: 21 },
      interface: 'eth4',
      mark: '0x00000000',
      trust: 'ok',
      packets: { original: 5, reply: 5 },
      bytes: { original: 300, reply: 300 },
    });
  });

  it('shows an expectation with what may be any', () => {
    expect(translator().translate(event('expectationNew', 'none'))?.expectation).toMatchObject({
      id: '3',
      master: '16',
      source: { address: '10.0.1.2', port: null },
      destination: { address: '10.0.2.2', port: 40001 },
      permanent: false,
    });
  });
});

describe('refusals', () => {
  it('of the datapath are limited per source of the control connection; none is lost', () => {
    const one = translator();
    const refused = (sourceBucket: number, reason: Reason = 'clash', count = 1) =>
      one.translate(event('expectationRefused', reason, { tuple: DATA, flow: flow({ sourceBucket }), count }))?.count ??
      0;
    expect([refused(1), refused(1), refused(1, 'clash', 5), refused(2), refused(1, 'busy')]).toEqual([1, 0, 0, 1, 1]);
  });

  const connection = (): ControlConnection =>
    new ControlConnection({
      id: 16n,
      tuple: CONTROL,
      translated: false,
      assignmentId: 0,
      assignment: assignmentOf(),
      parser: ftp.create(),
      next: { original: 0, reply: 0 },
      expected: () => undefined,
      find: () => null,
      failed: () => undefined,
    });

  it('of what was announced show that', () => {
    const { source, destination, family } = path('10.0.2.2', 0, '10.0.9.9', 0);
    const expected = { source, destination, destinationPort: 5000, family };
    const refusal = { connection: connection(), expect: expected, reason: 'address' } as const;
    expect(translator().refused(refusal, null)).toMatchObject({
      type: 'expectation.refused',
      expectation: {
        assignment: 'ftp',
        source: { address: '10.0.2.2', port: null },
        destination: { address: '10.0.9.9', port: 5000 },
        master: '16',
      },
      reason: 'address',
      count: 1,
    });
  });

  it('of what could not be read show the control connection, while there is one', () => {
    const refusal = { connection: connection(), expect: null, reason: 'bad-octet' } as const;
    const entry = { key: sortTuple(CONTROL).key, flow: flow() };
    expect(translator().refused(refusal, entry)).toMatchObject({
      flow: { id: '16', kind: 'control' },
      reason: 'bad-octet',
    });
    expect(translator().refused(refusal, null)).toMatchObject({
      expectation: { master: '16', destination: { address: null, port: null } },
    });
  });
});

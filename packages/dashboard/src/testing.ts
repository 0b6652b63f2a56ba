// SPDX-License-Identifier: Apache-2.0
import type { Announcement, ControlFlow, Counters, Event, Expectation, RelatedFlow } from '@relatd/model';

/** Begins of the tests' sessions, in milliseconds of Unix time. */
export const BEGIN = Date.parse('2026-11-22T12:00:00.000Z');

export const timeAt = (seconds: number): string => new Date(BEGIN + 1000 * seconds).toISOString();

const common = {
  assignment: 'ftp',
  helper: 'ftp',
  protocol: 'tcp',
  interface: 'eth0',
  state: 'established',
  mark: '0x52000000',
  packets: { original: 5, reply: 4 },
  idleSeconds: 0.4,
} as const;

export function control(id: string, more: Partial<ControlFlow> = {}): ControlFlow {
  return {
    ...common,
    id,
    kind: 'control',
    master: null,
    trust: 'ok',
    source: { address: '10.0.1.2', port: 20_000 + Number(id) },
    destination: { address: '10.0.2.2', port: 21 },
    bytes: { original: 100, reply: 200 },
    created: timeAt(0),
    detail: { user: 'alice' },
    ...more,
  };
}

export function related(id: string, master: string, more: Partial<RelatedFlow> = {}): RelatedFlow {
  return {
    ...common,
    id,
    kind: 'related',
    master,
    source: { address: '10.0.1.2', port: 30_000 },
    destination: { address: '10.0.2.2', port: 40_000 },
    bytes: { original: 0, reply: 1000 },
    created: timeAt(2),
    detail: { user: 'alice', command: 'RETR', argument: 'big.iso' },
    ...more,
  };
}

export function announced(master: string, port = 40_000): Announcement {
  const { assignment, helper, protocol } = common;
  const source = { address: '10.0.1.2', port: null };
  return { assignment, helper, protocol, source, destination: { address: '10.0.2.2', port }, master };
}

export function expected(id: string, master: string, port = 40_000): Expectation {
  return { ...announced(master, port), id, created: timeAt(1), expiresSeconds: 299, permanent: false };
}

/** A session from its beginning to its end: announced, come, refused, over. */
export function dialogue(): Event[] {
  return [
    { time: timeAt(0), type: 'control.new', flow: control('1') },
    { time: timeAt(1), type: 'expectation.new', expectation: expected('7', '1') },
    { time: timeAt(2), type: 'related.new', flow: related('2', '1') },
    { time: timeAt(3), type: 'expectation.refused', expectation: announced('1', 80), reason: 'port-range', count: 2 },
    {
      time: timeAt(4),
      type: 'related.end',
      flow: related('2', '1', { bytes: { original: 24, reply: 4_194_280 } }),
      reason: 'fin',
    },
    { time: timeAt(5), type: 'control.end', flow: control('1'), reason: 'rst' },
  ];
}

type Assignment = Counters['assignments'][number];

/** Counters of one assignment. */
export function counters(assignment: Partial<Assignment> = {}, started = timeAt(0)): Counters {
  return {
    version: '0.1.0',
    started,
    reasons: {} as Counters['reasons'],
    assignments: [
      {
        name: 'ftp',
        helper: 'ftp',
        flows: { control: 3, related: 2 },
        expectations: 1,
        perMaster: 1,
        controlTotal: 10,
        relatedTotal: 20,
        expectationTotal: 30,
        refused: {},
        distrusted: {},
        ...assignment,
      },
    ],
    interfaces: [],
    tables: [{ name: 'flows', used: 5, size: 20, bytes: 1 }],
    limits: { perSource: 1024 },
    losses: { events: 0, samples: 0 },
    hold: { device: 'relatd-hold', unavailablePolicy: 'pass', held: 0, released: 0, unattended: 0 },
  };
}

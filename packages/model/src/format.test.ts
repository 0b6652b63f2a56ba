// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { formatEvent, type GuardedPacket } from './event.js';
import { expectationRow, formatExpectation, EXPECTATION_COLUMNS, type Expectation } from './expectation.js';
import { FLOW_COLUMNS, flowRow, formatFlow, type ControlFlow, type RelatedFlow } from './flow.js';
import {
  formatBytes,
  formatDuration,
  formatEndpoint,
  formatMark,
  formatMilliseconds,
  parseMilliseconds,
  printable,
} from './text.js';

const common = {
  assignment: 'ftp-2121',
  helper: 'ftp',
  protocol: 'tcp',
  interface: 'eth0',
  state: 'established',
  mark: '0x52000000',
  packets: { original: 5, reply: 4 },
  bytes: { original: 300, reply: 90_000 },
  created: '2026-11-22T12:00:00.123Z',
  idleSeconds: 0.4,
} as const;

const related: RelatedFlow = {
  ...common,
  id: '17',
  kind: 'related',
  source: { address: '10.0.1.2', port: 45678 },
  destination: { address: '10.0.2.2', port: 40001 },
  master: '16',
  detail: { command: 'RETR', argument: 'big\u202e\u001b[2J.iso', user: 'alice', size: 7 },
};

const control: ControlFlow = {
  ...common,
  id: '16',
  kind: 'control',
  source: { address: '2001:db8::1', port: 50000 },
  destination: { address: '2001:db8::2', port: 2121 },
  master: null,
  trust: 'encrypted',
  detail: null,
};

const expectation: Expectation = {
  id: '9',
  assignment: 'ftp-2121',
  helper: 'ftp',
  protocol: 'tcp',
  source: { address: '10.0.1.2', port: null },
  destination: { address: '10.0.2.2', port: { from: 40000, to: 40009 } },
  master: '16',
  created: '2026-11-22T12:00:00.123Z',
  expiresSeconds: 295.2,
  permanent: false,
};

describe('for people', () => {
  it('shows flows', () => {
    expect([formatFlow(related), formatFlow(control)]).toEqual([
      '#17 related ftp-2121 tcp 10.0.1.2:45678 > 10.0.2.2:40001 established in=eth0 master=#16 mark=0x52000000 88.2 KiB idle=0.4s alice RETR big\\u{202e}\\x1b[2J.iso size=7',
      '#16 control ftp-2121 tcp [2001:db8::1]:50000 > [2001:db8::2]:2121 established in=eth0 trust=encrypted mark=0x52000000 88.2 KiB idle=0.4s',
    ]);
    expect(flowRow(control)).toEqual([
      '16',
      'control',
      'ftp-2121',
      '[2001:db8::1]:50000',
      '[2001:db8::2]:2121',
      'eth0',
      'established (encrypted)',
      '-',
      '88.2 KiB',
      '0.4s',
      '',
    ]);
    expect(flowRow(related)).toHaveLength(FLOW_COLUMNS.length);
  });

  it('shows expectations', () => {
    expect(formatExpectation(expectation)).toBe(
      '#9 ftp-2121 tcp 10.0.1.2:* > 10.0.2.2:40000-40009 master=#16 expires=4m55s',
    );
    expect(formatExpectation({ ...expectation, expiresSeconds: null, permanent: true })).toBe(
      '#9 ftp-2121 tcp 10.0.1.2:* > 10.0.2.2:40000-40009 master=#16 expires=never permanent',
    );
    expect(expectationRow(expectation)).toHaveLength(EXPECTATION_COLUMNS.length);
  });

  it('shows events', () => {
    const time = '2026-11-22T12:00:01.000Z';
    const packet: GuardedPacket = {
      protocol: 'tcp',
      source: { address: '203.0.113.9', port: 1025 },
      destination: { address: '192.0.2.10', port: 50000 },
      interface: 'eth0',
      assignment: null,
      detail: null,
    };
    const { id: _id, created: _created, expiresSeconds: _expires, permanent: _permanent, ...announced } = expectation;
    expect([
      formatEvent({ time, type: 'related.new', flow: related }),
      formatEvent({ time, type: 'control.end', flow: control, reason: 'fin' }),
      formatEvent({ time, type: 'expectation.refused', expectation: announced, reason: 'port-range', count: 3 }),
      formatEvent({ time, type: 'guard.drop', flow: packet, reason: 'guard', count: 120 }),
      formatEvent({ time, type: 'lost', count: 5 }),
    ]).toMatchInlineSnapshot(`
      [
        "2026-11-22T12:00:01.000Z related.new         ftp-2121 tcp 10.0.1.2:45678 > 10.0.2.2:40001 alice RETR big\\u{202e}\\x1b[2J.iso size=7",
        "2026-11-22T12:00:01.000Z control.end         ftp-2121 tcp [2001:db8::1]:50000 > [2001:db8::2]:2121 reason=fin",
        "2026-11-22T12:00:01.000Z expectation.refused ftp-2121 tcp 10.0.1.2:* > 10.0.2.2:40000-40009 reason=port-range count=3",
        "2026-11-22T12:00:01.000Z guard.drop          - tcp 203.0.113.9:1025 > 192.0.2.10:50000 reason=guard count=120",
        "2026-11-22T12:00:01.000Z lost                count=5",
      ]
    `);
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1_048_575, '1.0 MiB'],
    [1.3e9, '1.2 GiB'],
  ])('%d bytes are %s', (count, text) => {
    expect(formatBytes(count)).toBe(text);
  });

  it.each([
    [-1, '0.0s'],
    [0.44, '0.4s'],
    [9.96, '10s'],
    [59.6, '1m00s'],
    [190, '3m10s'],
    [7500, '2h05m'],
    [356_400, '4d03h'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  it('writes marks, times and endpoints as the configuration does', () => {
    expect([formatMark(0xff000000), formatMark(1), formatMark(-1)]).toEqual(['0xff000000', '0x00000001', '0xffffffff']);
    expect([200, 300_000, 7_200_000, 432_000_000, 1500].map(formatMilliseconds)).toEqual([
      '200ms',
      '5m',
      '2h',
      '5d',
      '1500ms',
    ]);
    expect(['200ms', '5m', '2h', '5d', '1500ms'].map(parseMilliseconds)).toEqual([
      200, 300_000, 7_200_000, 432_000_000, 1500,
    ]);
    expect(['', '5', 's', '-1s', '1.5s', '1s ', '1S', '9999999999999s'].map(parseMilliseconds)).toEqual(
      Array(8).fill(null),
    );
    expect(formatEndpoint({ address: null, port: 21 })).toBe('*:21');
    expect(printable('a\nb\u009bc\u2028d é')).toBe('a\\x0ab\\x9bc\\u{2028}d é');
  });
});

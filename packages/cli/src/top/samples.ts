// SPDX-License-Identifier: Apache-2.0
import { FakeView } from '@relatd/api';
import type { ControlFlow, Expectation, RelatedFlow, Status } from '@relatd/model';
import type { Snapshot } from './sessions.js';

/** When the snapshots of the tests were taken. */
export const NOON = Date.parse('2026-11-22T12:00:00.000Z');

const base = {
  assignment: 'ftp-2121',
  helper: 'ftp',
  protocol: 'tcp',
  interface: 'eth0',
  state: 'established',
  mark: '0x52000000',
  packets: { original: 5, reply: 4 },
  created: '2026-11-22T11:56:50.000Z',
  idleSeconds: 0.4,
  detail: null,
} as const;

export function control(id: string, more: Partial<ControlFlow> = {}): ControlFlow {
  const source = { address: '10.77.1.2', port: 28_904 };
  const destination = { address: '10.77.2.2', port: 2121 };
  const bytes = { original: 600, reply: 700 };
  return { ...base, id, kind: 'control', master: null, trust: 'ok', source, destination, bytes, ...more };
}

export function related(id: string, master: string, more: Partial<RelatedFlow> = {}): RelatedFlow {
  const source = { address: '10.77.1.2', port: 17_364 };
  const destination = { address: '10.77.2.2', port: 40_092 };
  const bytes = { original: 1000, reply: 25_270_000 };
  const detail = { user: 'alice', command: 'RETR', argument: 'big.iso' };
  return { ...base, id, kind: 'related', master, source, destination, bytes, detail, ...more };
}

export function expected(id: string, master: string, more: Partial<Expectation> = {}): Expectation {
  return {
    ...{ id, master, assignment: 'ftp-2121', helper: 'ftp', protocol: 'tcp', permanent: false },
    source: { address: '10.77.1.2', port: null },
    destination: { address: '10.77.2.2', port: 40_093 },
    created: '2026-11-22T11:59:58.000Z',
    expiresSeconds: 298,
    ...more,
  };
}

/** A busy gateway of a few sessions: IPv6, an encrypted session, an ended one, hostile names. */
export async function busy(): Promise<Snapshot> {
  return {
    time: NOON,
    flows: [
      control('1', { detail: { user: 'alice', command: 'RETR', argument: 'big.iso' } }),
      related('3', '1'),
      related('4', '1', { state: 'closed', bytes: { original: 40, reply: 900 }, idleSeconds: 8 }),
      control('5', { trust: 'encrypted', source: { address: '2001:db8::1', port: 50_000 }, idleSeconds: 90 }),
      control('6', {
        ...{ assignment: 'chat', helper: 'irc', created: '2026-11-22T11:59:30.000Z' },
        detail: { user: '\x1b[2Jbob\u202e', command: 'SEND', argument: '漢字テスト漢字テスト漢字.txt' },
      }),
      related('9', '8', { detail: null }),
    ],
    expectations: [expected('2', '1'), expected('7', '6', { source: { address: null, port: null } })],
    status: await status(),
  };
}

export async function status(more: Partial<Status> = {}): Promise<Status> {
  return { ...(await new FakeView().status()), uptimeSeconds: 11_520, ...more };
}

/** The same a second later: flow 3 has got 1 MiB more. */
export function later(snapshot: Snapshot): Snapshot {
  const flows = snapshot.flows.map((flow) =>
    flow.id === '3' ? { ...flow, bytes: { ...flow.bytes, reply: flow.bytes.reply + 1_048_576 } } : flow,
  );
  return { ...snapshot, time: snapshot.time + 1000, flows };
}

/** `count` flows in sessions of one control connection, four related flows, and an expectation. */
export async function crowd(count: number): Promise<Snapshot> {
  const flows = Array.from({ length: count }, (_, index) => {
    const id = String(index + 1);
    const bytes = { original: index % 977, reply: index * 7919 };
    const source = { address: `10.${String((index >> 16) & 255)}.${String((index >> 8) & 255)}.2`, port: index };
    if (index % 5 === 0) return control(id, { bytes, source });
    return related(id, String(index - (index % 5) + 1), { bytes, source });
  });
  const expectations = flows.filter(({ kind }) => kind === 'control').map(({ id }) => expected(`1${id}`, id));
  return { time: NOON, flows, expectations, status: await status() };
}

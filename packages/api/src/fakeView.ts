// SPDX-License-Identifier: Apache-2.0
import { REASONS } from '@relatd/model';
import type {
  ControlFlow,
  Counters,
  EngineView,
  Event,
  Expectation,
  Explanation,
  Flow,
  Reason,
  RelatedFlow,
  Status,
  WhyQuestion,
} from '@relatd/model';

/** An engine in memory, for the tests of this package: tables as they are given, events when a test says so. */
export class FakeView implements EngineView {
  flowTable: Flow[] = [controlFlow('16'), relatedFlow('17')];
  expectationTable: Expectation[] = [expectation('3')];
  reloads = 0;
  reloadError: Error | null = null;
  readonly questions: WhyQuestion[] = [];
  readonly listeners = new Set<(event: Event) => void>();

  flows(): Promise<readonly Flow[]> {
    return Promise.resolve(this.flowTable);
  }

  expectations(): Promise<readonly Expectation[]> {
    return Promise.resolve(this.expectationTable);
  }

  status(): Promise<Status> {
    return Promise.resolve(status());
  }

  counters(): Promise<Counters> {
    return Promise.resolve(counters());
  }

  why(question: WhyQuestion): Promise<Explanation> {
    this.questions.push(question);
    return Promise.resolve(explanation());
  }

  subscribe(listener: (event: Event) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  reload(): Promise<{ changed: boolean; messages: string[] }> {
    this.reloads++;
    if (this.reloadError !== null) return Promise.reject(this.reloadError);
    return Promise.resolve({ changed: true, messages: ['assignment ftp-2121 is new'] });
  }

  emit(event: Event): void {
    for (const listener of this.listeners) listener(event);
  }
}

const flowBase = {
  assignment: 'ftp-2121',
  helper: 'ftp',
  protocol: 'tcp',
  source: { address: '10.0.1.2', port: 45678 },
  destination: { address: '10.0.2.2', port: 40001 },
  interface: 'eth0',
  state: 'established',
  mark: '0x52000000',
  packets: { original: 5, reply: 4 },
  bytes: { original: 300, reply: 90_000 },
  created: '2026-11-22T12:00:00.123Z',
  idleSeconds: 0.4,
  detail: { command: 'RETR', argument: 'big.iso', user: 'alice' },
} as const;

export function controlFlow(id: string): ControlFlow {
  return { ...flowBase, id, kind: 'control', master: null, trust: 'ok', detail: null };
}

export function relatedFlow(id: string): RelatedFlow {
  return { ...flowBase, id, kind: 'related', master: '16' };
}

export function expectation(id: string): Expectation {
  return {
    id,
    assignment: 'ftp-2121',
    helper: 'ftp',
    protocol: 'tcp',
    source: { address: '10.0.1.2', port: null },
    destination: { address: '10.0.2.2', port: 40001 },
    master: '16',
    created: '2026-11-22T12:00:00.123Z',
    expiresSeconds: 299.5,
    permanent: false,
  };
}

export function explanation(): Explanation {
  return {
    source: { address: '10.0.1.2', port: 45678 },
    destination: { address: '10.0.2.2', port: 40001 },
    related: false,
    answer: 'expired',
    sentence: 'Not RELATED: its expectation had expired 2.0 s before its SYN.',
    facts: [
      { time: '2026-11-22T12:00:00.123Z', text: 'its SYN came in by eth0' },
      { time: null, text: 'a line of \u001b[31mtext' },
    ],
    historySince: '2026-11-22T11:00:00.000Z',
  };
}

export function relatedNew(id: string): Event {
  return { time: '2026-11-22T12:00:00.123Z', type: 'related.new', flow: relatedFlow(id) };
}

function reasons(): Record<Reason, number> {
  return Object.fromEntries(REASONS.map((reason) => [reason, 0])) as Record<Reason, number>;
}

function counters(): Counters {
  return {
    version: '0.1.0',
    started: '2026-11-22T11:00:00.000Z',
    reasons: { ...reasons(), fragment: 7 },
    assignments: [
      {
        name: 'ftp-2121',
        helper: 'ftp',
        flows: { control: 1, related: 2 },
        expectations: 1,
        perMaster: 1,
        controlTotal: 10,
        relatedTotal: 20,
        expectationTotal: 30,
        refused: { 'port-zero': 4 },
        distrusted: { encrypted: 5 },
      },
    ],
    interfaces: [{ name: 'eth0', watched: true, problems: 0 }],
    tables: [{ name: 'flows', used: 3, size: 65_536, bytes: 12_582_912 }],
    limits: { perSource: 1024 },
    losses: { events: 1, samples: 2 },
    hold: { device: 'relatd0', unavailablePolicy: 'pass', held: 6, released: 5, unattended: 1 },
  };
}

export function status(): Status {
  const { tables, losses, hold } = counters();
  return {
    version: '0.1.0',
    pid: 4711,
    uptimeSeconds: 3.5,
    running: true,
    daemonGoneSince: null,
    namespace: 'gw',
    kernel: '6.18.0',
    output: { attached: true, problem: null },
    conntrack: null,
    interfaces: [],
    assignments: [],
    tables,
    counters: reasons(),
    losses,
    hold,
    warnings: [],
  };
}

// SPDX-License-Identifier: Apache-2.0
import type { AssignmentCounters, Counters } from '@relatd/model';
import { Counter, Gauge, Registry } from 'prom-client';

type Label = 'assignment' | 'helper' | 'kind' | 'reason' | 'interface' | 'table' | 'version';

/** One metric: its name, what it says, its labels, and the samples that a set of counters gives. */
interface Spec {
  readonly type: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  readonly samples: (counters: Counters) => Iterable<Sample>;
}

type Sample = readonly [labels: Readonly<Partial<Record<Label, string>>>, value: number];

/**
 * Every metric of the daemon. The labels have few values: assignment, helper, kind (control, related), reason, interface,
 * table, version. Never an address or a port of a flow.
 */
const specs: readonly Spec[] = [
  {
    type: 'gauge',
    name: 'relatd_build_info',
    help: 'Always 1; the label is the version of the daemon.',
    labels: ['version'],
    samples: ({ version }) => [[{ version }, 1]],
  },
  alone(
    'gauge',
    'relatd_start_time_seconds',
    'When the daemon started, in Unix time.',
    (c) => Date.parse(c.started) / 1000,
  ),
  {
    type: 'gauge',
    name: 'relatd_flows',
    help: 'Flows that are tracked now.',
    labels: ['assignment', 'helper', 'kind'],
    samples: (counters) =>
      counters.assignments.flatMap(({ name, helper, flows }) => [
        [{ assignment: name, helper, kind: 'control' }, flows.control] as const,
        [{ assignment: name, helper, kind: 'related' }, flows.related] as const,
      ]),
  },
  perAssignment('gauge', 'relatd_expectations', 'Expectations that are in place now.', (a) => a.expectations),
  perAssignment(
    'gauge',
    'relatd_expectations_per_master_limit',
    'Expectations that each control connection may have.',
    (a) => a.perMaster,
  ),
  perAssignment('counter', 'relatd_control_connections_total', 'Control connections begun.', (a) => a.controlTotal),
  perAssignment('counter', 'relatd_related_flows_total', 'Related flows begun.', (a) => a.relatedTotal),
  perAssignment('counter', 'relatd_expectations_total', 'Expectations made.', (a) => a.expectationTotal),
  perReason('relatd_refusals_total', 'Announcements turned down, by reason.', (a) => a.refused),
  perReason('relatd_distrusted_total', 'Control connections no longer parsed, by reason.', (a) => a.distrusted),
  {
    type: 'counter',
    name: 'relatd_packets_total',
    help: 'What the datapath counted, by reason.',
    labels: ['reason'],
    samples: ({ reasons }) => Object.entries(reasons).map(([reason, value]) => [{ reason }, value] as const),
  },
  {
    type: 'gauge',
    name: 'relatd_interface_watched',
    help: '1 where the programs are attached.',
    labels: ['interface'],
    samples: ({ interfaces }) => interfaces.map(({ name, watched }) => [{ interface: name }, watched ? 1 : 0] as const),
  },
  {
    type: 'gauge',
    name: 'relatd_interface_problems',
    help: 'Things that do not work at an interface; relatd status says which.',
    labels: ['interface'],
    samples: ({ interfaces }) => interfaces.map(({ name, problems }) => [{ interface: name }, problems] as const),
  },
  alone(
    'gauge',
    'relatd_per_source_limit',
    'Control connections that one address may open, and expectations on them.',
    (c) => c.limits.perSource,
  ),
  perTable('relatd_table_entries', 'Entries in a table of the datapath.', 'used'),
  perTable('relatd_table_size', 'Entries that fit into a table of the datapath.', 'size'),
  perTable('relatd_table_bytes', 'Memory of a table of the datapath when full.', 'bytes'),
  alone('counter', 'relatd_lost_events_total', 'Events that found no room on their way.', (c) => c.losses.events),
  alone('counter', 'relatd_lost_samples_total', 'Samples that found no room on their way.', (c) => c.losses.samples),
  alone('gauge', 'relatd_hold_ready', '1 while packets can be kept back for judgement.', (c) =>
    c.hold.device === null ? 0 : 1,
  ),
  alone('counter', 'relatd_held_packets_total', 'Control packets kept back for judgement.', (c) => c.hold.held),
  alone('counter', 'relatd_released_packets_total', 'Held packets that went on.', (c) => c.hold.released),
  alone('counter', 'relatd_unattended_packets_total', 'Held packets nobody took in time.', (c) => c.hold.unattended),
];

function perAssignment(
  type: Spec['type'],
  name: string,
  help: string,
  value: (assignment: AssignmentCounters) => number,
): Spec {
  const samples = ({ assignments }: Counters) =>
    assignments.map((a) => [{ assignment: a.name, helper: a.helper }, value(a)] as const);
  return { type, name, help, labels: ['assignment', 'helper'], samples };
}

function perReason(
  name: string,
  help: string,
  values: (assignment: AssignmentCounters) => Readonly<Partial<Record<string, number>>>,
): Spec {
  const samples = ({ assignments }: Counters) =>
    assignments.flatMap((a) =>
      Object.entries(values(a)).map(
        ([reason, value]) => [{ assignment: a.name, helper: a.helper, reason }, value ?? 0] as const,
      ),
    );
  return { type: 'counter', name, help, labels: ['assignment', 'helper', 'reason'], samples };
}

function perTable(name: string, help: string, field: 'used' | 'size' | 'bytes'): Spec {
  const samples = ({ tables }: Counters) => tables.map((table) => [{ table: table.name }, table[field]] as const);
  return { type: 'gauge', name, help, labels: ['table'], samples };
}

function alone(type: Spec['type'], name: string, help: string, value: (counters: Counters) => number): Spec {
  return { type, name, help, labels: [], samples: (counters) => [[{}, value(counters)]] };
}

/** A registry of its own whose metrics are read when they are asked for: one scrape calls `read` once. */
export function newRegistry(read: () => Promise<Counters>): Registry {
  const registry = new Registry();
  let reading: Promise<Counters> | null = null;
  const shared = () => {
    // The collect hooks of one scrape run at the same time; a table is read once for all of them.
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  };
  for (const spec of specs) {
    const { name, help, labels, samples } = spec;
    const common = { name, help, labelNames: [...labels], registers: [registry] };
    if (spec.type === 'gauge') {
      const gauge: Gauge = new Gauge({
        ...common,
        async collect() {
          const counters = await shared();
          // An assignment that a reload removed must not stay in the figures.
          gauge.reset();
          for (const [values, value] of samples(counters)) gauge.set(values, value);
        },
      });
    } else {
      const counter: Counter = new Counter({
        ...common,
        async collect() {
          const counters = await shared();
          counter.reset();
          for (const [values, value] of samples(counters)) counter.inc(values, value);
        },
      });
    }
  }
  return registry;
}

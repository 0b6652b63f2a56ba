// SPDX-License-Identifier: Apache-2.0
import {
  ExpectFlag,
  FlowFlag,
  FlowKind,
  FlowState as StateNumber,
  boottimeNs,
  inSlices,
  monotonicNs,
  reverseTuple,
  type ExpectRecord,
  type FlowEntry,
  type FlowRecord,
  type TupleRecord,
} from '@relatd/datapath';
import {
  formatAddress,
  formatMark,
  reasonOf,
  type ControlFlow,
  type Endpoint,
  type EndpointPattern,
  type Expectation,
  type Flow,
  type FlowDetail,
  type FlowState,
  type Protocol,
  type RelatedFlow,
} from '@relatd/model';

/** What numbers in the datapath's records stand for. */
export interface Names {
  assignment(id: number): { readonly name: string; readonly helper: string };
  interface(ifindex: number): string;
  /** What the helper knows of a flow, already cut to what the assignment's `detail` admits. */
  detail(flow: FlowRecord): FlowDetail | null;
}

const STATES: readonly FlowState[] = ['new', 'new', 'established', 'closing', 'closed'];

/** A clock step is larger than this; smaller differences are the resolution of `Date`. */
const CLOCK_STEP_MS = 20;
let bootedAt = Number.NaN;

/**
 * A boot time as milliseconds since 1970, with fractions. Clock steps move what is shown, not what is stored; without one the same
 * time reads the same.
 */
export function bootTimeToMs(boot: bigint): number {
  const now = Date.now() - Number(boottimeNs()) / 1e6;
  if (!(Math.abs(now - bootedAt) < CLOCK_STEP_MS)) bootedAt = now;
  return bootedAt + Number(boot) / 1e6;
}

/** The same as ISO text. */
export const bootTimeToIso = (boot: bigint): string => new Date(bootTimeToMs(boot)).toISOString();

export const protocolOf = (tuple: TupleRecord): Protocol => (tuple.protocol === 17 ? 'udp' : 'tcp');

const endpoint = (address: Uint8Array, port: number): Endpoint => ({ address: formatAddress(address), port });

export const sourceOf = (tuple: TupleRecord): Endpoint => endpoint(tuple.source, tuple.sourcePort);
export const destinationOf = (tuple: TupleRecord): Endpoint => endpoint(tuple.destination, tuple.destinationPort);

/** The key turned so that its source is who opened the connection. */
export function openerTuple({ key, flow }: FlowEntry): TupleRecord {
  return flow.flags & FlowFlag.openerIsSecond ? reverseTuple(key) : key;
}

/** A record whose tuple is from its opener already. */
export function flowOf(tuple: TupleRecord, flow: FlowRecord, names: Names): Flow {
  const { name, helper } = names.assignment(flow.assignment);
  const [original, reply] = flow.side;
  const owner = original?.owner === undefined || original.owner === 0 ? (reply?.owner ?? 0) : original.owner;
  const base = {
    id: flow.id.toString(),
    assignment: name,
    helper,
    protocol: protocolOf(tuple),
    source: sourceOf(tuple),
    destination: destinationOf(tuple),
    interface: names.interface(owner >>> 1),
    state: STATES[flow.state] ?? 'new',
    mark: formatMark(flow.mark),
    packets: { original: Number(original?.packets ?? 0n), reply: Number(reply?.packets ?? 0n) },
    bytes: { original: Number(original?.bytes ?? 0n), reply: Number(reply?.bytes ?? 0n) },
    created: bootTimeToIso(flow.created),
    idleSeconds: Math.max(0, Math.round(Number(monotonicNs() - flow.last) / 1e8) / 10),
    detail: names.detail(flow),
  };
  if (flow.kind === FlowKind.control) {
    const control: ControlFlow = {
      ...base,
      kind: 'control',
      // Only related flows are marked; the datapath keeps here what its expectations will get.
      mark: formatMark(0),
      master: null,
      trust: flow.trust === 0 ? 'ok' : reasonOf(flow.trust),
    };
    return control;
  }
  const related: RelatedFlow = { ...base, kind: 'related', master: flow.master.toString() };
  return related;
}

const pattern = (address: Uint8Array, port: number): EndpointPattern => ({
  address: address.some((byte) => byte !== 0) ? formatAddress(address) : null,
  port: port === 0 ? null : port,
});

export const patternSource = (tuple: TupleRecord): EndpointPattern => pattern(tuple.source, tuple.sourcePort);
export const patternDestination = (tuple: TupleRecord): EndpointPattern =>
  pattern(tuple.destination, tuple.destinationPort);

export function expectationOf(record: ExpectRecord, names: Names): Expectation {
  const { name, helper } = names.assignment(record.assignment);
  const left = Number(record.deadline - boottimeNs()) / 1e9;
  return {
    id: record.live.toString(),
    assignment: name,
    helper,
    protocol: protocolOf(record.tuple),
    source: patternSource(record.tuple),
    destination: patternDestination(record.tuple),
    master: record.master.toString(),
    created: bootTimeToIso(record.created),
    expiresSeconds: record.deadline === 0n ? null : Math.max(0, Math.round(left * 10) / 10),
    permanent: (record.flags & ExpectFlag.permanent) !== 0,
  };
}

const compareIds = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** Flows in the order of their ids, in short steps. A flow that is only being claimed is none yet. */
export function flowsOf(entries: readonly FlowEntry[], names: Names): Promise<Flow[]> {
  const made = entries
    .filter(({ flow }) => flow.id !== 0n && flow.state !== StateNumber.claiming)
    .sort((a, b) => compareIds(a.flow.id, b.flow.id));
  return inSlices(made.length, (index) => {
    const entry = made[index] as FlowEntry;
    return flowOf(openerTuple(entry), entry.flow, names);
  });
}

/** Expectations in the order of their ids, in short steps. One that is due is over, though the sweep has not come by. */
export async function expectationsOf(records: readonly ExpectRecord[], names: Names): Promise<Expectation[]> {
  const sorted = records.toSorted((a, b) => compareIds(a.live, b.live));
  const all = await inSlices(sorted.length, (index) => expectationOf(sorted[index] as ExpectRecord, names));
  return all.filter(({ expiresSeconds }) => expiresSeconds !== 0);
}

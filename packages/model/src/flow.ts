// SPDX-License-Identifier: Apache-2.0
import type { Reason } from './generated/reasons.js';
import { formatBytes, formatDuration, formatEndpoint, printable, type Endpoint, type EndpointPattern } from './text.js';

/** Transport protocols that relatd tracks. */
export type Protocol = 'tcp' | 'udp';

/** `established`: both sides were seen; `closing`: one side is done. */
export type FlowState = 'new' | 'established' | 'closing' | 'closed';

/** `ok`: parsed; else why a control connection is no longer parsed. */
export type Trust = 'ok' | Reason;

/** Numbers of each direction; `original` is the direction of who opened the connection. */
export interface Directions {
  readonly original: number;
  readonly reply: number;
}

/** What a helper knows of a flow: for FTP `command`, `argument`, `user`. From the network: show it with `printable`. */
export type FlowDetail = Readonly<Record<string, string | number | boolean | null>>;

interface FlowBase {
  readonly id: string;
  /** The assignment's name. */
  readonly assignment: string;
  readonly helper: string;
  readonly protocol: Protocol;
  /** Who opened the connection. */
  readonly source: Endpoint;
  readonly destination: Endpoint;
  /** Name of the interface at which it was first seen. */
  readonly interface: string;
  readonly state: FlowState;
  /** `0x52000000`. */
  readonly mark: string;
  /** As on the wire: a GSO packet counts by its segments. */
  readonly packets: Directions;
  /** At IP level. */
  readonly bytes: Directions;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly idleSeconds: number;
  readonly detail: FlowDetail | null;
}

/** A connection that an assignment covers. */
export interface ControlFlow extends FlowBase {
  readonly kind: 'control';
  readonly master: null;
  readonly trust: Trust;
}

/** A connection that matched an expectation. */
export interface RelatedFlow extends FlowBase {
  readonly kind: 'related';
  /** Id of its control connection. */
  readonly master: string;
  readonly trust?: undefined;
}

/** One tracked connection, as `relatd flows --json` prints it. */
export type Flow = ControlFlow | RelatedFlow;

/** Bytes of both directions. */
export function bytesOf({ bytes }: Pick<Flow, 'bytes'>): number {
  return bytes.original + bytes.reply;
}

/** What the helper knows, on one line: `alice RETR big.iso`. Empty when it knows nothing. */
export function formatDetail(detail: FlowDetail | null): string {
  if (detail === null) return '';
  const { user, command, argument, ...others } = detail;
  const words: string[] = [];
  for (const value of [user, command, argument]) {
    if (value !== undefined && value !== null && value !== '') words.push(printable(String(value)));
  }
  for (const [name, value] of Object.entries(others)) {
    if (value !== null && value !== '') words.push(`${printable(name)}=${printable(String(value))}`);
  }
  return words.join(' ');
}

/** `10.0.1.2:45678 > 10.0.2.2:40001`. */
export function formatPath(path: { readonly source: EndpointPattern; readonly destination: EndpointPattern }): string {
  return `${formatEndpoint(path.source)} > ${formatEndpoint(path.destination)}`;
}

/** One flow on one line. */
export function formatFlow(flow: Flow): string {
  const words = [
    `#${flow.id}`,
    flow.kind,
    printable(flow.assignment),
    flow.protocol,
    formatPath(flow),
    flow.state,
    `in=${flow.interface}`,
    flow.kind === 'related' ? `master=#${flow.master}` : `trust=${flow.trust}`,
    `mark=${flow.mark}`,
    formatBytes(bytesOf(flow)),
    `idle=${formatDuration(flow.idleSeconds)}`,
  ];
  const detail = formatDetail(flow.detail);
  return detail === '' ? words.join(' ') : `${words.join(' ')} ${detail}`;
}

/** Headings of `flowRow`. */
export const FLOW_COLUMNS = [
  'ID',
  'KIND',
  'ASSIGNMENT',
  'SOURCE',
  'DESTINATION',
  'INTERFACE',
  'STATE',
  'MASTER',
  'BYTES',
  'IDLE',
  'DETAIL',
] as const;

/** One flow as a table row. */
export function flowRow(flow: Flow): string[] {
  // What deserves attention of a control connection is why it is not parsed.
  const state = flow.kind === 'control' && flow.trust !== 'ok' ? `${flow.state} (${flow.trust})` : flow.state;
  return [
    flow.id,
    flow.kind,
    printable(flow.assignment),
    formatEndpoint(flow.source),
    formatEndpoint(flow.destination),
    flow.interface,
    state,
    flow.master ?? '-',
    formatBytes(bytesOf(flow)),
    formatDuration(flow.idleSeconds),
    formatDetail(flow.detail),
  ];
}

// SPDX-License-Identifier: Apache-2.0
import { parseEndpoint } from './endpoint.js';
import type { WhyQuestion } from './explanation.js';
import { formatEndpoint, type Endpoint } from './text.js';

/** A question as text: the query of `/v1/why`. */
export interface WhyQuery {
  /** `10.0.1.2:4000` or an address alone; absent: anybody. */
  readonly source?: string;
  /** With a port. */
  readonly destination: string;
  readonly zone?: string;
  /** ISO 8601. */
  readonly at?: string;
}

/** The question of a query, which may say anything; a string: what is wrong with it. */
export function parseWhyQuery({ source, destination, zone, at }: WhyQuery): WhyQuestion | string {
  const from = source === undefined ? null : parseEndpoint(source);
  if (source !== undefined && from === null)
    return 'source: write ADDRESS or ADDRESS:PORT, IPv6 with a port as [ADDRESS]:PORT';
  const to = parseEndpoint(destination);
  if (to === null || to.port === null) return 'destination: write ADDRESS:PORT, IPv6 as [ADDRESS]:PORT';
  const number = zone === undefined ? null : Number(zone);
  if (number !== null && number > 0xffff) return 'zone: 0 to 65535';
  const time = at === undefined ? null : Date.parse(at);
  if (Number.isNaN(time)) return 'at: write a time like 2026-11-22T12:00:00.123Z';
  return { source: from, destination: { ...to, port: to.port }, zone: number, at: time };
}

/** The query of a question. */
export function whyQueryOf({ source, destination, zone, at }: WhyQuestion): WhyQuery {
  return {
    ...(source === null ? {} : { source: endText(source) }),
    destination: formatEndpoint(destination),
    ...(zone === null ? {} : { zone: String(zone) }),
    ...(at === null ? {} : { at: new Date(at).toISOString() }),
  };
}

const endText = (end: Endpoint): string => (end.port === null ? end.address : formatEndpoint(end));

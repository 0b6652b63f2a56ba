// SPDX-License-Identifier: Apache-2.0
import {
  EVENT_TYPES,
  parseAddress,
  parsePrefix,
  prefixCovers,
  printable,
  type EndpointPattern,
  type Event,
} from '@relatd/model';
import { ApiError } from './errors.js';

/** What flows, expectations and events have in common; what is absent does not filter. */
export interface Filter {
  readonly helper?: string;
  readonly assignment?: string;
  /** An address or a prefix in which either end lies. An end that may be anything lies in none. */
  readonly host?: string;
}

/** Which flows or expectations to list. `kind` is for flows only. */
export interface ListFilter extends Filter {
  readonly kind?: 'control' | 'related';
}

/** Which events to tell. */
export interface EventFilter extends Filter {
  /** Types with commas between. */
  readonly type?: string;
}

interface Listed {
  readonly kind?: string;
  readonly helper?: string;
  readonly assignment: string | null;
  readonly source: EndpointPattern;
  readonly destination: EndpointPattern;
}

/**
 * The predicate of a filter, the same for the daemon's tables and for the pins.
 * @throws ApiError `API_BAD_FILTER`
 */
export function matches({ kind, helper, assignment, host }: ListFilter): (item: Listed) => boolean {
  const isHost = host === undefined ? null : hostPredicate(host);
  return (item) =>
    (kind === undefined || item.kind === kind) &&
    (helper === undefined || item.helper === helper) &&
    (assignment === undefined || item.assignment === assignment) &&
    (isHost === null || isHost(item.source) || isHost(item.destination));
}

/**
 * The predicate of a filter of events. `lost` passes any: what was lost may have been what was asked for.
 * @throws ApiError `API_BAD_FILTER`
 */
export function matchesEvent({ type, ...filter }: EventFilter): (event: Event) => boolean {
  const types = type === undefined ? null : typesOf(type);
  const isWanted = matches(filter);
  return (event) => {
    if (event.type === 'lost') return true;
    return (types === null || types.has(event.type)) && isWanted(event.flow ?? event.expectation);
  };
}

function hostPredicate(host: string): (end: EndpointPattern) => boolean {
  const parsed = parsePrefix(host);
  if (!('prefix' in parsed)) {
    throw ApiError.of('API_BAD_FILTER', `no address or prefix '${printable(host)}': write 10.0.1.2 or 2001:db8::/64`);
  }
  return ({ address }) => {
    const bytes = address === null ? null : parseAddress(address);
    return bytes !== null && prefixCovers(parsed.prefix, bytes);
  };
}

function typesOf(list: string): ReadonlySet<string> {
  const known: readonly string[] = EVENT_TYPES;
  const types = list.split(',').map((type) => type.trim());
  for (const type of types) {
    if (known.includes(type)) continue;
    throw ApiError.of('API_BAD_FILTER', `no event type '${printable(type)}': choose among ${known.join(', ')}`);
  }
  return new Set(types);
}

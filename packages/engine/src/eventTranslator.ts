// SPDX-License-Identifier: Apache-2.0
import { EventType, type EventRecord, type FlowEntry } from '@relatd/datapath';
import { formatAddress, reasonOf, type Event, type ExpectationRefusedEvent, type Reason } from '@relatd/model';
import {
  bootTimeToIso,
  destinationOf,
  expectationOf,
  flowOf,
  openerTuple,
  patternDestination,
  patternSource,
  protocolOf,
  sourceOf,
  type Names,
} from './convert.js';
import { Limiter } from './limiter.js';
import type { Refusal } from './outcome.js';

export type EventKind = keyof typeof EventType;

const KINDS: EventKind[] = [];
for (const [name, number] of Object.entries(EventType)) KINDS[number] = name as EventKind;

/** What an event's number stands for. */
export const kindOf = (type: number): EventKind | undefined => KINDS[type];

/** Makes what people see of what the datapath and the control plane tell. */
export class EventTranslator {
  readonly #names: Names;
  readonly #limiter = new Limiter<ExpectationRefusedEvent>();

  constructor(names: Names) {
    this.#names = names;
  }

  /** Null: nothing that `monitor` shows. */
  translate(record: EventRecord): Event | null {
    const time = bootTimeToIso(record.time);
    const reason = reasonOf(record.reason);
    switch (kindOf(record.type)) {
      case 'controlNew':
      case 'controlEnd':
      case 'relatedNew':
      case 'relatedEnd':
        return this.#flowEvent(record, time, reason);
      case 'expectationNew':
        return { time, type: 'expectation.new', expectation: expectationOf(record.expect, this.#names) };
      case 'expectationExpired':
        return { time, type: 'expectation.expired', expectation: expectationOf(record.expect, this.#names), reason };
      case 'expectationRefused':
        return this.#refused(record, time, reason);
      case 'guardDrop': {
        const flow = {
          assignment: null,
          detail: null,
          protocol: protocolOf(record.tuple),
          source: sourceOf(record.tuple),
          destination: destinationOf(record.tuple),
          interface: this.#names.interface(record.ifindex),
        };
        return { time, type: 'guard.drop', flow, reason, count: record.count };
      }
      default:
        return null;
    }
  }

  #flowEvent(record: EventRecord, time: string, reason: Reason): Event | null {
    const flow = flowOf(record.tuple, record.flow, this.#names);
    const ended = record.type === EventType.controlEnd || record.type === EventType.relatedEnd;
    if (flow.kind === 'control')
      return ended ? { time, type: 'control.end', flow, reason } : { time, type: 'control.new', flow };
    return ended ? { time, type: 'related.end', flow, reason } : { time, type: 'related.new', flow };
  }

  /** The datapath turned a well-formed announcement down: a table, a limit, somebody else's expectation. */
  #refused(record: EventRecord, time: string, reason: Reason): Event | null {
    const { name, helper } = this.#names.assignment(record.expect.assignment);
    const expectation = {
      assignment: name,
      helper,
      protocol: protocolOf(record.tuple),
      source: patternSource(record.tuple),
      destination: patternDestination(record.tuple),
      master: record.expect.master.toString(),
    };
    const { count } = record;
    return this.#limited(`#${String(record.flow.sourceBucket)}`, {
      time,
      type: 'expectation.refused',
      expectation,
      reason,
      count,
    });
  }

  /** The control plane turned an announcement down. `entry`: its connection in the datapath, null when it is gone. */
  refused({ connection, expect, reason }: Refusal, entry: FlowEntry | null): Event | null {
    const source = formatAddress(connection.tuple.source);
    const time = new Date().toISOString();
    const type = 'expectation.refused';
    if (expect === null && entry !== null) {
      const flow = flowOf(openerTuple(entry), entry.flow, this.#names);
      if (flow.kind === 'control') return this.#limited(source, { time, type, flow, reason, count: 1 });
    }
    const { name, helper, protocol } = connection.assignment;
    const tuple = { ...connection.tuple, ...expect };
    const expectation = {
      assignment: name,
      helper,
      protocol,
      source: { ...sourceOf(tuple), port: null },
      destination: expect === null ? { address: null, port: null } : destinationOf(tuple),
      master: connection.id.toString(),
    };
    return this.#limited(source, { time, type, expectation, reason, count: 1 });
  }

  /** What was left out since and has not been told with a later one. */
  due(): Event[] {
    return this.#limiter.due().map(({ item, count }) => ({ ...item, count }));
  }

  #limited(source: string, event: ExpectationRefusedEvent): Event | null {
    const count = this.#limiter.take(event.reason, source, event, event.count);
    return count === 0 ? null : { ...event, count };
  }
}

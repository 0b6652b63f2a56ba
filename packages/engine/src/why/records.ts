// SPDX-License-Identifier: Apache-2.0
import {
  Direction,
  EventType,
  Limit,
  boottimeNs,
  eventBatch,
  sampleBatch,
  zeroEvent,
  zeroSample,
  type RecordBatch,
} from '@relatd/datapath';
import { REASONS } from '@relatd/model';
import type { ControlConnection, ControlSegment } from '../connection.js';
import type { Refusal } from '../outcome.js';

const HELD = REASONS.indexOf('held');

/** A refusal of the control plane, in the form in which the datapath tells of its own. Without a port where it could not be read. */
export function refusalBatch({ connection, expect, reason }: Refusal): RecordBatch {
  const event = zeroEvent();
  const tuple = { ...connection.tuple, destinationPort: 0, ...expect, sourcePort: 0 };
  return eventBatch({
    ...event,
    type: EventType.expectationRefused,
    reason: REASONS.indexOf(reason),
    count: 1,
    time: boottimeNs(),
    tuple,
    expect: { ...event.expect, tuple, master: connection.id, assignment: connection.assignmentId },
  });
}

/** What a held packet said, in pieces as samples have: what the datapath decides about comes as samples by itself. */
export function* saidBatches(connection: ControlConnection, segment: ControlSegment): Generator<RecordBatch> {
  const { payload, seq, direction, flags } = segment;
  for (let at = 0; at < payload.length; at += Limit.sampleBytes) {
    const data = payload.subarray(at, at + Limit.sampleBytes);
    yield sampleBatch({
      ...zeroSample(),
      type: EventType.sample,
      reason: HELD,
      direction: Direction[direction],
      length: data.length,
      time: boottimeNs(),
      flow: connection.id,
      seq: (seq + at) >>> 0,
      tcpFlags: flags,
      tuple: connection.tuple,
      data,
    });
  }
}

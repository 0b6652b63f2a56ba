// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { EventType, SAMPLE_AT } from './generated/layout.js';
import { sampleAt } from './sample.js';

/** A record that says `length` and has `there` bytes of data, at the end of its buffer. */
function record(length: number, there: number): DataView {
  const view = new DataView(new ArrayBuffer(SAMPLE_AT.data + there));
  view.setUint8(SAMPLE_AT.type, EventType.sample);
  view.setUint32(SAMPLE_AT.length, length, true);
  for (let at = 0; at < there; at++) view.setUint8(SAMPLE_AT.data + at, 0x41);
  return view;
}

describe('a sample', () => {
  it('has its data', () => {
    const view = record(5, 5);
    expect(Buffer.from(sampleAt(view, 0, view.byteLength).data).toString()).toBe('AAAAA');
  });

  it('of layout 1, which had the beginning of a longer payload, is read as far as it goes', () => {
    const view = record(3000, 1024);
    const { length, data } = sampleAt(view, 0, view.byteLength);
    expect([length, data.length]).toEqual([3000, 1024]);
  });
});

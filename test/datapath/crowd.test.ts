// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { Session } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig({
  flows: 2048,
  flow_slots: 2048,
  flow_free: 2048,
  stream_slots: 2048 + 1,
  stream_free: 2048,
  embryos: 2048,
});

describe('many log-ins at once', () => {
  it('of neighbours, from ports in a row: no half-open one pushes out another', () => {
    rig().assign({});
    const sessions = Array.from(
      { length: 1000 },
      (_, i) =>
        new Session(rig(), { client: { address: `10.0.${String(4 + (i >> 8))}.${String(i & 255)}`, port: 20000 + i } }),
    );
    for (const session of sessions) session.send('client', { flags: 'S', ack: 0 });
    for (const session of sessions) session.send('server', { flags: 'SA' });
    for (const session of sessions) session.send('client', { flags: 'A' });
    expect(rig().totals().controls).toBe(1000);
  });

  it('of one source: connections that are over do not count against it', () => {
    rig().assign({});
    rig().configure({ perSource: 3 });
    for (let i = 0; i < 20; i++) {
      const session = Session.open(rig(), { client: { address: '10.0.1.2', port: 40000 + i } });
      session.send('client', { flags: 'FA' });
      session.send('server', { flags: 'FA' });
    }
    expect(rig().counters()).not.toHaveProperty('perSource');
    expect(rig().flows()).toHaveLength(20);
    expect(rig().sources()).toEqual([]);
    for (let i = 0; i < 4; i++) Session.open(rig(), { client: { address: '10.0.1.2', port: 50000 + i } });
    expect(rig().counters()).toMatchObject({ perSource: 1 });
  });
});

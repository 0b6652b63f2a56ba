// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { Session } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig({
  flows: 512,
  flow_slots: 512,
  flow_free: 512,
  stream_slots: 512 + 1,
  stream_free: 512,
  embryos: 512,
});

describe('the buckets of sources', () => {
  it.each<[string, (i: number) => { client: string; server: string }]>([
    ['neighbours', (i) => ({ client: `10.0.1.${String(i)}`, server: '10.0.2.2' })],
    ['networks', (i) => ({ client: `10.${String(i)}.0.1`, server: '10.0.2.2' })],
    ['IPv6 neighbours', (i) => ({ client: `2001:db8:1::${i.toString(16)}`, server: '2001:db8:2::2' })],
    ['IPv6 networks', (i) => ({ client: `2001:db8:${i.toString(16)}::1`, server: '2001:db8::2' })],
  ])('%s share hardly any', (_, addresses) => {
    rig().assign({});
    for (let i = 1; i <= 250; i++) {
      const { client, server } = addresses(i);
      Session.open(rig(), { client: { address: client, port: 40000 }, server: { address: server, port: 21 } });
    }
    expect(rig().totals().controls).toBe(250);
    expect(rig().sources().length).toBeGreaterThan(240);
  });
});

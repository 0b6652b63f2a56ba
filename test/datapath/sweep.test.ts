// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Reason, second } from './rig.js';
import { Session } from './session.js';
import { useRig } from './useRig.js';

const rig = useRig();

describe('the timer', () => {
  it('sweeps by itself once it is armed, and goes on when it is armed again', async () => {
    rig().assign({});
    Session.open(rig()).expect();
    rig().advance(301n * second);
    const before = rig().totals().ticks;
    expect(rig().arm()).toBe(Reason.none);
    await expect.poll(() => rig().totals().ticks, { timeout: 10_000 }).toBeGreaterThan(before + 2n);
    expect(rig().arm()).toBe(Reason.none);
    const again = rig().totals().ticks;
    await expect.poll(() => rig().totals().ticks, { timeout: 10_000 }).toBeGreaterThan(again + 2n);
    await expect.poll(() => rig().expectations(), { timeout: 20_000 }).toEqual([]);
  });

  it('does not run unless it is armed', async () => {
    const before = rig().totals().ticks;
    await sleep(300);
    expect(rig().totals().ticks).toBe(before);
  });
});

describe('one tick', () => {
  it('looks at a piece of the tables, and all of them at everything', () => {
    rig().assign({});
    for (let port = 1; port <= 10; port++) {
      Session.open(rig(), { client: { address: '10.0.1.2', port } });
    }
    rig().advance(432_001n * second);
    const left: number[] = [];
    for (let tick = 0; tick < 12; tick++) {
      rig().sweep(false);
      left.push(rig().totals().flows);
    }
    expect(left.every((count, at) => count <= (left[at - 1] ?? 10) && (left[at - 1] ?? 10) - count <= 2)).toBe(true);
    expect(left.at(-1)).toBe(0);
  });

  it('leaves what a packet has touched since', () => {
    rig().assign({});
    const session = Session.open(rig());
    rig().advance(432_000n * second);
    session.send('client');
    rig().advance(432_000n * second);
    rig().sweep();
    expect(rig().flows()).toHaveLength(1);
  });

  it('leaves a closed flow that still gets packets its ten seconds from the last one', () => {
    rig().assign({});
    const session = Session.open(rig());
    session.send('client', { flags: 'R', ack: 0 });
    for (let i = 0; i < 3; i++) {
      rig().advance(8n * second);
      session.probe('server');
      rig().sweep();
    }
    expect(rig().flows()).toHaveLength(1);
    rig().advance(11n * second);
    rig().sweep();
    expect(rig().flows()).toEqual([]);
  });
});

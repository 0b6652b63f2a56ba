// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { mountBpffs, removePins } from '@relatd/native';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Rig, Wires, nothing, related, second, type Place } from './rig.js';
import { Session, type Direction, type Segment } from './session.js';

/** One run of a program, as a thread can do it. */
interface Run {
  readonly program: string;
  readonly data: Uint8Array;
  readonly ctx: Uint8Array | null;
}

const addon = fileURLToPath(new URL('../../native/build/Release/relatd_native.node', import.meta.url));
const worker = new URL('race.worker.mjs', import.meta.url);
const pins = `/sys/fs/bpf/relatd-race-${String(process.pid)}`;
const sizes = {
  flows: 512,
  flow_slots: 512,
  flow_free: 512,
  stream_slots: 257,
  stream_free: 256,
  embryos: 256,
  expects: 256,
  expect_index: 256,
  expect_free: 256,
};

let wires: Wires;
let rig: Rig;
beforeAll(async () => {
  wires = await Wires.create();
});
afterAll(async () => wires.close());
beforeEach(() => {
  mountBpffs(pins);
  rig = new Rig(wires, sizes, pins);
  rig.assign({});
});
afterEach(() => {
  rig.close();
  removePins(pins);
});

const step = (session: Session, from: Direction, segment: Segment = {}, place: Partial<Place> = {}): Run => ({
  program: 'relatd_main',
  data: session.bytes(from, segment),
  ctx: rig.context({ ...session.at[from], ...place }),
});

/** Runs lists on as many threads, all beginning at one instant. With `rounds`: that many at random from each list. */
async function together(lists: readonly (readonly Run[])[], rounds?: number): Promise<number[][]> {
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const results = lists.map(
    (runs, index) =>
      new Promise<number[]>((resolve, reject) => {
        const data = {
          addon,
          pins: `${pins}/programs`,
          namespace: wires.path,
          runs,
          rounds: rounds ?? runs.length,
          seed: index + 1,
          gate,
        };
        const thread = new Worker(worker, { workerData: data });
        thread.on('message', resolve);
        thread.on('error', reject);
      }),
  );
  await expect.poll(() => Atomics.load(gate, 0), { timeout: 20_000, interval: 5 }).toBe(lists.length);
  Atomics.store(gate, 1, 1);
  Atomics.notify(gate, 1);
  return Promise.all(results);
}

describe('two SYNs at once', () => {
  it('for one expectation: exactly one of them is RELATED, a hundred times', async () => {
    const lists: [Run[], Run[]] = [[], []];
    for (let i = 0; i < 100; i++) {
      const client = { address: '10.0.1.2', port: 1000 + i };
      const session = Session.open(rig, { client });
      session.expect({}, undefined, { address: '10.0.2.2', port: 50000 + i });
      lists.forEach((list, at) => {
        const from = { address: '10.0.1.2', port: 20000 + 1000 * at + i };
        const data = session.data({ client: from, server: { address: '10.0.2.2', port: 50000 + i } });
        list.push(step(data, 'client', { flags: 'S', ack: 0 }));
      });
    }
    const [one = [], other = []] = await together(lists);
    const winners = one.map((mark, at) => Number(mark === related) + Number(other[at] === related));
    expect(winners).toEqual(winners.map(() => 1));
    expect(rig.totals()).toMatchObject({ flows: 200, expectations: 0 });
  });

  it('of one connection: both are RELATED, and it is one flow', async () => {
    const list: Run[] = [];
    for (let i = 0; i < 100; i++) {
      const session = Session.open(rig, { client: { address: '10.0.1.2', port: 1000 + i } });
      session.expect({}, undefined, { address: '10.0.2.2', port: 50000 + i });
      const data = session.data({ server: { address: '10.0.2.2', port: 50000 + i } });
      list.push(step(data, 'client', { flags: 'S', ack: 0 }));
    }
    await together([list, list]);
    expect(rig.totals()).toMatchObject({ flows: 200, expectations: 0 });
  });
});

describe('with more ports in use than the filter of ports is for', () => {
  it('every announced connection is found while generations of the filters change places', async () => {
    rig.crowdPorts();
    const context = new Uint8Array(192);
    const lists: [Run[], Run[]] = [[], []];
    for (const [at, list] of lists.entries()) {
      const again: Run[] = [];
      for (let i = 0; i < 100; i++) {
        const client = { address: `10.0.1.${String(2 + at)}`, port: 1000 + i };
        const session = Session.open(rig, { client });
        const server = { address: '10.0.2.2', port: 50000 + 1000 * at + i };
        list.push({ program: 'relatd_request', data: session.expectBytes({}, undefined, server), ctx: context });
        const data = session.data({ server });
        list.push(step(data, 'client', { flags: 'S', ack: 0 }));
        data.next.client++;
        list.push(step(data, 'server', { flags: 'SA' }));
        data.next.server++;
        again.push(step(data, 'client'), step(data, 'server'));
      }
      for (let round = 0; round < 20; round++) list.push(...again);
    }
    const sweep = { program: 'relatd_sweep', data: new Uint8Array(16), ctx: context };
    const sweeps = Array.from({ length: 5000 }, () => sweep);
    const [one = [], other = []] = await together([...lists, sweeps]);
    const missed = [one, other].map(
      (marks, at) =>
        marks.filter((mark, run) => lists[at]?.[run]?.program === 'relatd_main' && mark !== related).length,
    );
    expect(missed).toEqual([0, 0]);
    expect(rig.totals()).toMatchObject({ flows: 400, expectations: 0 });
  });
});

describe('packets, requests and sweeps at once', () => {
  it('leave nothing behind', async () => {
    const packets: Run[] = [];
    const request: Run[] = [];
    for (let i = 0; i < 60; i++) {
      const session = new Session(rig, { client: { address: `10.0.1.${String(1 + (i % 5))}`, port: 1000 + i } });
      packets.push(step(session, 'client', { flags: 'S', ack: 0 }));
      session.next.client++;
      packets.push(step(session, 'server', { flags: 'SA' }));
      session.next.server++;
      for (let again = 0; again < 3; again++) packets.push(step(session, 'client'));
      packets.push(step(session, 'client', { flags: 'R', ack: 0 }), step(session, 'client', { flags: 'FA' }));
      packets.push(step(session, 'server', { flags: 'FA' }), step(session, 'client', { payload: 'QUIT\r\n' }));
      for (let port = 0; port < 3; port++) {
        const server = { address: '10.0.2.2', port: 50000 + (i % 9) * 3 + port };
        request.push({
          program: 'relatd_request',
          data: session.expectBytes({ limit: 2 }, undefined, server),
          ctx: null,
        });
        const data = session.data({ server, client: { address: session.client.address, port: 30000 + i } });
        packets.push(
          step(data, 'client', { flags: 'S', ack: 0 }),
          step(data, 'client', { flags: 'S', ack: 0 }, { on: 'third' }),
        );
        packets.push(step(data, 'server', { flags: 'RA', seq: 0, ack: data.next.client + 1 }));
        packets.push(step(data, 'server', { flags: 'SA', ack: data.next.client + 1 }));
        packets.push(step(data, 'client', { flags: 'R', seq: data.next.client + 1 }));
      }
    }
    const tick = new Uint8Array(192);
    request.push(
      ...Array.from({ length: 20 }, () => ({ program: 'relatd_sweep', data: new Uint8Array(16), ctx: tick })),
    );
    const clock = setInterval(() => {
      rig.advance(3n * second);
    }, 2);
    await together([packets, packets, request], 60_000);
    clearInterval(clock);
    expect(rig.counters()).toMatchObject({ matched: expect.any(Number) as number });
    for (let round = 0; round < 3; round++) {
      rig.advance(432_001n * second);
      rig.sweep();
    }
    expect(rig.leaks()).toEqual(nothing);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RelatdClient, type EventFilter } from '@relatd/client';
import { RelatdError, type Event } from '@relatd/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeView, explanation, relatedFlow, relatedNew } from './fakeView.js';
import { BACKLOG_BYTES } from './hub.js';
import { listenApi, type ApiServer } from './server.js';

let directory: string;
let path: string;
let view: FakeView;
let server: ApiServer;
let client: RelatdClient;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'relatd-api-'));
  path = join(directory, 'relatd.sock');
  view = new FakeView();
  server = await listenApi({ socketPath: path, timeouts: { request: 300, idle: 600 } });
  server.serve(view);
  client = new RelatdClient(path);
});

afterEach(async () => {
  await server.close();
  expect(existsSync(path)).toBe(false);
  rmSync(directory, { recursive: true });
});

function raw(target: string, method = 'GET'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: path, path: target, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body });
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** A connection that has asked for events and reads none of them. */
async function slowReader(): Promise<Socket> {
  const socket = connect(path);
  socket.write('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'readable');
  socket.pause();
  return socket;
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; !condition(); round++) {
    if (round > 500) throw new Error('this did not happen');
    await sleep(10);
  }
}

describe('lists', () => {
  test('come whole and filtered', async () => {
    expect(await client.flows()).toEqual(view.flowTable);
    expect((await client.flows({ kind: 'related' })).map(({ id }) => id)).toEqual(['17']);
    expect(await client.flows({ helper: 'sip' })).toEqual([]);
    expect(await client.flows({ assignment: 'ftp-2121', kind: 'control' })).toHaveLength(1);
    expect(await client.expectations()).toEqual(view.expectationTable);
    expect(await client.expectations({ helper: 'nobody' })).toEqual([]);
    expect(await client.expectations({ host: '10.0.2.0/24' })).toHaveLength(1);
    expect(await client.flows({ host: '10.0.3.0/24' })).toEqual([]);
  });

  test('of a full table come in pieces', async () => {
    view.flowTable = Array.from({ length: 20_000 }, (_, index) => relatedFlow(String(index)));
    expect((await client.flows()).map(({ id }) => id)).toEqual(view.flowTable.map(({ id }) => id));
  });

  test('of no meaning are refused, not answered with everything', async () => {
    for (const query of [
      'kind=x',
      'helpr=ftp',
      'helper=',
      'helper=a&helper=b',
      'host=10.0.0.1/8',
      `helper=${'x'.repeat(200)}`,
    ]) {
      const { status, body } = await raw(`/v1/flows?${query}`);
      expect({ query, status }).toEqual({ query, status: 400 });
      expect(JSON.parse(body)).toMatchObject({ error: { code: 'bad-request' } });
    }
    expect((await raw(`/v1/flows?helper=${'x'.repeat(20_000)}`)).status).toBe(431);
    expect((await raw('/v2/flows')).status).toBe(404);
    expect((await raw('/v1/flows', 'DELETE')).status).toBe(404);
  });
});

describe('why', () => {
  test('asks the engine', async () => {
    const question = {
      source: { address: '10.0.1.2', port: 45678 },
      destination: { address: '2001:db8::2', port: 40001 },
      ...{ zone: 7, at: 1_800_000_000_123 },
    };
    expect(await client.why(question)).toEqual(explanation());
    expect(view.questions).toEqual([question]);
  });

  test('refuses what is no question', async () => {
    for (const query of [
      '',
      '?destination=',
      '?destination=10.0.2.2',
      '?destination=x:1',
      '?destination=10.0.2.2:1&port=2',
    ]) {
      const { status, body } = await raw(`/v1/why${query}`);
      expect({ query, status }).toEqual({ query, status: 400 });
      expect(JSON.parse(body)).toMatchObject({ error: { code: 'bad-request' } });
    }
    expect(view.questions).toEqual([]);
  });
});

describe('status and reload', () => {
  test('pass through', async () => {
    expect(JSON.parse((await raw('/v1/counters')).body)).toEqual(await view.counters());
    expect(await client.status()).toMatchObject({ running: true, namespace: 'gw' });
    expect(await client.reload()).toEqual({ changed: true, messages: ['assignment ftp-2121 is new'] });
    expect(view.reloads).toBe(1);
  });

  test('a bad configuration comes back with every problem', async () => {
    const problems = ['relatd.yaml:1:1: no', 'relatd.yaml:2:1: neither'];
    view.reloadError = RelatdError.with({ problems }, 'CONFIG_INVALID', 'relatd.yaml', 2);
    await expect(client.reload()).rejects.toMatchObject({
      code: 'API_REFUSED',
      message: view.reloadError.message,
      answer: { code: 'CONFIG_INVALID', problems },
    });
  });

  test('a daemon that still starts says so', async () => {
    const other = await listenApi({ socketPath: join(directory, 'other.sock') });
    const early = new RelatdClient(other.socketPath);
    await expect(early.status()).rejects.toMatchObject({ code: 'API_REFUSED', answer: { code: 'starting' } });
    await other.close();
  });
});

describe('events', () => {
  test('reach every reader in order, and are formatted for nobody when nobody listens', async () => {
    expect(view.listeners.size).toBe(0);
    const stop = new AbortController();
    const read = async () => {
      const ids: (string | undefined)[] = [];
      for await (const event of client.events({ signal: stop.signal })) {
        ids.push(event.flow && 'id' in event.flow ? event.flow.id : undefined);
        if (ids.length === 1000) return ids;
      }
      return ids;
    };
    const readers = [read(), read()];
    await until(() => view.listeners.size === 1);
    await sleep(50);
    for (let id = 0; id < 1000; id++) view.emit(relatedNew(String(id)));
    const expected = Array.from({ length: 1000 }, (_, id) => String(id));
    expect(await Promise.all(readers)).toEqual([expected, expected]);
    await until(() => view.listeners.size === 0);
  });

  test('are filtered for each reader, and not of a query without meaning', async () => {
    const first = async (filter: EventFilter): Promise<string | undefined> => {
      for await (const { type } of client.events({ filter })) return type;
      return undefined;
    };
    const readers = [first({ helper: 'sip' }), first({ host: '10.0.2.2' })];
    await until(() => view.listeners.size === 1);
    await sleep(50);
    view.emit(relatedNew('1'));
    view.emit({ time: '2026-11-22T12:00:00.000Z', type: 'lost', count: 1 });
    expect(await Promise.all(readers)).toEqual(['lost', 'related.new']);
    for (const query of ['type=x', 'host=x', 'kind=related', 'type=']) {
      expect({ query, status: (await raw(`/v1/events?${query}`)).status }).toEqual({ query, status: 400 });
    }
  });

  test('outlive the idle timeout', async () => {
    const events = client.events();
    const first = events.next();
    await until(() => view.listeners.size === 1);
    await sleep(1000);
    view.emit(relatedNew('1'));
    expect(await first).toMatchObject({ value: { type: 'related.new' } });
    await events.return();
  });

  test('are lost to a slow reader, counted, with bounded memory, and not lost to others', async () => {
    const total = 40_000;
    const slow = await slowReader();
    let seen = 0;
    const fast = (async () => {
      for await (const event of client.events()) {
        expect(event.type).toBe('related.new');
        if (++seen === total) return;
      }
    })();
    await sleep(50);
    const size = JSON.stringify(relatedNew('0')).length;
    expect(size * total).toBeGreaterThan(BACKLOG_BYTES * 2);
    for (let id = 0; id < total; id++) {
      view.emit(relatedNew(String(id)));
      if (id % 400 === 399) await sleep(1);
    }
    await fast;
    // Nothing more happens: the loss must be told all the same.
    let text = '';
    slow.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    slow.resume();
    await until(() => text.includes('"lost"'));
    await sleep(100);
    const lines = [...text.matchAll(/^\{.*\}$/gm)].map(([line]) => JSON.parse(line) as Event);
    const lost = lines.filter(({ type }) => type === 'lost').reduce((sum, { count }) => sum + (count ?? 0), 0);
    const delivered = lines.filter(({ type }) => type === 'related.new').length;
    expect(lost).toBeGreaterThan(0);
    expect(delivered + lost).toBe(total);
    slow.destroy();
    await until(() => view.listeners.size === 0);
  });

  test('end in order when the daemon stops', async () => {
    const all = (async () => {
      const types: string[] = [];
      for await (const { type } of client.events()) types.push(type);
      return types;
    })();
    await until(() => view.listeners.size === 1);
    view.emit(relatedNew('1'));
    await server.close();
    expect(await all).toEqual(['related.new']);
    expect(view.listeners.size).toBe(0);
  });

  test('of the past are there while somebody reads, at most 2000', async () => {
    const history = async () =>
      JSON.parse((await raw('/v1/history')).body) as { since: string | null; events: Event[] };
    expect(await history()).toEqual({ since: null, events: [] });
    const reader = await slowReader();
    view.emit(relatedNew('0'));
    const first = await history();
    expect(first.events).toEqual([relatedNew('0')]);
    expect(Date.parse(first.since ?? '')).toBeGreaterThan(Date.parse(relatedNew('0').time));
    for (let id = 1; id <= 4100; id++) view.emit(relatedNew(String(id)));
    const { since, events } = await history();
    expect(events.map(({ flow }) => flow && 'id' in flow && flow.id)).toEqual(
      Array.from({ length: 2000 }, (_, index) => String(2101 + index)),
    );
    // What came before the first of them is gone.
    expect(since).toBe(relatedNew('0').time);
    reader.destroy();
    await until(() => view.listeners.size === 0);
    expect(await history()).toEqual({ since: null, events: [] });
  });

  test('go to a limited number of readers', async () => {
    const sockets = await Promise.all(Array.from({ length: 32 }, slowReader));
    expect((await raw('/v1/events')).status).toBe(503);
    for (const socket of sockets) socket.destroy();
    await until(() => view.listeners.size === 0);
  });
});

test('a second daemon at the same socket is refused, and the first goes on', async () => {
  await expect(listenApi({ socketPath: path })).rejects.toMatchObject({ code: 'API_SOCKET_IN_USE' });
  expect(await client.status()).toMatchObject({ running: true });
});

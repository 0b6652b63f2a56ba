// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type RequestOptions } from 'node:http';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeView, relatedFlow } from './fakeView.js';
import { listenMetrics } from './metricsServer.js';
import { listenApi } from './server.js';

const timeouts = { request: 200, idle: 400 };

/** Both places that clients connect to. */
const listeners: Record<string, (view: FakeView, directory: string) => Promise<Listener>> = {
  'the socket': async (view, directory) => {
    const server = await listenApi({ socketPath: join(directory, 'relatd.sock'), timeouts });
    server.serve(view);
    const { socketPath } = server;
    return { close: () => server.close(), to: { path: socketPath }, asked: { socketPath } };
  },
  'the metrics address': async (view) => {
    const server = await listenMetrics({ address: '127.0.0.1', port: 0, timeouts });
    server.serve(view);
    const port = Number(server.address.split(':')[1]);
    return { close: () => server.close(), to: { host: '127.0.0.1', port }, asked: { host: '127.0.0.1', port } };
  },
};

interface Listener {
  readonly to: NetConnectOpts;
  readonly asked: RequestOptions;
  close(): Promise<void>;
}

describe.each(Object.keys(listeners))('%s survives', (name) => {
  let directory: string;
  let view: FakeView;
  let listener: Listener;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'relatd-api-'));
    view = new FakeView();
    listener = await listeners[name]!(view, directory);
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await listener.close();
    rmSync(directory, { recursive: true });
  });

  function open(text = ''): Socket {
    const socket = connect(listener.to);
    sockets.push(socket);
    socket.on('error', () => undefined);
    if (text !== '') socket.write(text);
    return socket;
  }

  function status(path = '/v1/status'): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...listener.asked, path, agent: false }, (response) => {
        response.resume().on('end', () => {
          resolve(response.statusCode);
        });
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
  }

  test('half requests: they are cut off, and others are served meanwhile', async () => {
    const half = Array.from({ length: 50 }, (_, index) =>
      open(index % 2 === 0 ? 'GET /v1/status HTTP/1.1\r\nHos' : ''),
    );
    const closed = Promise.all(half.map((socket) => once(socket.resume(), 'close')));
    expect(await status()).toBe(200);
    await closed;
  });

  test('1,000 idle clients', async () => {
    const idle = Array.from({ length: 1000 }, () => open());
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    expect(await status()).toBe(200);
    expect(await status('/v1/flows')).toBe(200);
    const closed = await Promise.all(idle.map((socket) => once(socket.resume(), 'close')));
    expect(closed).toHaveLength(1000);
  });

  test('a reader who stops in the middle of a list: it is cut off', async () => {
    view.flowTable = Array.from({ length: 20_000 }, (_, index) => relatedFlow(String(index)));
    const socket = open('GET /v1/flows HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await once(socket, 'readable');
    socket.pause();
    await sleep(1000);
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
    socket.resume();
    await once(socket, 'close');
    expect(bytes).toBeLessThan(7_000_000);
  });

  test('huge queries, bodies that nobody asked for, and garbage', async () => {
    expect(await status(`/v1/flows?helper=${'x'.repeat(20_000)}`)).toBe(431);
    expect(await status(`/v1/flows?${'helper=a&'.repeat(800)}`)).toBe(400);
    expect(await status(`/${'a/'.repeat(2000)}`)).toBe(404);
    expect(await status('/v1/%2e%2e/%2e%2e/etc/passwd')).toBe(404);
    for (const text of [
      `POST /v1/flows HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n${'x'.repeat(100_000)}`,
      `GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n${'A: b\r\n'.repeat(5000)}\r\n`,
      '\x16\x03\x01\x00garbage\r\n\r\n',
    ]) {
      await once(open(text).resume(), 'close');
    }
    expect(await status()).toBe(200);
  });
});

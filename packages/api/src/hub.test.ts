// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FakeView, relatedNew } from './fakeView.js';
import { EventHub, type History } from './hub.js';

test('events are kept for the next reader for a while, and then nobody is subscribed any more', async () => {
  const view = new FakeView();
  const hub = new EventHub(view, 200);
  const server = createServer((_request, response) => {
    hub.add(response, () => true);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const read = async () => {
    const [response] = (await once(get({ port: (server.address() as AddressInfo).port }), 'response')) as [
      IncomingMessage,
    ];
    return response;
  };
  const kept = () => (JSON.parse(hub.history()) as History).events;

  const first = await read();
  view.emit(relatedNew('1'));
  first.destroy();
  while (hub.size > 0) await sleep(5);
  view.emit(relatedNew('2'));
  const second = await read();
  await sleep(300);
  expect(kept()).toEqual([relatedNew('1'), relatedNew('2')]);
  second.destroy();
  while (view.listeners.size > 0) await sleep(5);
  expect(kept()).toEqual([]);
  hub.close();
  server.close();
});

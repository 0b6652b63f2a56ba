// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RelatdClient } from './client.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'relatd-client-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe('the client says what is wrong when', () => {
  test('no daemon is there', async () => {
    const missing = new RelatdClient(join(directory, 'none.sock'));
    await expect(missing.flows()).rejects.toMatchObject({
      code: 'API_NO_DAEMON',
      message: expect.stringContaining(join(directory, 'none.sock')) as string,
    });
    await expect(missing.events().next()).rejects.toMatchObject({ code: 'API_NO_DAEMON' });
  });

  test('somebody else, or nobody awake, answers', async () => {
    for (const [answer, code] of [
      ['SSH-2.0-x\r\n', 'API_BAD_ANSWER'],
      ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno', 'API_BAD_ANSWER'],
      ['HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}', 'API_BAD_ANSWER'],
      ['HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{', 'API_CONNECTION_LOST'],
      ['', 'API_TIMEOUT'],
    ] as const) {
      const other = join(directory, 'other.sock');
      const stranger = createServer((socket) => {
        socket.on('error', () => undefined).resume();
        if (answer !== '') socket.end(answer);
      }).listen(other);
      await once(stranger, 'listening');
      await expect(new RelatdClient(other, { timeout: 200 }).status(), answer).rejects.toMatchObject({ code });
      stranger.close();
      await once(stranger, 'close');
    }
  });
});

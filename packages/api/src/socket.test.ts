// SPDX-License-Identifier: Apache-2.0
import { chmodSync, existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAnswered, takePlace, type SocketPlace } from './socket.js';

let directory: string;
const servers: Server[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'relatd-api-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
  rmSync(directory, { recursive: true });
});

async function serve(place: SocketPlace): Promise<void> {
  const server = createServer((socket) => socket.end());
  servers.push(server);
  await new Promise<void>((done) => {
    server.listen(place.temporary, () => {
      done();
    });
  });
  await place.publish();
}

/** A socket whose process is gone, as kill -9 leaves it. */
function leaveStaleSocket(path: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  expect(lstatSync(path).isSocket()).toBe(true);
}

describe('the place of a socket', () => {
  test('is made with its parent directories, mode 0660, and no other name stays', async () => {
    const path = join(directory, 'a', 'b', 'relatd.sock');
    const place = await takePlace(path);
    await serve(place);
    expect(lstatSync(path).mode & 0o777).toBe(0o660);
    expect(existsSync(place.temporary)).toBe(false);
    expect(await isAnswered(path)).toBe(true);
    await place.withdraw();
    expect(existsSync(path)).toBe(false);
  });

  test('belongs to the group that is named, or to none that does not exist', async (context) => {
    await expect(takePlace(join(directory, 's'), 'no-such-group')).rejects.toMatchObject({
      code: 'API_GROUP_MISSING',
      message: expect.stringContaining('groupadd --system no-such-group') as string,
    });
    if (process.getuid?.() !== 0) context.skip('only root gives a socket to a group');
    const path = join(directory, 's');
    await serve(await takePlace(path, 'daemon'));
    const daemon = Number(/^daemon:[^:]*:(\d+)/m.exec(readFileSync('/etc/group', 'utf8'))?.[1]);
    const { gid, mode } = lstatSync(path);
    expect([gid, mode & 0o777]).toEqual([daemon, 0o660]);
  });

  test('is taken from a socket that nobody answers on', async () => {
    const path = join(directory, 's');
    leaveStaleSocket(path);
    await serve(await takePlace(path));
    expect(await isAnswered(path)).toBe(true);
  });

  test('is not taken from a living daemon', async () => {
    const path = join(directory, 's');
    await serve(await takePlace(path));
    await expect(takePlace(path)).rejects.toMatchObject({ code: 'API_SOCKET_IN_USE' });
    expect(await isAnswered(path)).toBe(true);
  });

  test('goes to exactly one of many who want it at once, stale socket or none', async () => {
    for (const stale of [false, true]) {
      const path = join(directory, `s-${String(stale)}`);
      if (stale) leaveStaleSocket(path);
      const places = await Promise.all(Array.from({ length: 8 }, () => takePlace(path)));
      const results = await Promise.allSettled(places.map(serve));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'API_SOCKET_IN_USE' });
      }
      expect(await isAnswered(path)).toBe(true);
    }
  });

  test('is not taken from a file that is not a socket', async () => {
    const path = join(directory, 'precious');
    writeFileSync(path, 'data');
    const place = await takePlace(path);
    await expect(serve(place)).rejects.toMatchObject({ code: 'API_SOCKET_NOT_A_SOCKET' });
    expect(lstatSync(path).isFile()).toBe(true);
  });

  test('is left to a successor who has put its own socket there', async () => {
    const path = join(directory, 's');
    const first = await takePlace(path);
    await serve(first);
    rmSync(path);
    await serve(await takePlace(path));
    await first.withdraw();
    expect(await isAnswered(path)).toBe(true);
  });

  test('says so when its path cannot be one', async () => {
    await expect(takePlace(join(directory, 'x'.repeat(120)))).rejects.toMatchObject({ code: 'API_SOCKET_PATH' });
    await expect(takePlace('')).rejects.toMatchObject({ code: 'API_SOCKET_PATH' });
    const file = join(directory, 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o600);
    await expect(takePlace(join(file, 's'))).rejects.toMatchObject({ code: 'API_SOCKET_FAILED' });
  });
});

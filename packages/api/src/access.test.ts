// SPDX-License-Identifier: Apache-2.0
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeView } from './fakeView.js';
import { listenMetrics, type MetricsServer } from './metricsServer.js';

const token = 'c0ffee00c0ffee00c0ffee00c0ffee00';

let directory: string;
let tokenFile: string;
let server: MetricsServer | null = null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'relatd-access-'));
  tokenFile = join(directory, 'token');
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
});

afterEach(async () => {
  await server?.close();
  server = null;
  rmSync(directory, { recursive: true });
});

async function listen(address: string, file: string | null): Promise<void> {
  server = await listenMetrics({ address, port: 0, tokenFile: file });
  server.serve(new FakeView());
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function ask(path: string, headers: Record<string, string> = {}, body: string | null = null): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const port = Number(server?.address.split(':').at(-1));
    const method = body === null ? 'GET' : 'POST';
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode, headers: response.headers, text });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body ?? undefined);
  });
}

const statusOf = async (...args: Parameters<typeof ask>) => (await ask(...args)).status;

describe('on loopback without a token', () => {
  test('only a name that DNS cannot make point here is answered', async () => {
    await listen('127.0.0.1', null);
    for (const host of ['127.0.0.1:9469', 'localhost', 'LOCALHOST:80', '[::1]:9469', '127.0.0.1']) {
      expect(await statusOf('/v1/flows', { host }), host).toBe(200);
    }
    for (const host of [
      'evil.example',
      'evil.example:9469',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      ':80',
    ]) {
      for (const path of ['/v1/flows', '/v1/events', '/']) expect(await statusOf(path, { host }), host).toBe(421);
      // It has nothing that is worth this, and may be scraped by any name.
      expect(await statusOf('/metrics', { host }), host).toBe(200);
    }
  });

  test('another web site takes up no stream', async () => {
    await listen('127.0.0.1', null);
    for (const site of ['cross-site', 'same-site']) {
      expect(await statusOf('/v1/events', { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors' }), site).toBe(403);
    }
    expect(await statusOf('/v1/flows', { 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await statusOf('/', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).toBe(200);
    expect((await ask('/v1/flows')).headers).not.toHaveProperty('access-control-allow-origin');
  });
});

test('where others reach it and no token is named, only metrics are served, and a page says why', async () => {
  await listen('0.0.0.0', null);
  expect(await statusOf('/metrics')).toBe(200);
  expect(await ask('/v1/flows', { authorization: 'Bearer undefined' })).toMatchObject({
    status: 403,
    text: expect.stringContaining('listen.token-file') as string,
  });
  const { status, text, headers } = await ask('/');
  expect([status, headers['content-type']]).toEqual([403, 'text/html; charset=utf-8']);
  expect(text).toContain('token-file: /etc/relatd/token');
  expect(text).not.toMatch(/10\.0\./);
});

describe('with a token', () => {
  test('programs send it in a header', async () => {
    await listen('0.0.0.0', tokenFile);
    expect(await statusOf('/metrics')).toBe(200);
    const refused = await ask('/v1/flows');
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Bearer realm="relatd"']);
    for (const authorization of [`Bearer ${token}x`, `Bearer ${token.slice(1)}`, token, 'Bearer ', `Basic ${token}`]) {
      expect(await statusOf('/v1/flows', { authorization }), authorization).toBe(401);
    }
    expect(await statusOf('/v1/flows', { authorization: `Bearer ${token}`, host: 'relatd.example' })).toBe(200);
  });

  test('people write it into a page, and get a cookie that is not the token', async () => {
    await listen('127.0.0.1', tokenFile);
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect(await ask('/?view=charts')).toMatchObject({
      status: 401,
      text: expect.stringContaining('type="password"') as string,
    });
    const wrong = await ask('/', form, 'token=guess');
    expect(wrong).toMatchObject({ status: 401, text: expect.stringContaining('not the token') as string });
    expect(wrong.headers['set-cookie']).toBeUndefined();
    expect(await statusOf('/', form, '')).toBe(401);
    expect(await statusOf('/', { 'content-type': 'application/json' }, `{"token":"${token}"}`)).toBe(401);
    expect(await statusOf('/v1/flows', form, `token=${token}`)).toBe(405);

    const right = await ask('/?view=charts', form, `token=${token}`);
    expect([right.status, right.headers.location]).toEqual([303, '/?view=charts']);
    const cookie = right.headers['set-cookie']?.[0] ?? '';
    expect(cookie).toMatch(/^relatd-\d+=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(token);
    const pair = cookie.split(';')[0] ?? '';
    expect(await statusOf('/v1/flows', { cookie: `a=b; ${pair}` })).toBe(200);
    for (const other of [pair.slice(0, -1), `${pair}0`, `x${pair}`, pair.replace(/=.*/, `=${token}`)]) {
      expect(await statusOf('/v1/flows', { cookie: other }), other).toBe(401);
    }
  });

  test('that is not secret, too short or not there the daemon does not start', async (context) => {
    const refused = async (why: RegExp) => {
      await expect(listenMetrics({ address: '127.0.0.1', port: 0, tokenFile })).rejects.toMatchObject({
        code: 'API_TOKEN_FILE',
        message: expect.stringMatching(why) as string,
      });
    };
    chmodSync(tokenFile, 0o640);
    await refused(/chmod 600/);
    chmodSync(tokenFile, 0o600);
    writeFileSync(tokenFile, 'short');
    await refused(/it has 5 characters; 32 to 512 are right/);
    writeFileSync(tokenFile, `${token} ${token}`);
    await refused(/other characters/);
    writeFileSync(tokenFile, 'x'.repeat(5000));
    await refused(/too long/);
    rmSync(tokenFile);
    await refused(/ENOENT.*openssl rand -hex 32/);
    tokenFile = directory;
    await refused(/it is no file/);
    if (process.getuid?.() !== 0) context.skip('only root can make a file of somebody else');
    tokenFile = join(directory, 'token');
    writeFileSync(tokenFile, token, { mode: 0o600 });
    chownSync(tokenFile, 1, 1);
    await refused(/does not belong to root/);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeView } from './fakeView.js';
import { listenMetrics, type MetricsServer } from './metricsServer.js';

let directory: string;
let server: MetricsServer;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'relatd-files-'));
  const folder = join(directory, 'app');
  mkdirSync(join(folder, 'assets'), { recursive: true });
  writeFileSync(join(directory, 'secret.js'), 'secret');
  writeFileSync(join(folder, 'index.html'), '<!doctype html>');
  writeFileSync(join(folder, 'assets', 'index-abc.js'), 'hello()');
  writeFileSync(join(folder, 'tool.sh'), 'no');
  symlinkSync('../secret.js', join(folder, 'link.js'));
  server = await listenMetrics({ address: '127.0.0.1', port: 0, dashboard: folder });
  server.serve(new FakeView());
});

afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`http://${server.address}${path}`, { headers });
}

describe('the files of the dashboard', () => {
  test('have their types, and a policy under which nothing comes from elsewhere', async () => {
    const page = await get('/?view=charts');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    const script = await get('/assets/index-abc.js');
    expect([await script.text(), script.headers.get('content-type')]).toEqual([
      'hello()',
      'text/javascript; charset=utf-8',
    ]);
  });

  test('are kept by browsers: for ever where the name says which they are, else asked about', async () => {
    const script = await get('/assets/index-abc.js');
    expect(script.headers.get('cache-control')).toBe('private, max-age=31536000, immutable');
    const page = await get('/');
    expect(page.headers.get('cache-control')).toBe('no-cache');
    const again = await get('/', { 'if-none-match': page.headers.get('etag') ?? '' });
    expect([again.status, await again.text()]).toEqual([304, '']);
    expect((await get('/', { 'if-none-match': '"other"' })).status).toBe(200);
  });

  test('outlive a build that replaces them', async () => {
    rmSync(join(directory, 'app'), { recursive: true });
    expect(await (await get('/assets/index-abc.js')).text()).toBe('hello()');
  });

  test('are all that there is: no path leads out of the folder', async () => {
    for (const path of [
      '/tool.sh',
      '/link.js',
      '/assets/',
      '/assets',
      '/../secret.js',
      '/%2e%2e/secret.js',
      '/assets/..%2f..%2fsecret.js',
      '/assets/%5c..%5c..%5csecret.js',
      '//etc/passwd',
      '/%00',
    ]) {
      const answer = await get(path);
      expect([answer.status >= 400, (await answer.text()) === 'secret'], path).toEqual([true, false]);
    }
  });
});

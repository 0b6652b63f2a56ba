// SPDX-License-Identifier: Apache-2.0
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FakeView, listenApi, type ApiServer } from '@relatd/api';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { version } from './program.js';

const script = fileURLToPath(new URL('../bin/relatd.js', import.meta.url));

let directory: string;
let view: FakeView;
let server: ApiServer;

beforeAll(() => {
  if (!existsSync(new URL('../dist/main.js', import.meta.url))) throw new Error('build @relatd/cli first');
});

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'relatd-cli-'));
  view = new FakeView();
  server = await listenApi({ socketPath: join(directory, 'relatd.sock') });
  server.serve(view);
});

afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

/** A `relatd` process that talks to the fake daemon. */
function relatd(...line: string[]) {
  const child = spawn(process.execPath, [script, ...line], {
    env: { ...process.env, RELATD_SOCKET: server.socketPath },
  });
  return watch(child);
}

function watch(child: ChildProcessWithoutNullStreams) {
  let err = '';
  let out = '';
  child.stdin.end();
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk));
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  const exited = once(child, 'close').then(([code, signal]) => ({ code: (code ?? signal) as unknown, out, err }));
  return { child, exited, out: () => out };
}

const event = { time: '2026-11-22T12:00:00.000Z', type: 'lost', count: 3 } as const;

describe('a reader who has had enough', () => {
  test.each([['flows', '--json'], ['flows'], ['status', '--json'], ['--help']])('of %j', async (...line) => {
    view.flowTable = Array.from({ length: 5000 }, () => new FakeView().flowTable).flat();
    const { child, exited } = relatd(...line);
    child.stdout.destroy();
    expect(await exited).toMatchObject({ code: 0, err: '' });
  });

  test('of a monitor', async () => {
    const { child, exited, out } = relatd('monitor');
    while (view.listeners.size === 0) await sleep(10);
    view.emit(event);
    while (out() === '') await sleep(10);
    child.stdout.destroy();
    const events = setInterval(() => {
      view.emit(event);
    }, 10);
    expect(await exited).toMatchObject({
      code: 0,
      err: expect.stringMatching(/^relatd: \d+ events were lost\n$/) as string,
    });
    clearInterval(events);
  });
});

test('a full disk is a failure', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [script, '--version'], { stdio: ['ignore', full, 'pipe'] });
  let err = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (err += chunk));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(1);
  expect(err).toBe('relatd: cannot write to stdout (ENOSPC): let it write somewhere else\n');
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends a monitor in order', async (signal) => {
  const { child, exited, out } = relatd('monitor', '--json');
  while (view.listeners.size === 0) await sleep(10);
  view.emit(event);
  while (!out().includes('\n')) await sleep(10);
  child.kill(signal);
  expect(await exited).toEqual({ code: 0, out: `${JSON.stringify(event)}\n`, err: 'relatd: 3 events were lost\n' });
});

test('the exit code reaches the shell', async () => {
  expect(await relatd('--version').exited).toEqual({ code: 0, out: `${version()}\n`, err: '' });
  expect(await relatd('nonsense').exited).toMatchObject({ code: 2, out: '' });
  expect(await relatd('status', '--json').exited).toMatchObject({ code: 0, err: '' });
});

describe('up touches nothing and leaves with one line when', () => {
  async function up(config: string, ...line: string[]) {
    const file = join(directory, 'relatd.yaml');
    writeFileSync(file, config);
    return relatd('up', '-c', file, ...line).exited;
  }
  const valid = 'interfaces: [eth0]\nassignments:\n  - { helper: ftp, port: 21 }\nlisten: { metrics: off }\n';

  test('another daemon serves this socket', async () => {
    const result = await up(valid);
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toMatch(/^relatd: another relatd daemon already serves .*\n$/);
    expect(view.listeners.size).toBe(0);
  });

  test('something else listens on the metrics port', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const socket = join(directory, 'new.sock');
    const result = await up(valid.replace('off', `"127.0.0.1:${String(port)}"`), '--socket', socket);
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toMatch(/^relatd: cannot listen on 127\.0\.0\.1:\d+ for metrics.*\n$/);
    expect(existsSync(socket)).toBe(false);
    other.close();
  });

  test('the configuration does not hold', async () => {
    const result = await up('interfaces: 7\nassignments: 8\n');
    expect(result).toMatchObject({ code: 2, out: '' });
    expect(result.err.trimEnd().split('\n')).toHaveLength(2);
  });
});

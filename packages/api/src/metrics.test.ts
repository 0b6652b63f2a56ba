// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeView } from './fakeView.js';
import { listenMetrics, type MetricsServer } from './metricsServer.js';

let server: MetricsServer;
let view: FakeView;

beforeEach(async () => {
  view = new FakeView();
  server = await listenMetrics({ address: '127.0.0.1', port: 0 });
});

afterEach(() => server.close());

async function get(path: string, method = 'GET') {
  const response = await fetch(`http://${server.address}${path}`, { method });
  return { status: response.status, text: await response.text() };
}

describe('metrics', () => {
  test('are Prometheus text with bounded labels', async () => {
    server.serve(view);
    const { status, text } = await get('/metrics');
    expect(status).toBe(200);
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    for (const line of [
      'relatd_flows{assignment="ftp-2121",helper="ftp",kind="related"} 2',
      'relatd_expectations{assignment="ftp-2121",helper="ftp"} 1',
      'relatd_related_flows_total{assignment="ftp-2121",helper="ftp"} 20',
      'relatd_refusals_total{assignment="ftp-2121",helper="ftp",reason="port-zero"} 4',
      'relatd_distrusted_total{assignment="ftp-2121",helper="ftp",reason="encrypted"} 5',
      'relatd_packets_total{reason="fragment"} 7',
      'relatd_interface_watched{interface="eth0"} 1',
      'relatd_interface_problems{interface="eth0"} 0',
      'relatd_build_info{version="0.1.0"} 1',
      'relatd_start_time_seconds 1795345200',
      'relatd_expectations_per_master_limit{assignment="ftp-2121",helper="ftp"} 1',
      'relatd_per_source_limit 1024',
      'relatd_hold_ready 1',
      'relatd_table_entries{table="flows"} 3',
      'relatd_lost_samples_total 2',
      'relatd_unattended_packets_total 1',
    ]) {
      expect(samples).toContain(line);
    }
    expect(text).not.toMatch(/10\.0\.|45678/);
    // Counters are set, not summed up: a second scrape shows the same.
    expect((await get('/metrics')).text).toBe(text);
  });

  test('read the engine once per scrape', async () => {
    let reads = 0;
    const counters = view.counters.bind(view);
    view.counters = () => {
      reads++;
      return counters();
    };
    server.serve(view);
    await get('/metrics');
    expect(reads).toBe(1);
  });

  test('are not there before the daemon has started, nor changed by anybody', async () => {
    for (const path of ['/metrics', '/v1/flows']) expect((await get(path)).status).toBe(503);
    server.serve(view);
    for (const path of ['/metrics/', '/metricsx', '/v2/flows']) expect((await get(path)).status).toBe(404);
    for (const [path, method] of [
      ['/metrics', 'POST'],
      ['/v1/reload', 'POST'],
      ['/', 'POST'],
      ['/v1/flows', 'DELETE'],
    ] as const) {
      expect((await get(path, method)).status).toBe(405);
    }
    expect(view.reloads).toBe(0);
    expect((await get('/metrics', 'HEAD')).status).toBe(200);
    view.counters = () => Promise.reject(new Error('closed'));
    expect(await get('/metrics')).toMatchObject({ status: 500, text: expect.stringContaining('closed') as string });
  });

  test('a taken or senseless address is one clear error', async () => {
    await expect(
      listenMetrics({ address: '127.0.0.1', port: Number(server.address.split(':')[1]) }),
    ).rejects.toMatchObject({
      code: 'API_METRICS_LISTEN',
      message: expect.stringContaining('something else listens there') as string,
    });
    await expect(listenMetrics({ address: '192.0.2.1', port: 9469 })).rejects.toMatchObject({
      code: 'API_METRICS_LISTEN',
      message: expect.stringContaining('192.0.2.1:9469') as string,
    });
    const six = await listenMetrics({ address: '::1', port: 0 });
    expect(six.address).toMatch(/^\[::1\]:\d+$/);
    await six.close();
  });

  test('half requests do not keep it from closing', async () => {
    const socket = connect(Number(server.address.split(':')[1]), '127.0.0.1');
    socket.on('error', () => undefined).write('GET /metr');
    await once(socket, 'connect');
    const closed = new Promise((done) => socket.resume().once('close', done));
    await server.close();
    await closed;
    server = await listenMetrics({ address: '127.0.0.1', port: 0 });
  });
});

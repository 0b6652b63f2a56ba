// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { FakeView } from './fakeView.js';
import { listenMetrics, type MetricsServer } from './metricsServer.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const promtool = `${root}.cache/debian/prometheus/usr/bin/promtool`;

let server: MetricsServer;
let scrape: string;

beforeAll(async () => {
  server = await listenMetrics({ address: '127.0.0.1', port: 0 });
  server.serve(new FakeView());
  scrape = await (await fetch(`http://${server.address}/metrics`)).text();
});

afterAll(() => server.close());

function run(context: TestContext, args: readonly string[], input = ''): { status: number | null; output: string } {
  if (!existsSync(promtool)) context.skip('promtool is not there: run `npm run setup` on Debian');
  const { status, stdout, stderr } = spawnSync(promtool, args, { input, encoding: 'utf8', cwd: `${root}deploy` });
  return { status, output: stdout + stderr };
}

/** The metrics that a text asks for. */
function named(text: string): string[] {
  return [...new Set([...text.matchAll(/\brelatd_[a-z_]+/g)].map(([name]) => name))].sort();
}

function deployed(file: string): string {
  return readFileSync(`${root}deploy/${file}`, 'utf8');
}

describe('Prometheus', () => {
  test('finds nothing to complain about in the metrics', (context) => {
    expect(run(context, ['check', 'metrics'], scrape)).toEqual({ status: 0, output: '' });
  });

  test('accepts the alert rules, each of which fires for its trouble and for nothing else', (context) => {
    for (const args of [
      ['check', 'rules', '--lint-fatal', 'prometheus/relatd.rules.yaml'],
      ['test', 'rules', 'prometheus/relatd.rules.test.yaml'],
    ]) {
      const { status, output } = run(context, args);
      expect(status, output).toBe(0);
    }
    const alerts = [...deployed('prometheus/relatd.rules.yaml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    const tested = [...deployed('prometheus/relatd.rules.test.yaml').matchAll(/alertname: (\w+)/g)];
    expect(tested.map(([, name]) => name)).toEqual(alerts);
  });
});

describe('what is deployed', () => {
  test('asks only for metrics that there are', () => {
    const existing = new Set([...scrape.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name));
    for (const file of ['prometheus/relatd.rules.yaml', 'prometheus/relatd.rules.test.yaml', 'grafana/relatd.json']) {
      const names = named(deployed(file));
      expect(names.length).toBeGreaterThan(8);
      expect(
        names.filter((name) => !existing.has(name)),
        file,
      ).toEqual([]);
    }
  });

  test('has in the Grafana dashboard only queries that Prometheus can read', (context) => {
    const { panels } = JSON.parse(deployed('grafana/relatd.json')) as { panels: { targets: { expr: string }[] }[] };
    const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(queries.length).toBeGreaterThan(15);
    // Rules are how promtool reads queries; Grafana puts these two in itself.
    const rules = queries.map((query, index) => ({
      record: `query:${String(index)}`,
      expr: query.replaceAll('$__rate_interval', '5m').replaceAll(/\$(instance|assignment)/g, '.*'),
    }));
    const directory = mkdtempSync(join(tmpdir(), 'relatd-deploy-'));
    try {
      const file = join(directory, 'grafana.yaml');
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'grafana', rules }] }));
      const { status, output } = run(context, ['check', 'rules', '--lint=none', file]);
      expect(status, output).toBe(0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

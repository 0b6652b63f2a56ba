// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endpoints, FakeView, listenMetrics } from '@relatd/api';
import { Lab, Peer } from '@relatd/lab';
import type { ControlFlow, RelatedFlow } from '@relatd/model';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { accessibilityProblems, browserMissing, builtDashboard, openPage, startBrowser } from './support/browser.js';
import { defaultConfig, eventually, startGateway } from './support/gateway.js';
import { alice, serve } from './support/session.js';

let browser: Browser | undefined;

beforeAll(async () => {
  if (browserMissing() === null) browser = await startBrowser();
});

afterAll(() => browser?.close());

beforeEach((context) => {
  const missing = browserMissing();
  if (missing !== null) context.skip(missing);
});

function page(...options: Parameters<typeof openPage> extends [Browser, ...infer Rest] ? Rest : never) {
  return openPage(browser!, ...options);
}

/** 5,000 control connections with a related flow each. */
function manyFlows(view: FakeView): void {
  const [control, related] = view.flowTable as [ControlFlow, RelatedFlow];
  const created = (second: number): string => new Date(Date.now() - 1000 * second).toISOString();
  view.flowTable = Array.from({ length: 5000 }, (_, index) => {
    const id = String(index + 1);
    const source = { address: `10.1.${String(index >> 8)}.${String(index & 255)}`, port: 20_000 };
    return [
      { ...control, id, source, created: created(index) },
      { ...related, id: String(index + 10_001), master: id, source, created: created(index) },
    ];
  }).flat();
  view.expectationTable = [];
}

const rows = (of: Page) => of.locator('.rows [role=row]');

describe('10,000 flows', () => {
  let view: FakeView;
  let close: () => Promise<void>;
  let address: string;

  beforeAll(async () => {
    view = new FakeView();
    const server = await listenMetrics({ address: '127.0.0.1', port: 0, dashboard: builtDashboard() });
    server.serve(view);
    address = `http://${server.address}/`;
    close = () => server.close();
  });

  afterAll(() => close());

  beforeEach(() => {
    manyFlows(view);
  });

  it('are a table of which only what is in sight is drawn, kept up to date by events', async () => {
    const { page: shown, faults } = await page(address);
    await rows(shown).first().waitFor();
    const grid = shown.getByRole('treegrid');
    expect(await grid.getAttribute('aria-rowcount')).toBe('10001');
    expect(await rows(shown).first().textContent()).toContain('10.1.0.0:20000');
    await grid.hover();
    await shown.mouse.wheel(0, 1e7);
    await shown.locator('#row-5000').waitFor();
    expect(await rows(shown).count()).toBeLessThan(60);

    const [control] = view.flowTable as [ControlFlow];
    const fresh = { ...control, id: '20001', created: new Date().toISOString(), detail: { user: 'mallory' } };
    await shown.mouse.wheel(0, -1e7);
    view.flowTable = [...view.flowTable, fresh];
    view.emit({ time: fresh.created, type: 'control.new', flow: fresh });
    await shown.locator('#row-20001').filter({ hasText: 'mallory' }).waitFor();
    expect(await grid.getAttribute('aria-rowcount')).toBe('10002');
    expect(faults).toEqual([]);
    await shown.close();
  });

  it('are found by filters that stand in the address', async () => {
    const { page: shown } = await page(address);
    await shown.getByLabel('Find sessions').fill('10.1.3.7:');
    await shown.getByText(/^1 of 500\d sessions$/).waitFor();
    await shown.getByLabel('Related flows').uncheck();
    await shown.getByRole('button', { name: 'All', exact: true }).click();
    expect(new URL(shown.url()).search).toBe('?q=10.1.3.7%3A&show=all&tree=no');
    await shown.reload();
    await eventually(
      async () => ((await rows(shown).count()) === 1 ? true : undefined),
      () => 'the filter did not outlive a reload',
    );
    expect(await shown.getByLabel('Find sessions').inputValue()).toBe('10.1.3.7:');
    await shown.close();
  });

  it('can be walked through with the keyboard alone', async () => {
    const { page: shown } = await page(address);
    await rows(shown).first().waitFor();
    const grid = shown.getByRole('treegrid');
    const active = async () => (await grid.getAttribute('aria-activedescendant')) ?? '';
    await grid.focus();
    await shown.keyboard.press('ArrowDown');
    const first = await active();
    await shown.keyboard.press('ArrowLeft');
    await shown.locator(`#${first}[aria-expanded=false]`).waitFor();
    await shown.keyboard.press('ArrowRight');
    await shown.locator(`#${first}[aria-expanded=true]`).waitFor();
    await shown.keyboard.press('End');
    await shown.locator('#row-flow-15000.active').waitFor();
    await shown.keyboard.press('Home');
    await shown.locator(`#${first}.active`).waitFor();
    await shown.keyboard.press('Enter');
    await shown.getByRole('complementary').waitFor();
    expect(shown.url()).toContain(`session=${first.replace('row-', '')}`);
    await shown.keyboard.press('Escape');
    await shown.getByRole('complementary').waitFor({ state: 'detached' });
    await shown.keyboard.press('/');
    await shown.keyboard.type('10.1.9.9:');
    await shown.getByText('1 of ').waitFor();
    await shown.close();
  });

  it.each(['light', 'dark'] as const)('are %s where the system is, and readable with aids', async (colorScheme) => {
    const { page: shown, faults } = await page(`${address}?session=7`, { colorScheme });
    await shown.getByRole('complementary').waitFor();
    const light = async () => {
      const colour = await shown.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      return Number(/\d+/.exec(colour)?.[0]) > 128;
    };
    expect(await light()).toBe(colorScheme === 'light');
    expect(await accessibilityProblems(shown)).toEqual([]);
    for (const name of ['Charts', 'Events', 'System']) {
      await shown.getByRole('button', { name }).click();
      if (name === 'Charts') await shown.locator('figure canvas').first().waitFor();
      expect(await accessibilityProblems(shown), name).toEqual([]);
    }
    await shown.getByRole('button', { name: /theme/ }).click();
    await shown.reload();
    await shown.getByRole('main').waitFor();
    expect(await light()).toBe(colorScheme === 'dark');
    expect(faults).toEqual([]);
    await shown.close();
  });

  it('are behind a page that asks for the token, where one is configured', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'relatd-dashboard-'));
    const tokenFile = join(directory, 'token');
    writeFileSync(tokenFile, 'c0ffee00c0ffee00c0ffee00c0ffee00\n', { mode: 0o600 });
    const server = await listenMetrics({ address: '127.0.0.1', port: 0, tokenFile, dashboard: builtDashboard() });
    server.serve(view);
    try {
      const { page: shown } = await page(`http://${server.address}/?q=10.1.3.7:`);
      expect(await accessibilityProblems(shown)).toEqual([]);
      await shown.getByLabel('Token').fill('guess');
      await shown.keyboard.press('Enter');
      await shown.getByRole('alert').waitFor();
      await shown.getByLabel('Token').fill('c0ffee00c0ffee00c0ffee00c0ffee00');
      await shown.keyboard.press('Enter');
      await shown.getByText('1 of 500').waitFor();
      await shown.close();
    } finally {
      await server.close();
      rmSync(directory, { recursive: true });
    }
  });
});

describe('a real daemon', () => {
  it('shows an FTP session from its announcement to its end', async () => {
    const address = `127.0.0.1:${String(await freePort())}`;
    await using lab = await Lab.create();
    await using _gateway = await startGateway(lab, { config: { ...defaultConfig, listen: { metrics: address } } });
    const server = await serve(lab.server);
    await using peer = await Peer.start(lab.client);
    const { page: shown, faults } = await page(`http://${address}/?show=all`);
    await shown.getByText('live', { exact: true }).waitFor();

    const ftp = await peer.connect(lab.server.ipv4, 2121);
    const ask = async (line: string, answer: RegExp): Promise<RegExpExecArray> => {
      await ftp.write(`${line}\r\n`);
      return ftp.waitFor(answer);
    };
    await ftp.waitFor(/^220 /);
    await ask(`USER ${alice.user}`, /^331 /m);
    await ask(`PASS ${alice.password}`, /^230 /m);
    await shown.locator('.row.control').filter({ hasText: ':2121' }).waitFor();
    const [, port] = await ask('EPSV', /^229 .*\(\|\|\|(\d+)\|\)/m);
    await shown
      .locator('.row.expected')
      .filter({ hasText: `:${String(port)}` })
      .waitFor();
    const data = await peer.connect(lab.server.ipv4, Number(port));
    await shown
      .locator('.row.related')
      .filter({ hasText: `:${String(port)}` })
      .waitFor();
    await ask('RETR down.bin', /^226 /m);
    await data.waitForEnd();
    await data.end();
    // Of the announcement that is refused: it names somebody else.
    await ask('PORT 10,9,9,9,130,1', /^[25]\d\d /m);
    await shown.locator('.row.control').first().click();
    const detail = shown.getByRole('complementary');
    await detail.getByText('alice RETR down.bin').first().waitFor();
    await detail.getByText('Announced: expected').waitFor();
    await detail.getByText('First packet: related').waitFor();
    await detail.getByText('Related flow ended').waitFor();
    await detail.getByText('Announced: refused').waitFor();
    await detail
      .getByText(/^2\d\d\.\d KiB in /)
      .first()
      .waitFor();

    // What a real daemon answers is what the document says, to the last field.
    for (const endpoint of [
      endpoints.flows,
      endpoints.expectations,
      endpoints.status,
      endpoints.counters,
      endpoints.history,
    ]) {
      const answer: unknown = await (await fetch(`http://${address}${endpoint.path}`)).json();
      expect(endpoint.answer.schema.parse(answer), endpoint.path).toEqual(answer);
    }
    const metrics = await (await fetch(`http://${address}/metrics`)).text();
    expect(metrics).toContain('relatd_related_flows_total{assignment="ftp-2121",helper="ftp"} 1\n');
    expect(metrics).not.toContain(lab.server.ipv4);

    await ftp.end();
    await detail.getByText('Control connection ended').waitFor();
    expect(faults).toEqual([]);
    await shown.close();
    await server.stop();
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  return typeof bound === 'object' && bound !== null ? bound.port : 0;
}

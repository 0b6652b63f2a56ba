// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Spread {
  median: number;
  lower: number;
  upper: number;
  count: number;
}
interface Target {
  target: string;
  reached: string;
  met: boolean;
}
interface Report {
  pid: number;
  scale: string;
  machine: { kernel: string };
  sections: {
    name: string;
    notes: string[];
    tables: {
      title: string;
      columns: string[];
      rows: { label: string; cells: (null | string | { value: Spread; unit: string })[] }[];
    }[];
    behind: string[];
    targets: Target[];
  }[];
  behind: string[];
  targets: Target[];
}

const script = fileURLToPath(new URL('../tools/bench.mjs', import.meta.url));
const run = promisify(execFile);
const pins = '/sys/fs/bpf/relatd';
const pinned = (): string[] => (existsSync(pins) ? readdirSync(pins).sort() : []);

describe('npm run bench, with counts too small for figures', () => {
  let directory = '';
  let before: string[] = [];
  let output = '';
  let report: Report;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'relatd-bench-'));
    before = pinned();
    const json = join(directory, 'report.json');
    ({ stdout: output } = await run(process.execPath, [script, '--smoke', '--json', json], { timeout: 280_000 }));
    report = JSON.parse(await readFile(json, 'utf8')) as Report;
  }, 300_000);
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  it('runs every section, each with rows as wide as its columns and figures that were measured', () => {
    expect(report.sections.map(({ name }) => name)).toEqual([
      ...[
        'testrun',
        'control',
        'forwarding',
        'announcements',
        'starts',
        'sessions',
        'crowd',
        'bulk',
        'push',
        'memory',
        'events',
      ],
    ]);
    for (const { name, tables } of report.sections) {
      expect(tables, name).not.toHaveLength(0);
      for (const { title, columns, rows } of tables) {
        expect(rows, title).not.toHaveLength(0);
        for (const { label, cells } of rows) {
          expect(cells, label).toHaveLength(columns.length);
          for (const cell of cells) {
            if (cell === null || typeof cell === 'string') continue;
            const { median, lower, upper, count } = cell.value;
            expect([median, lower, upper].every(Number.isFinite), `${title}, ${label}`).toBe(true);
            expect(lower).toBeLessThanOrEqual(upper);
            expect(count).toBeGreaterThan(0);
          }
        }
      }
    }
  });

  it('sets relatd beside netfilter and beside nothing, at several fills of the tables', () => {
    const columns = (name: string): string =>
      report.sections.find((section) => section.name === name)?.tables[0]?.columns.join('; ') ?? '';
    const labels = (name: string): string =>
      report.sections
        .find((section) => section.name === name)
        ?.tables.flatMap(({ rows }) => rows.map(({ label }) => label))
        .join('; ') ?? '';
    expect(columns('testrun')).toMatch(/empty tables.*full : empty/);
    expect(columns('forwarding')).toMatch(/^nothing; nothing, again; (relatd.*){3}netfilter; both$/);
    for (const name of ['announcements', 'sessions', 'bulk'])
      for (const variant of ['no tracking', 'netfilter', 'relatd']) expect(labels(name)).toContain(variant);
  });

  it('lets every session through', () => {
    const sessions = report.sections.find(({ name }) => name === 'sessions')?.tables[0];
    const failed = sessions?.columns.indexOf('failed') ?? -1;
    for (const { label, cells } of sessions?.rows ?? [])
      expect(cells[failed], label).toMatchObject({ value: { median: 0 } });
  });

  it('prints every target, with what was reached and whether that is enough', () => {
    expect(report.targets).toEqual(report.sections.flatMap(({ targets }) => targets));
    const without = report.sections.filter(({ targets }) => targets.length === 0).map(({ name }) => name);
    expect(without).toEqual([]);
    for (const { target, reached, met } of report.targets) {
      const line = output.split('\n').find((text) => text.includes(`| ${target} `));
      expect(line, target).toContain(reached);
      expect(line, target).toMatch(met ? /\| yes +\|$/ : /\| no +\|$/);
    }
  });

  it('meets the targets that no noise can excuse', () => {
    const certain = /data SYNs|stalls for|at most \d+ MB/;
    const missed = report.targets.filter(({ target, met }) => certain.test(target) && !met);
    expect(report.targets.filter(({ target }) => certain.test(target))).toHaveLength(4);
    expect(missed).toEqual([]);
  });

  it('names what is behind netfilter in its output', () => {
    expect(report.behind).toEqual(report.sections.flatMap(({ behind }) => behind));
    for (const line of report.behind) expect(output).toContain(`behind netfilter: ${line}`);
  });

  it('leaves no namespace and no pins', async () => {
    const { stdout } = await run('ip', ['netns', 'list']);
    expect(stdout).not.toContain(`relatd-${String(report.pid)}-`);
    // Other labs on this machine may have pins as well, but theirs go.
    const since = pinned().filter((name) => !before.includes(name));
    await expect.poll(() => pinned().filter((name) => since.includes(name)), { timeout: 50_000 }).toEqual([]);
  });

  it('refuses a section that there is not', async () => {
    await expect(run(process.execPath, [script, '--only', 'nonsense'])).rejects.toThrow(/there is no section nonsense/);
  });
});

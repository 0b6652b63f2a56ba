// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { defineConfig } from 'vitest/config';
import { packages } from './tools/house.mjs';

/** Tests see the sources of every workspace, not what was built last: an edit needs no build to be tested. */
const conditions = ['@relatd/source', 'module', 'node', 'import', 'default'];
const resolve = { conditions };
const ssr = { resolve: { conditions, externalConditions: ['node', 'import', 'default'] } };

/** @type {(name: string, root: string) => import('vitest/config').TestProjectInlineConfiguration} */
const unit = (name, root) => ({
  resolve,
  ssr,
  test: {
    name,
    root,
    include: ['**/*.test.ts'],
    exclude: ['dist/**', 'build/**', 'node_modules/**'],
    pool: 'forks',
    // None of them waits; a machine that is busy with something else is no reason to fail.
    testTimeout: 30_000,
  },
});

/** These look at what a packet's delay, or all of the machine's work, does to relatd: nothing runs beside them. */
const ALONE = ['withoutDaemon', 'race', 'flood', 'failures', 'bench', 'datapath/race'].map((name) => `${name}.test.ts`);

/**
 * Real namespaces, firewalls and CPU time: after all unit tests, and not more at once than two files, which each have
 * namespaces of their own.
 *
 * @type {(name: string, test: NonNullable<import('vitest/config').TestProjectInlineConfiguration['test']>) => import('vitest/config').TestProjectInlineConfiguration}
 */
const endToEnd = (name, { exclude = [], ...test }) => ({
  resolve,
  ssr,
  test: {
    name,
    root: 'test',
    include: ['**/*.test.ts'],
    exclude: ['dist/**', 'node_modules/**', ...exclude],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    ...test,
  },
});

export default defineConfig({
  test: {
    projects: [
      ...packages.map((name) => unit(name, `packages/${name}`)),
      unit('native', 'native'),
      unit('bpf', 'bpf'),
      unit('lab', 'tools/lab'),
      endToEnd('e2e', { exclude: ALONE, fileParallelism: true, maxWorkers: 2, sequence: { groupOrder: 1 } }),
      endToEnd('alone', { include: ALONE, fileParallelism: false, maxWorkers: 1, sequence: { groupOrder: 2 } }),
    ],
  },
});

// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { defineConfig } from 'vitest/config';

/** Tests see the sources of every workspace, not what was built last: an edit needs no build to be tested. */
const conditions = ['@relatd/source', 'module', 'node', 'import', 'default'];
const resolve = { conditions };
const ssr = { resolve: { conditions, externalConditions: ['node', 'import', 'default'] } };

/** @type {(name: string, root: string) => import('vitest/config').TestProjectInlineConfiguration} */
const unit = (name, root) => ({
  resolve,
  ssr,
  test: { name, root, include: ['**/*.test.ts'], exclude: ['dist/**', 'build/**', 'node_modules/**'], pool: 'forks' },
});

export default defineConfig({
  test: {
    projects: [
      ...[
        'model',
        'document',
        'grammar',
        'helpers',
        'config',
        'datapath',
        'engine',
        'client',
        'api',
        'dashboard',
        'cli',
      ].map((name) => unit(name, `packages/${name}`)),
      unit('native', 'native'),
      unit('bpf', 'bpf'),
      unit('lab', 'tools/lab'),
      {
        resolve,
        ssr,
        test: {
          name: 'e2e',
          root: 'test',
          include: ['**/*.test.ts'],
          exclude: ['dist/**', 'node_modules/**'],
          pool: 'forks',
          // Real namespaces, firewalls and CPU time: one file at a time, after all unit tests.
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});

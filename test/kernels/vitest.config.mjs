// SPDX-License-Identifier: Apache-2.0
// @ts-check
// The project e2e in a guest in which code is translated: time for everything, and as many files at once as there are
// processors, which the datapath's unit tests do not mind. Used by tools/kernels.mjs alone.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import config from '../../vitest.config.mjs';

const e2e = (config.test?.projects ?? []).find(
  (project) => typeof project === 'object' && 'test' in project && project.test?.name === 'e2e',
);
if (typeof e2e !== 'object' || !('test' in e2e)) throw new Error('vitest.config.mjs has no project e2e');
const patience = 600_000;

export default defineConfig({
  ...e2e,
  test: {
    ...e2e.test,
    root: fileURLToPath(new URL('..', import.meta.url)),
    // Those that run alone elsewhere too.
    exclude: ['dist/**', 'node_modules/**'],
    testTimeout: patience,
    hookTimeout: patience,
    fileParallelism: true,
    maxWorkers: availableParallelism(),
  },
});

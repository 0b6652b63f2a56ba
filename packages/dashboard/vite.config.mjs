// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { defineConfig } from 'vite';

export default defineConfig({
  resolve: { conditions: ['@relatd/source', 'module', 'browser', 'import', 'default'] },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  server: { proxy: { '/v1': 'http://127.0.0.1:9469' } },
  build: {
    outDir: 'dist/app',
    // What an older build left must not be served.
    emptyOutDir: true,
    target: 'es2023',
    // The policy admits no inline data, and what is cached for ever has its hash in its name.
    assetsInlineLimit: 0,
    modulePreload: false,
    license: { fileName: 'licenses.md' },
  },
});

// SPDX-License-Identifier: Apache-2.0
// @ts-check
import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { packages } from './tools/house.mjs';

/** Only the datapath touches the addon and the BPF object. */
const belowDatapath = ['@relatd/native', '@relatd/bpf'];

/** @type {import('eslint').Linter.Config[]} */
const layers = packages.map((name, index) => {
  const above = packages.slice(index + 1).map((other) => `@relatd/${other}`);
  const group = name === 'datapath' ? above : [...above, ...belowDatapath];
  const message = 'A package imports only those below it; nothing but the datapath touches the addon.';
  return {
    name: `relatd/layer/${name}`,
    files: [`packages/${name}/src/**/*.{ts,tsx}`],
    ignores: ['**/*.test.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [{ group: group.flatMap((item) => [item, `${item}/*`]), message }] },
      ],
    },
  };
});

export default defineConfig(
  globalIgnores(['**/dist/', '**/build/', '**/generated/', '.cache/', '.nx/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    name: 'relatd/typescript',
    files: ['**/*.{ts,tsx}'],
    extends: [eslint.configs.recommended, tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Export it by name.' },
        { selector: 'TSEnumDeclaration', message: 'Use a union of literals.' },
      ],
      eqeqeq: 'error',
    },
  },
  ...layers,
  {
    name: 'relatd/tests',
    files: ['**/*.test.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    // Their types are checked by `tsc -p tsconfig.tools.json`.
    name: 'relatd/scripts',
    files: ['**/*.{js,mjs}'],
    extends: [eslint.configs.recommended],
    rules: { 'no-undef': 'off', eqeqeq: 'error' },
  },
);

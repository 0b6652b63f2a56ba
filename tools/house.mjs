// SPDX-License-Identifier: Apache-2.0
// @ts-check

/** The packages from the bottom of the house to its top: one imports only those before it. */
export const packages = [
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
];

// SPDX-License-Identifier: Apache-2.0
import { ftp } from './ftp/index.js';
import type { Helper } from './helper.js';

export * from './helper.js';
export { ftp };

/** The helpers of this version by name. */
export const helpers: ReadonlyMap<string, Helper> = new Map([ftp].map((helper) => [helper.name, helper]));

// SPDX-License-Identifier: Apache-2.0
import { ftp } from './ftp/index.js';
import type { Helper } from './helper.js';
import { irc } from './irc/index.js';
import { tftp } from './tftp/index.js';

export { definedHelper } from './defined.js';
export { definitions } from './definitions.js';
export * from './helper.js';
export { ftp, irc, tftp };

/** The helpers of this version by name. */
export const helpers: ReadonlyMap<string, Helper> = new Map([ftp, irc, tftp].map((helper) => [helper.name, helper]));

// SPDX-License-Identifier: Apache-2.0
import type { Helper, Parser, ParserOptions } from '../helper.js';
import { Dialogue } from './dialogue.js';

/** FTP: RFC 959, 1123 (4.1), 2228, 2428, 4217. One live announcement and 300 s, as netfilter has it. */
export const ftp = {
  name: 'ftp',
  create: (options?: ParserOptions): Parser => new Dialogue(options),
} as const satisfies Helper;

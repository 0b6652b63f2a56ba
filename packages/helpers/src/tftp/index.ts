// SPDX-License-Identifier: Apache-2.0
import type { Helper, Parser, ParserOptions } from '../helper.js';
import { Requests } from './requests.js';

/**
 * TFTP: RFC 1350 (4: the server answers from a port of its own choice to the port that the request came from; 5: the packets), RFC 2347
 * (options, and the size of a request). A request is answered at once or sent again within seconds, so its expectation lives
 * for 30 s, not for netfilter's 300.
 */
export const tftp = {
  name: 'tftp',
  create: (options?: ParserOptions): Parser => new Requests(options),
} as const satisfies Helper;

// SPDX-License-Identifier: Apache-2.0
import type { Helper, Parser, ParserOptions } from '../helper.js';
import { Dialogue } from './dialogue.js';

/**
 * IRC and its DCC: RFC 1459 and 2812 (2.3: messages; 3.1: registration; 3.3: PRIVMSG and NOTICE), IRCv3 message tags, capability
 * negotiation and STARTTLS, CTCP and DCC (no RFC: draft-oakley-irc-ctcp; the DCC specification of 1994). Eight live announcements
 * and 300 s, as netfilter has it.
 */
export const irc = {
  name: 'irc',
  create: (options?: ParserOptions): Parser => new Dialogue(options),
} as const satisfies Helper;

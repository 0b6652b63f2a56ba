// SPDX-License-Identifier: Apache-2.0
import { iptablesRules, nftRules } from '@relatd/config';
import { DEFAULT_CONFIG, type Run } from '../commands.js';
import { configuration } from '../configuration.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';
import { valueOf } from '../list.js';

/** `relatd rules nft|iptables`: rules to paste, for INPUT and FORWARD. */
export const run: Run = async (context, { arguments: [syntax], options }) => {
  const config = await configuration(valueOf(options['config']) ?? DEFAULT_CONFIG, context);
  const rules = syntax === 'nft' ? nftRules(config) : iptablesRules(config);
  await print(context.stdout, rules.trimEnd());
  return EXIT_DONE;
};

// SPDX-License-Identifier: Apache-2.0
import { commands, type Run } from '../commands.js';
import { bashCompletion } from '../completion/bash.js';
import { fishCompletion } from '../completion/fish.js';
import { zshCompletion } from '../completion/zsh.js';
import { EXIT_DONE } from '../failure.js';

const made = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** `relatd completion SHELL`: prints what that shell reads to complete command lines of `relatd`. */
export const run: Run = (context, { arguments: [shell] }) => {
  // The parser admits no other word.
  context.stdout.stream.write(made[shell as keyof typeof made](commands));
  return Promise.resolve(EXIT_DONE);
};

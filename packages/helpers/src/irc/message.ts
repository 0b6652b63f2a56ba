// SPDX-License-Identifier: Apache-2.0

/** A message as far as its command. */
export interface Message {
  /** Letters in capitals, or three digits. */
  readonly command: string;
  /** What stands behind the command: nothing, or a space and more. */
  readonly parameters: string;
}

const MESSAGE = /^(?:@[^ ]+ +)?(?::[^ ]+ +)?([A-Za-z]+|[0-9]{3})(?= |$)/;

/**
 * Reads a line (RFC 2812, 2.3.1; IRCv3 message tags): `[@tags SPACE] [:prefix SPACE] command`, then its end or a space. Several spaces count
 * as one. Null: no message.
 */
export function readMessage(line: string): Message | null {
  const match = MESSAGE.exec(line);
  if (match === null) return null;
  const [head, command = ''] = match;
  return { command: command.toUpperCase(), parameters: line.slice(head.length) };
}

/** Whether a line has a prefix, whatever comes behind it. */
export function hasPrefix(line: string): boolean {
  return /^(?:@[^ ]+ +)?:/.test(line);
}

/** Whether a client's line may begin so: with a command, tags or a prefix. A CR may belong to an empty line. */
export function mayBegin(byte: number): boolean {
  const letter = (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
  return letter || byte === 0x40 || byte === 0x3a || byte === 0x0d;
}

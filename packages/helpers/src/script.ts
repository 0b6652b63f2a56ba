// SPDX-License-Identifier: Apache-2.0
// What the tests share: dialogues as text, in the format of captures/README.md.
import { formatAddress, type FlowDetail } from '@relatd/model';
import type { Direction, Fact, Parser } from './helper.js';
import { ftp } from './ftp/index.js';

/** One TCP segment of a dialogue. */
export interface Segment {
  readonly direction: Direction;
  readonly bytes: Uint8Array;
}

const ESCAPES: Readonly<Record<string, string>> = { r: '\r', n: '\n', '\\': '\\' };

/** Bytes of text in which `\r`, `\n`, `\\` and `\xNN` are escaped. */
export function unescaped(text: string): Uint8Array {
  const plain = text.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, letter: string) =>
    hex === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(parseInt(hex, 16)),
  );
  return Buffer.from(plain, 'latin1');
}

/** Reads a recorded dialogue. */
export function segments(recording: string): Segment[] {
  const lines = recording.split('\n').filter((line) => line !== '');
  return lines.map((line) => ({
    direction: line.startsWith('C: ') ? 'original' : 'reply',
    bytes: unescaped(line.slice(3)),
  }));
}

/** A dialogue of whole lines, `C: PASV` without its CRLF. */
export function dialogue(lines: readonly string[]): Segment[] {
  return segments(lines.map((line) => `${line}\\r\\n`).join('\n'));
}

/** Feeds segments to a parser, by default a new one. */
export function facts(dialogue: readonly Segment[], parser: Parser = ftp.create()): Fact[] {
  return dialogue.flatMap(({ direction, bytes }) => parser.feed(direction, bytes));
}

/** A fact on one line, without its offsets. */
export function summary(fact: Fact): string {
  switch (fact.kind) {
    case 'announce': {
      const { direction, family, address, port, from, detail } = fact;
      const host = address === null ? 'own' : formatAddress(address);
      const purpose = detail === null ? '' : ` ${purposeOf(detail)}`;
      const place = `${family === null ? '-' : String(family)} ${host} ${port === null ? 'own' : String(port)}`;
      return `announce ${direction} ${place}${from === 'anyone' ? ' anyone' : ''}${purpose}`;
    }
    case 'refuse':
      return `refuse ${fact.direction} ${fact.reason}`;
    case 'detail':
      return `detail ${purposeOf(fact.detail)}`;
    case 'abandon':
      return `abandon ${fact.reason}`;
    case 'withdraw':
    case 'encrypted':
      return fact.kind;
  }
}

function purposeOf({ user, command, argument }: FlowDetail): string {
  return [user, command, argument].map((word) => String(word ?? '-')).join(',');
}

/** All facts of a dialogue, one line each. */
export function summaries(dialogue: readonly Segment[], parser?: Parser): string[] {
  return facts(dialogue, parser).map(summary);
}

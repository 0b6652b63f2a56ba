// SPDX-License-Identifier: Apache-2.0
import type { Random } from './random.js';
import { cased, client, server, words, type Piece } from './piece.js';

/** Requests and other datagrams, each of them one piece. */
export function tftpScript(random: Random): Piece[] {
  const pieces: Piece[] = [client(datagram(random))];
  for (let count = random.int(6); count > 0; count--)
    pieces.push(random.chance(0.85) ? client(datagram(random)) : server(datagram(random)));
  return pieces;
}

function datagram(random: Random): string {
  if (random.odd(0.1)) return random.bytes(random.int(40));
  const opcode = random.choose(
    ['\0\x01', '\0\x02'],
    ['\0\x03\0\x01', '\0\x04', '\0\x06', '\x01\x01', '\0', '', '\0\0'],
    0.1,
  );
  const name = random.choose(['file'], ['', words(random), 'x'.repeat(random.between(480, 520)), '\xff\r\n'], 0.1);
  const mode = cased(
    random,
    random.choose(['octet', 'netascii', 'mail'], ['', 'text', 'octe', 'octets', ' octet'], 0.15),
  );
  let text = `${opcode}${name}\0${mode}\0`;
  for (let count = random.few(4); count > 0; count--)
    text += `${random.choose(['blksize', 'tsize', 'timeout'], ['x', ''], 0.2)}\0${random.choose(['0', '1428', '512'], ['', 'x'], 0.2)}\0`;
  if (!random.odd(0.1)) return text;
  return random.pick([text.slice(0, -1), text.slice(0, random.int(text.length + 1)), `${text}x`, `${text}\0`]);
}

/** Pieces of requests. */
export const TFTP_SHARDS: readonly string[] =
  '\0\x01~\0\x02~file\0~octet\0~NETASCII\0~\0~x~blksize\0~512\0~\xff~\0\x01f\0mail\0'.split('~');

// SPDX-License-Identifier: Apache-2.0
import type { RefusalReason } from '../helper.js';

/** What a client asks for. */
export interface Request {
  readonly command: 'RRQ' | 'WRQ';
  /** One character per byte (Latin-1). */
  readonly fileName: string;
}

/** RFC 2347, "Packet Formats": the maximum size of a request packet is 512 octets. */
export const REQUEST_LIMIT = 512;

/** RFC 1350, 5. */
const COMMANDS: ReadonlyMap<number, Request['command']> = new Map([
  [1, 'RRQ'],
  [2, 'WRQ'],
]);

/** RFC 1350, 1: in any combination of upper and lower case. */
const MODE = /^(?:netascii|octet|mail)$/i;

/**
 * Reads a request (RFC 1350, 5; options: RFC 2347): opcode, file name, mode, then names and values of options, each of them with a NUL
 * behind it, up to the datagram's end. A value may be empty, nothing else. Null: no request.
 */
export function readRequest(datagram: Uint8Array): Request | RefusalReason | null {
  const [high, low] = datagram;
  const command = high === 0 && low !== undefined ? COMMANDS.get(low) : undefined;
  if (command === undefined) return null;
  if (datagram.length > REQUEST_LIMIT) return 'line-too-long';
  const fields = fieldText(datagram).split('\0');
  // What stands behind the last NUL.
  if (fields.pop() !== '') return 'bad-syntax';
  const [fileName = '', mode = '', ...options] = fields;
  if (fileName === '' || !MODE.test(mode)) return 'bad-syntax';
  const named = options.every((field, index) => index % 2 === 1 || field !== '');
  return named && options.length % 2 === 0 ? { command, fileName } : 'bad-syntax';
}

/** Everything behind the opcode, as far as a request may go. */
export function fieldText(datagram: Uint8Array): string {
  return Buffer.from(datagram.subarray(2, REQUEST_LIMIT)).toString('latin1');
}

// SPDX-License-Identifier: Apache-2.0
import { parseAddress, type AddressBytes } from '@relatd/model';
import type { RefusalReason } from '../helper.js';

/** Where the announcer waits. Nulls: as the control connection. */
export interface Place {
  readonly family: 4 | 6 | null;
  readonly address: AddressBytes | null;
  readonly port: number;
}

// Everywhere: what two readers could take for different places is refused, never guessed. An honest peer loses nothing that
// netfilter would have given it, and the line goes on to the other side in any case.

/** RFC 959, 5.3.2: six decimal numbers. Leading zeros are decimal there; many servers read a space behind a comma over. */
const HOST_PORT = /^(\d+), *(\d+), *(\d+), *(\d+), *(\d+), *(\d+)/;

function hostPort(match: RegExpExecArray): Place | RefusalReason {
  const numbers = match.slice(1).map(Number);
  if (numbers.some((number) => number > 255)) return 'bad-octet';
  const [a = 0, b = 0, c = 0, d = 0, high = 0, low = 0] = numbers;
  const port = 256 * high + low;
  return port === 0 ? 'port-zero' : { family: 4, address: mapped(a, b, c, d), port };
}

/** The argument of PORT (RFC 959, 4.1.2), spaces around it allowed. */
export function readPort(argument: string): Place | RefusalReason {
  const text = trim(argument);
  const match = HOST_PORT.exec(text);
  return match?.[0].length === text.length ? hostPort(match) : 'bad-syntax';
}

/**
 * The text of a 227. RFC 959 does not say where the numbers stand, servers leave the parentheses out or write `=`:
 * RFC 1123, 4.1.2.6 has clients look for the first digit. The six numbers begin there, and no comma follows the last. A
 * digit earlier in the text is refused: some clients would look on.
 */
export function readPassive(text: string): Place | RefusalReason {
  const start = text.search(/\d/);
  const rest = start < 0 ? '' : text.slice(start);
  const match = HOST_PORT.exec(rest);
  return match === null || rest[match[0].length] === ',' ? 'bad-syntax' : hostPort(match);
}

/**
 * The argument of EPRT (RFC 2428, 2): `|1|132.235.1.2|6275|`. Any printable character but a digit can be the delimiter, which
 * then cannot stand in the address.
 */
export function readExtendedPort(argument: string): Place | RefusalReason {
  const text = trim(argument);
  const fields = text.split(delimiter(text));
  const [before, protocol = '', address = '', port = '', after] = fields;
  if (fields.length !== 5 || before !== '' || after !== '' || address === '') return 'bad-syntax';
  return place(protocol, address, port);
}

/**
 * The text of a 229 (RFC 2428, 3): `(|||6446|)` behind the first parenthesis. RFC 2428 wants the first two fields empty and keeps
 * them for later; where a server fills them in they count, so that the engine can check the address: a client that uses
 * it and a client that does not must come to the same place. An address alone, without its protocol, is refused.
 */
export function readExtendedPassive(text: string): Place | RefusalReason {
  const rest = text.slice(text.indexOf('(') + 1 || text.length);
  const fields = rest.split(delimiter(rest));
  const [before, protocol = '', address = '', port = ''] = fields;
  // Not split away: the delimiter may be `)` itself.
  const closed = rest[1 + protocol.length + 1 + address.length + 1 + port.length + 1] === ')';
  if (fields.length < 5 || before !== '' || !closed) return 'bad-syntax';
  return place(protocol, address, port);
}

/** EPSV's argument asks for a family (RFC 2428, 3); null without one. */
export function familyAsked(argument: string | null): 4 | 6 | null {
  const text = argument === null ? '' : trim(argument);
  return text === '1' ? 4 : text === '2' ? 6 : null;
}

function place(protocol: string, address: string, portText: string): Place | RefusalReason {
  const port = portNumber(portText);
  if (protocol === '' && address === '') {
    return typeof port === 'string' ? port : { family: null, address: null, port };
  }
  if (!/^\d+$/.test(protocol)) return 'bad-syntax';
  // Address Family Numbers of IANA: 1 is IPv4, 2 is IPv6.
  if (protocol !== '1' && protocol !== '2') return 'bad-family';
  const family = protocol === '1' ? 4 : 6;
  const bytes = address === '' ? null : family === 4 ? dotted(address) : colons(address);
  if (typeof bytes === 'string') return bytes;
  return typeof port === 'string' ? port : { family, address: bytes, port };
}

function portNumber(text: string): number | RefusalReason {
  if (!/^\d+$/.test(text)) return 'bad-syntax';
  const port = Number(text);
  if (port === 0) return 'port-zero';
  return port > 65535 ? 'bad-port' : port;
}

/** Leading zeros are refused: half of the readers take such a number for octal. */
function dotted(text: string): AddressBytes | RefusalReason {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (match === null) return 'bad-syntax';
  if (match.slice(1).some((number) => Number(number) > 255)) return 'bad-octet';
  return parseAddress(text) ?? 'bad-syntax';
}

/** RFC 4291, 2.2: all spellings, a dotted end included; no zone. */
function colons(text: string): AddressBytes | RefusalReason {
  return (text.includes(':') ? parseAddress(text) : null) ?? 'bad-syntax';
}

/** The delimiter that a text begins with, as something to split by; a text that begins with none is not split. */
function delimiter(text: string): string | RegExp {
  const first = text.charAt(0);
  return /[!-~]/.test(first) && !/\d/.test(first) ? first : /(?!)/;
}

function mapped(a: number, b: number, c: number, d: number): AddressBytes {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d);
}

function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text[start] === ' ') start++;
  while (end > start && text[end - 1] === ' ') end--;
  return text.slice(start, end);
}

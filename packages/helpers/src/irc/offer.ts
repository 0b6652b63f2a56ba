// SPDX-License-Identifier: Apache-2.0
import { parseAddress, type AddressBytes } from '@relatd/model';
import type { RefusalReason } from '../helper.js';

/** A client's offer to be connected to. */
export interface Offer {
  readonly command: `DCC ${string}`;
  /** One character per byte (Latin-1), without quotes. Null: it is no file that is offered. */
  readonly fileName: string | null;
  readonly address: AddressBytes;
  readonly port: number;
}

/** Delimits CTCP within a message's text; the one at the end may be missing. */
const CTCP = '\x01';

const OFFER = /^DCC +(T?SEND|S?CHAT) +/i;
const ARGUMENTS = /^(?:"([^"]*)"|([^ "]+)) +([^ ]+) +([0-9]{1,5})/;

/**
 * Reads the parameters of a PRIVMSG or NOTICE: a target (which no colon begins, RFC 2812, 2.3.1), then CTCP from the text's
 * first byte on: `DCC type name address port`, where the type is SEND, TSEND, CHAT or SCHAT, a name with spaces stands in quotes, and the
 * port is followed by the end, by a space and anything (a size, say), or by CTCP's end. Null: no offer, or a passive one (port 0), which
 * the other side will answer with an address of its own.
 */
export function readOffer(parameters: string, truncated: boolean): Offer | RefusalReason | null {
  const target = /^ +[^ :][^ ]* +:?/.exec(parameters);
  if (target === null || parameters[target[0].length] !== CTCP) return null;
  const text = parameters.slice(target[0].length + 1);
  const head = OFFER.exec(text);
  if (head === null) return null;
  if (truncated) return 'line-too-long';
  return readArguments(head[1]?.toUpperCase() ?? '', text.slice(head[0].length));
}

function readArguments(type: string, text: string): Offer | RefusalReason | null {
  const match = ARGUMENTS.exec(text);
  if (match === null) return 'bad-syntax';
  const [all, quoted, word = '', addressText = '', portText = ''] = match;
  const behind = text[all.length];
  if (word.includes(CTCP) || (behind !== undefined && behind !== ' ' && behind !== CTCP)) return 'bad-syntax';
  const address = readAddress(addressText);
  if (typeof address === 'string') return address;
  const port = Number(portText);
  if (port === 0) return null;
  if (port > 65535) return 'bad-port';
  const fileName = type.endsWith('CHAT') ? null : (quoted ?? word);
  return { command: `DCC ${type}`, fileName, address, port };
}

/** An IPv4 address is one decimal number (CTCP, "DCC"); IPv6 as in RFC 4291, 2.2: all spellings, a dotted end included. */
function readAddress(text: string): AddressBytes | RefusalReason {
  if (!/^[0-9]{1,10}$/.test(text)) return (text.includes(':') ? parseAddress(text) : null) ?? 'bad-syntax';
  const number = Number(text);
  if (number > 0xffffffff) return 'bad-octet';
  const bytes = new Uint8Array(16).fill(0xff, 10, 12);
  new DataView(bytes.buffer).setUint32(12, number);
  return bytes;
}

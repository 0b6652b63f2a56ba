// SPDX-License-Identifier: Apache-2.0
import { formatAddress, parseAddress } from './address.js';
import type { Endpoint } from './text.js';

/** `10.0.1.2:4000`, `10.0.1.2`, `[2001:db8::1]:4000`, `2001:db8::1`, `[2001:db8::1]`. */
const BRACKETED = /^\[([^\]]*)\](?::(\d{1,5}))?$/;
const DOTTED = /^([^:]*):(\d{1,5})$/;

/** Reads an address with or without a port, in any legal spelling; the port is null where there is none. Null: it is neither. */
export function parseEndpoint(text: string): Endpoint | null {
  const [, address = text, port] = BRACKETED.exec(text) ?? DOTTED.exec(text) ?? [];
  const bytes = parseAddress(address);
  if (bytes === null || (text.startsWith('[') && !address.includes(':'))) return null;
  const number = port === undefined ? null : Number(port);
  if (number !== null && (number < 1 || number > 65_535)) return null;
  return { address: formatAddress(bytes), port: number };
}

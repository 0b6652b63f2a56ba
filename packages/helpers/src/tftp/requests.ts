// SPDX-License-Identifier: Apache-2.0
import { shown } from '../text.js';
import type { Direction, Fact, Parser, ParserOptions } from '../helper.js';
import { fieldText, readRequest } from './request.js';

/**
 * What a client sends to a server's port. A request is a whole datagram and depends on nothing before it: trusted is a datagram of the
 * client's that is a request from its first byte to its last. What a server sends from this port means nothing: it answers
 * from another one (RFC 1350, 4).
 */
export class Requests implements Parser {
  #recognised: boolean;

  constructor({ adopted = false }: ParserOptions = {}) {
    this.#recognised = adopted;
  }

  /** A well-formed request was seen. */
  get recognised(): boolean {
    return this.#recognised;
  }

  feed(direction: Direction, datagram: Uint8Array): readonly Fact[] {
    if (direction === 'reply') return [];
    const request = readRequest(datagram);
    if (request === null) return [];
    const span = { direction, start: 0, end: datagram.length };
    if (typeof request === 'string')
      return [{ kind: 'refuse', ...span, reason: request, text: shown(fieldText(datagram)) }];
    this.#recognised = true;
    const detail = { user: null, command: request.command, argument: shown(request.fileName) };
    const place = { family: null, address: null, port: null };
    return [{ kind: 'announce', ...span, protocol: 'udp', ...place, from: 'peer', detail }];
  }

  /** No datagram depends on another one. */
  resync(): void {
    // Nothing is kept.
  }
}

// SPDX-License-Identifier: Apache-2.0
import { shown } from '../text.js';
import type { AbandonReason, Direction, Fact, Parser, ParserOptions, Resumption } from '../helper.js';
import { LineCutter, type TextLine } from '../lineCutter.js';
import { hasPrefix, mayBegin, readMessage } from './message.js';
import { readOffer } from './offer.js';

/** `opening`: the server has not welcomed the client yet. `over`: encrypted or given up. */
type Phase = 'opening' | 'registered' | 'over';

/** Bytes of a line that are kept: 8191 of tags (IRCv3 message tags, "Size limit") and 512 of the rest (RFC 2812, 2.3), rounded up. */
export const LINE_LIMIT = 8192 + 512;

/**
 * What a client says before it is welcomed: RFC 2812, 3.1; IRCv3 capability negotiation, SASL, STARTTLS; WEBIRC for gateways. irssi sends
 * `JOIN :` behind CAP, to learn from the error whether the server knows CAP.
 */
const CLIENT_OPENS: ReadonlySet<string> = new Set(
  'CAP PASS NICK USER AUTHENTICATE WEBIRC PONG QUIT STARTTLS JOIN'.split(' '),
);

/** What a server says without a prefix before it welcomes a client. */
const SERVER_OPENS: ReadonlySet<string> = new Set('NOTICE PING ERROR AUTHENTICATE CAP'.split(' '));

/** RFC 2812, 5.1: registration is complete. */
const RPL_WELCOME = '001';
/** IRCv3 STARTTLS: the next byte is TLS. */
const RPL_STARTTLS = '670';

/**
 * One control connection. What makes it trusted:
 *
 * - Every line of the client's is one of those that register, until the server has welcomed it. The first line of what a browser can
 *   be made to send (`POST / HTTP/1.1`, a TLS record) ends it.
 * - Every line of the server's until then has a prefix or is one of those that come without.
 * - The server welcomes the client (001), and not before the client has said something: it has understood.
 *
 * From then on the client's PRIVMSG and NOTICE announce, if they are offers of DCC from the first byte of their text on. What the server
 * says means nothing: offers in it are those of others, and where these wait is for their own networks to know. A line with a NUL byte
 * in it is ignored, because no IRC message has one (RFC 2812, 2.3.1).
 *
 * Whoever the server hands the offer to will connect, from an address that nobody here can know.
 */
export class Dialogue implements Parser {
  readonly #lines = { original: new LineCutter(LINE_LIMIT), reply: new LineCutter(LINE_LIMIT) };
  #phase: Phase = 'opening';
  #gap = false;
  /** The client has said something. */
  #spoken = false;
  /** It was STARTTLS, among others. */
  #tlsAsked = false;
  #nick: string | null = null;

  /** Adopted, the first line may be the end of one whose beginning was missed. What is no offer means nothing in any case. */
  constructor({ adopted = false }: ParserOptions = {}) {
    if (adopted) this.#phase = 'registered';
  }

  /** The server has welcomed the client. */
  get recognised(): boolean {
    return this.#is('registered');
  }

  feed(direction: Direction, bytes: Uint8Array): readonly Fact[] {
    const facts: Fact[] = [];
    if (this.#is('over')) return facts;
    if (this.#gap) {
      this.#abandon('gap', facts);
      return facts;
    }
    if (direction === 'reply' && this.#is('registered')) return facts;
    const lines = this.#lines[direction];
    lines.push(bytes);
    for (let line = lines.next(); line !== null; line = lines.next()) {
      if (direction === 'original') this.#clientLine(line, facts);
      else this.#serverLine(line, facts);
      if (this.#is('over') || (direction === 'reply' && this.#is('registered'))) return facts;
    }
    if (direction === 'original' && lines.firstByte >= 0) this.#beginningOf(lines.firstByte, facts);
    return facts;
  }

  resync(direction: Direction, resumption?: Resumption): void {
    this.#lines[direction].resume(resumption);
    if (this.#is('opening')) this.#gap = true;
  }

  /** A method, because TypeScript would not believe that calls between two comparisons can change the phase. */
  #is(phase: Phase): boolean {
    return this.#phase === phase;
  }

  /** Judges a client's line by its first byte, because other protocols may never send an LF. */
  #beginningOf(byte: number, facts: Fact[]): void {
    if (this.#is('opening') && !mayBegin(byte)) this.#abandon('not-protocol', facts);
  }

  #clientLine(line: TextLine, facts: Fact[]): void {
    if (line.text === '') return;
    // As if it had come in two segments.
    this.#beginningOf(line.text.charCodeAt(0), facts);
    if (line.nul || this.#is('over')) return;
    const message = readMessage(line.text);
    if (this.#is('opening')) {
      if (message === null || !CLIENT_OPENS.has(message.command)) return this.#abandon('not-protocol', facts);
      this.#spoken = true;
      if (message.command === 'STARTTLS') this.#tlsAsked = true;
    }
    if (message === null) return;
    const { command, parameters } = message;
    if (command === 'PRIVMSG' || command === 'NOTICE') this.#text(line, parameters, facts);
    else if (command === 'NICK' && !line.truncated) this.#nick = nickOf(parameters) ?? this.#nick;
  }

  #text({ start, end, truncated, text }: TextLine, parameters: string, facts: Fact[]): void {
    const direction = 'original';
    const offer = readOffer(parameters, truncated);
    if (offer === null) return;
    if (typeof offer === 'string') {
      facts.push({ kind: 'refuse', direction, start, end, reason: offer, text: shown(text) });
      return;
    }
    const { command, fileName, address, port } = offer;
    const detail = { user: this.#nick, command, argument: fileName === null ? null : shown(fileName) };
    const place = { protocol: 'tcp', family: null, address, port, from: 'anyone' } as const;
    facts.push({ kind: 'announce', direction, start, end, ...place, detail });
  }

  /** Only until the client is welcomed. */
  #serverLine({ text, nul }: TextLine, facts: Fact[]): void {
    if (text === '' || nul) return;
    const message = readMessage(text);
    const known = hasPrefix(text) || (message !== null && SERVER_OPENS.has(message.command));
    if (!known) return this.#abandon('not-protocol', facts);
    if (message?.command === RPL_WELCOME) {
      if (!this.#spoken) return this.#abandon('not-protocol', facts);
      this.#phase = 'registered';
      this.#lines.reply.resume();
    } else if (message?.command === RPL_STARTTLS && this.#tlsAsked) this.#end({ kind: 'encrypted' }, facts);
  }

  #abandon(reason: AbandonReason, facts: Fact[]): void {
    this.#end({ kind: 'abandon', reason }, facts);
  }

  #end(fact: Fact, facts: Fact[]): void {
    this.#phase = 'over';
    facts.push(fact);
    this.#lines.original.resume();
    this.#lines.reply.resume();
  }
}

/** The nickname that a NICK asks for (RFC 2812, 3.1.2), safe to show; null without one. */
function nickOf(parameters: string): string | null {
  const nick = /^ +:?([^ :][^ ]*)/.exec(parameters)?.[1];
  return nick === undefined ? null : shown(nick);
}

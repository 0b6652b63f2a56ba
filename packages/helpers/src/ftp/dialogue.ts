// SPDX-License-Identifier: Apache-2.0
import type { FlowDetail } from '@relatd/model';
import type { AbandonReason, Direction, Fact, Parser, ParserOptions, RefusalReason, Resumption } from '../helper.js';
import { familyAsked, readExtendedPassive, readExtendedPort, readPassive, readPort, type Place } from './address.js';
import { isTransfer, isVerb, readCommand } from './command.js';
import { LineReader, type Line } from './line.js';
import { PendingCommands, type PendingCommand } from './pending.js';
import { ReplyReader } from './reply.js';
import { shown } from '../text.js';

/**
 * `greeting`: the server has to speak first. `opening`: the client's first line is to come. `session`: both sides speak FTP.
 * `turned-away`: the server greeted with an error. `over`: encrypted or given up.
 */
type Phase = 'greeting' | 'opening' | 'session' | 'turned-away' | 'over';

/** So many replies 500 or 502 in a row before the login: the client is no FTP client. FileZilla and lftp cause up to three. */
const STRIKES = 5;

const TLS_HANDSHAKE = 0x16;

/**
 * One control connection. What makes it trusted:
 *
 * - The server speaks first, with 120 and 220, or 220 (RFC 959, 5.4), or 230 where no login is needed. A client that does not wait for
 *   it is given up, even if it says USER: that is what a browser does that was sent here.
 * - The client's first line is a command of FTP. Until the login every line has the form of one, so that a header
 *   (`Host: ...`), behind whatever first line, ends it.
 * - A 227 answers a PASV, a 229 an EPSV. Both, and nothing else of the server's, announce.
 *
 * A login is not asked for: who can put a PORT there can put a USER before it, and a server that wants one answers 530, which
 * withdraws the announcement.
 */
export class Dialogue implements Parser {
  readonly #lines = { original: new LineReader(), reply: new LineReader() };
  readonly #replies = new ReplyReader();
  readonly #pending = new PendingCommands();
  #phase: Phase = 'greeting';
  #gap = false;
  /** The client's next line may be the end of one whose beginning was missed. */
  #unsure = false;
  #loggedIn = false;
  #strikes = 0;
  /** AUTH was sent and not refused. */
  #authAsked = false;
  #user: string | null = null;
  /** Announcements so far, which number them. */
  #announcements = 0;
  /** The current one; 0: none. */
  #current = 0;
  /** Whether the next transfer command is what it is for. */
  #purpose: 'open' | 'claimed' | 'none' = 'none';

  constructor({ adopted = false }: ParserOptions = {}) {
    if (!adopted) return;
    this.#phase = 'session';
    this.#loggedIn = true;
    this.#unsure = true;
  }

  /** Both sides have spoken, and it was FTP. */
  get recognised(): boolean {
    return this.#is('session');
  }

  feed(direction: Direction, bytes: Uint8Array): readonly Fact[] {
    const facts: Fact[] = [];
    if (this.#is('over')) return facts;
    if (this.#gap) {
      this.#abandon('gap', facts);
      return facts;
    }
    const lines = this.#lines[direction];
    lines.push(bytes);
    for (let line = lines.next(); line !== null; line = lines.next()) {
      if (direction === 'original') this.#clientLine(line, facts);
      else this.#serverLine(line, facts);
      if (this.#is('over')) return facts;
    }
    if (lines.firstByte >= 0) this.#beginningOf(direction, lines.firstByte, facts);
    return facts;
  }

  resync(direction: Direction, resumption?: Resumption): void {
    this.#lines[direction].resume(resumption);
    if (this.#is('greeting') || this.#is('opening')) this.#gap = true;
    if (direction === 'reply') this.#replies.reset();
    else this.#unsure = true;
    // What was in flight cannot be paired any more: a 227 counts again from the next PASV on.
    this.#pending.clear();
    this.#purpose = 'none';
  }

  /** A method, because TypeScript would not believe that calls between two comparisons can change the phase. */
  #is(phase: Phase): boolean {
    return this.#phase === phase;
  }

  /** Judges a line by its first byte, because other protocols may never send an LF. */
  #beginningOf(direction: Direction, byte: number, facts: Fact[]): void {
    if (direction === 'reply') {
      const digit = byte >= 0x31 && byte <= 0x35;
      if (this.#is('greeting') && !this.#replies.inside && !digit) this.#abandon('not-protocol', facts);
    } else if (this.#is('greeting')) {
      this.#abandon('not-protocol', facts);
    } else if (this.#strict) {
      const letter = (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
      // An empty line is harmless.
      if (!letter && byte !== 0x0d) this.#foreign(byte, facts);
    }
  }

  /** Whether each line of the client has to have the form of a command. */
  get #strict(): boolean {
    return this.#is('opening') || (this.#is('session') && !this.#loggedIn && !this.#unsure);
  }

  #clientLine(line: Line, facts: Fact[]): void {
    if (this.#is('turned-away')) return;
    if (this.#is('greeting')) return this.#abandon('not-protocol', facts);
    if (line.text === '' && !line.truncated) return;
    const command = readCommand(line.text);
    const unsure = this.#unsure;
    this.#unsure = false;
    if (command === null) {
      if (unsure) return;
      if (this.#strict) this.#foreign(line.text.charCodeAt(0), facts);
      else this.#expectReply('');
      return;
    }
    const { verb, argument } = command;
    if (this.#is('opening')) {
      if (!isVerb(verb)) return this.#abandon('not-protocol', facts);
      this.#phase = 'session';
    }
    switch (verb) {
      case 'PORT':
      case 'EPRT': {
        const read = verb === 'PORT' ? readPort : readExtendedPort;
        const place = line.truncated ? 'line-too-long' : read(argument ?? '');
        const announcement = this.#place('original', line, place, null, facts);
        return this.#expectReply(verb, { announcement });
      }
      case 'PASV':
        return this.#expectReply(verb, { asks: 227 });
      case 'EPSV':
        // EPSV ALL is answered by 200 (RFC 2428, 4).
        if (/^ *all *$/i.test(argument ?? '')) return this.#expectReply(verb);
        return this.#expectReply(verb, { asks: 229, family: familyAsked(argument) });
      case 'USER': {
        const userBefore = this.#user;
        this.#user = argument === null || argument === '' ? null : shown(argument);
        return this.#expectReply(verb, { userBefore });
      }
      case 'AUTH':
        this.#authAsked = true;
        return this.#expectReply(verb);
      default:
        if (isTransfer(verb)) this.#transfer(verb, argument, facts);
        return this.#expectReply(verb);
    }
  }

  #expectReply(verb: string, more: Partial<PendingCommand> = {}): void {
    this.#pending.push({ verb, asks: 0, family: null, announcement: 0, userBefore: null, purpose: null, ...more });
  }

  /** A transfer may be asked for before the PASV in front of it is answered; then its purpose waits for the announcement. */
  #transfer(command: string, argument: string | null, facts: Fact[]): void {
    const named = argument === null || argument === '' ? null : shown(argument);
    const detail: FlowDetail = { user: this.#user, command, argument: named };
    const asking = this.#pending.lastAsking;
    if (asking !== undefined) asking.purpose ??= detail;
    else if (this.#purpose === 'open') {
      this.#purpose = 'claimed';
      facts.push({ kind: 'detail', detail });
    }
  }

  #serverLine(line: Line, facts: Fact[]): void {
    if (this.#is('turned-away')) return;
    const reply = this.#replies.read(line.text);
    if (this.#is('greeting')) {
      if (reply === 'text') this.#abandon('not-protocol', facts);
      else if (reply !== null) this.#greeting(reply.code, facts);
      return;
    }
    if (reply === 'text' || reply === null) return;
    const { code } = reply;
    // RFC 959, 4.2.1: another reply follows. 125 and 150 begin a transfer.
    if (code < 200) {
      this.#pending.reach(({ verb }) => isTransfer(verb));
      return;
    }
    const encrypts = code === 234 ? 'AUTH' : code === 235 ? 'ADAT' : null;
    if (code >= 600 || (encrypts !== null && this.#pending.take(({ verb }) => verb === encrypts) !== undefined)) {
      // RFC 4217, 4 and RFC 2228, 5.1: the next byte is TLS, or the next command is wrapped.
      return this.#end({ kind: 'encrypted' }, facts);
    }
    if (code === 227 || code === 229) {
      const command = this.#pending.take(({ asks }) => asks === code);
      if (command !== undefined) {
        this.#passive(line, code, reply.text, command, facts);
        return;
      }
      this.#refuse('reply', line, 'unsolicited', facts);
    }
    const command = this.#pending.answered(code);
    if (command !== undefined) this.#answer(command, code, facts);
    if (this.#loggedIn) return;
    this.#strikes = code === 500 || code === 502 ? this.#strikes + 1 : 0;
    if (this.#strikes >= STRIKES) this.#abandon('not-protocol', facts);
  }

  #greeting(code: number, facts: Fact[]): void {
    if (code === 120) return;
    if (code === 220 || code === 230) {
      this.#phase = 'opening';
      this.#loggedIn = code === 230;
    } else if (code >= 400 && code < 600) {
      this.#phase = 'turned-away';
    } else this.#abandon('not-protocol', facts);
  }

  #passive(line: Line, code: 227 | 229, text: string, command: PendingCommand, facts: Fact[]): void {
    let place = line.truncated ? 'line-too-long' : code === 227 ? readPassive(text) : readExtendedPassive(text);
    // A server that was asked for a family and names none has taken it.
    if (typeof place !== 'string' && place.family === null) place = { ...place, family: command.family };
    this.#place('reply', line, place, command.purpose, facts);
  }

  /** The final reply to a command. */
  #answer({ verb, announcement, userBefore }: PendingCommand, code: number, facts: Fact[]): void {
    const refused = code >= 400;
    if (code === 230 || code === 232 || (code === 202 && (verb === 'PASS' || verb === 'ACCT'))) this.#loggedIn = true;
    switch (verb) {
      case 'PORT':
      case 'EPRT':
        if (!refused || announcement === 0 || announcement !== this.#current) return;
        this.#current = 0;
        this.#purpose = 'none';
        facts.push({ kind: 'withdraw', reason: 'refused-by-server' });
        return;
      case 'USER':
        if (refused) this.#user = userBefore;
        return;
      case 'REIN':
        // RFC 959, 4.1.1: everything begins anew but the connection.
        if (refused) return;
        this.#loggedIn = false;
        this.#user = null;
        return;
      case 'AUTH':
        if (refused) this.#authAsked = false;
        return;
      default:
        // Another file may be asked for on the same announcement.
        if (refused && isTransfer(verb) && this.#purpose === 'claimed') this.#purpose = 'open';
    }
  }

  /** Gives the announcement's number, or 0. */
  #place(
    direction: Direction,
    line: Line,
    place: Place | RefusalReason,
    purpose: FlowDetail | null,
    facts: Fact[],
  ): number {
    if (typeof place === 'string') {
      this.#refuse(direction, line, place, facts);
      this.#purpose = 'none';
      return 0;
    }
    this.#current = ++this.#announcements;
    this.#purpose = purpose === null ? 'open' : 'claimed';
    const detail = purpose ?? (this.#user === null ? null : { user: this.#user, command: null, argument: null });
    const { start, end } = line;
    facts.push({ kind: 'announce', direction, start, end, protocol: 'tcp', ...place, from: 'peer', detail });
    return this.#current;
  }

  #refuse(direction: Direction, { start, end, text }: Line, reason: RefusalReason, facts: Fact[]): void {
    facts.push({ kind: 'refuse', direction, start, end, reason, text: shown(text) });
  }

  /** A client's line that is no command. After AUTH it may be TLS that did not wait for the reply. */
  #foreign(firstByte: number, facts: Fact[]): void {
    if (this.#authAsked && firstByte === TLS_HANDSHAKE) this.#end({ kind: 'encrypted' }, facts);
    else this.#abandon('not-protocol', facts);
  }

  #abandon(reason: AbandonReason, facts: Fact[]): void {
    this.#end({ kind: 'abandon', reason }, facts);
  }

  #end(fact: Fact, facts: Fact[]): void {
    this.#phase = 'over';
    facts.push(fact);
    this.#pending.clear();
    this.#lines.original.resume();
    this.#lines.reply.resume();
  }
}

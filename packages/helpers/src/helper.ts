// SPDX-License-Identifier: Apache-2.0
import type { AddressBytes, FlowDetail, Protocol, Reason } from '@relatd/model';

/** Which side of a control connection sent something: `original` is who opened it. */
export type Direction = 'original' | 'reply';

type Known<Word extends Reason> = Word;

/** Why a helper turns an announcement down: the protocol's own rules. What depends on addresses and policy is the engine's. */
export type RefusalReason = Known<
  'port-zero' | 'bad-port' | 'bad-octet' | 'bad-syntax' | 'bad-family' | 'unsolicited' | 'line-too-long'
>;

/** Why a helper gives a connection up for good. */
export type AbandonReason = Known<'not-protocol' | 'gap'>;

/**
 * Bytes of one direction: `start` included, `end` excluded. TCP: counted from the first byte of its stream (SYN excluded). UDP: counted
 * within the datagram.
 */
export interface Span {
  readonly direction: Direction;
  readonly start: number;
  readonly end: number;
}

/**
 * The sender of these bytes waits for a connection, mostly from the other side. From here on this is the current announcement, also
 * where the engine's policy turns it down: `withdraw` and `detail` are then about nothing.
 */
export interface Announce extends Span {
  readonly kind: 'announce';
  readonly protocol: Protocol;
  /** Null: that of the control connection. */
  readonly family: 4 | 6 | null;
  /** 16 bytes, IPv4 in its mapped form. Null: the announcer's own address. */
  readonly address: AddressBytes | null;
  /** 1 to 65535. Null: the announcer's own port of the control connection. */
  readonly port: number | null;
  /** Who will connect: the other end of the control connection, or anybody. */
  readonly from: 'peer' | 'anyone';
  readonly detail: FlowDetail | null;
}

/** The current announcement was refused by the other side: its expectation goes. */
export interface Withdraw {
  readonly kind: 'withdraw';
  readonly reason: Known<'refused-by-server'>;
}

/** These bytes would have been an announcement. The current one is still that of the last `announce`. */
export interface Refuse extends Span {
  readonly kind: 'refuse';
  readonly reason: RefusalReason;
  /** The line, safe to show. */
  readonly text: string;
}

/**
 * What the current announcement is for. It may come after the data connection has been opened, and again when the first
 * transfer was refused.
 */
export interface Purpose {
  readonly kind: 'detail';
  readonly detail: FlowDetail;
}

/** Encryption begins. No fact follows, what was announced stays. */
export interface Encrypted {
  readonly kind: 'encrypted';
}

/** The connection cannot be trusted. No fact follows. */
export interface Abandon {
  readonly kind: 'abandon';
  readonly reason: AbandonReason;
}

/** What a helper learnt from the bytes that it was given. */
export type Fact = Announce | Withdraw | Refuse | Purpose | Encrypted | Abandon;

/** Where a stream goes on after bytes that the parser was not given. */
export interface Resumption {
  /** Offset of the next byte to be fed. Default: as if nothing had been missed. */
  readonly offset?: number;
  /**
   * Whether that byte begins a line. Default true: it is a segment's first, and segments of control connections begin with lines.
   * False: the rest of a line is skipped first.
   */
  readonly lineStart?: boolean;
}

/** Follows one control connection. It does no I/O and never throws, whatever it is fed. */
export interface Parser {
  /** Whether the dialogue was found to be this protocol's: a daemon that comes later may join it in its middle. */
  readonly recognised: boolean;
  /**
   * Takes the next bytes of one direction, in stream order, each byte once. The order of calls is the order in which the
   * bytes passed. The bytes are not kept. Where the control connection is UDP, each call takes one whole datagram.
   */
  feed(direction: Direction, bytes: Uint8Array): readonly Fact[];
  /**
   * Bytes of this direction went past unseen. A dialogue whose trust was established keeps it; replies to what was sent before
   * are not waited for any more. An earlier gap ends trust: the next feed gives `abandon`.
   */
  resync(direction: Direction, resumption?: Resumption): void;
}

export interface ParserOptions {
  /** The dialogue was `recognised` before, and is joined in its middle: both directions begin as after a `resync`. */
  readonly adopted?: boolean;
}

/** A protocol's parser. What else is known of a helper (transport, port, limits) stands in its definition. */
export interface Helper {
  readonly name: string;
  create(options?: ParserOptions): Parser;
}

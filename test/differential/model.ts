// SPDX-License-Identifier: Apache-2.0
// What the datapath has to do with a dialogue: the interpreter of packages/grammar walks its table, and what
// becomes of announcements is worked out here.
import { Limit } from '../../packages/datapath/src/generated/layout.js';
import { Interpreter, type Announced, type Machine, type MachineFact } from '@relatd/grammar';
import { addressEquals } from '@relatd/model';
import { mapped } from '../datapath/rig.js';
import { endsOf, isDatagram, type Dialogue, type Packet, type Setup, type Side } from './dialogue.js';
import { Follower, type Arrival } from './follower.js';

/** Announcements and withdrawals of one packet that the datapath has room for. */
const ACTS = 32;
const ANYONE = new Uint8Array(16);

export type Verdict = 'pass' | 'drop';

/** What was learnt from the bytes of one packet. */
export interface Read {
  readonly packet: number;
  readonly from: Side;
  /** New bytes, and those that were kept until now. */
  readonly bytes: Uint8Array;
  readonly facts: readonly MachineFact[];
  readonly recognised: boolean;
}

interface Expectation {
  readonly tuple: string;
  readonly created: number;
  deadline: number;
}

interface Watch {
  readonly start: number;
  readonly end: number;
  /** Null: they were not all in one packet. */
  readonly bytes: Uint8Array | null;
}

/** How a dialogue ended up. */
export type Outcome = 'decided' | 'judged' | 'encrypted' | 'not-protocol' | 'rewritten';

/** Where the datapath does not do what the interpreter's facts say, and means it: see PECULIARITIES in explained.ts. */
export type Peculiarity = 'too much at once' | 'given up at once' | 'repeated otherwise' | 'urgent';

/** Follows one dialogue. */
export class Model {
  /** Events and samples, in order. */
  readonly log: string[] = [];
  readonly verdicts: Verdict[] = [];
  /** What each packet acknowledges. */
  readonly acks: number[] = [];
  readonly reads: Read[] = [];
  outcome: Outcome = 'decided';
  /** Packets that the tables decided, and all with payload that was new. */
  decided = 0;
  payloads = 0;
  readonly peculiarities = new Set<Peculiarity>();

  readonly #setup: Setup;
  readonly #interpreter: Interpreter;
  readonly #sides = [new Follower(), new Follower()] as const;
  readonly #ends: readonly { readonly address: Uint8Array; readonly port: number }[];
  readonly #watches: [Watch | null, Watch | null] = [null, null];
  readonly #fins = [false, false];
  readonly #places: (Expectation | null)[] = [];
  #current: Expectation | null = null;
  #now = 0;
  #recognised = false;
  #ended = false;

  constructor(machine: Machine, setup: Setup) {
    this.#setup = setup;
    this.#interpreter = new Interpreter(machine);
    this.#ends = endsOf(setup).map(({ address, port }) => ({ address: mapped(address), port }));
  }

  /** Everything, from the handshake to the end. */
  run({ setup, packets, reset }: Dialogue): void {
    if (!isDatagram(setup)) this.log.push('control');
    for (const [index, packet] of packets.entries()) {
      this.#now += packet.wait;
      this.acks.push(this.#sides[packet.from === 0 ? 1 : 0].next);
      if (isDatagram(setup)) this.#datagram(packet, index);
      else this.verdicts.push(this.#segment(packet, index));
    }
    if (isDatagram(setup)) {
      if (this.log.length > 0) this.#end('idle');
      return;
    }
    if (!this.#ended) this.#end('rst');
    this.acks.push(this.#sides[reset].next);
  }

  #datagram(packet: Packet, index: number): void {
    this.verdicts.push('pass');
    // Nothing begins by what a server sends.
    if (this.log.length === 0) {
      if (packet.from === 1) return;
      this.log.push('control');
    }
    const facts = this.#read(packet, packet.bytes, index);
    this.decided++;
    this.payloads++;
    this.#act(packet, facts);
    if (packet.bytes.length > 0) this.#sample(packet, 'decided');
  }

  #segment(packet: Packet, index: number): Verdict {
    const side = this.#sides[packet.from];
    const { at, bytes, fin } = packet;
    const end = at + bytes.length + (fin ? 1 : 0);
    if (end === at) return 'pass';
    const watch = this.#watches[packet.from];
    const watched = watch !== null && at < watch.end && end > watch.start;
    switch (this.outcome) {
      case 'judged':
        if (this.#ended) break;
        if (end <= side.next && !watched) return 'pass';
        if (bytes.length > 0 || at !== side.next) {
          this.payloads++;
          if (bytes.length > 0) this.#sample(packet, 'holdUnavailable');
        }
        break;
      case 'decided':
        return this.#ended ? this.#goOn(packet) : this.#decide(packet, index, watched ? watch : null);
      default:
    }
    return this.#goOn(packet);
  }

  /** While the tables decide. */
  #decide(packet: Packet, index: number, watch: Watch | null): Verdict {
    const side = this.#sides[packet.from];
    const { at, bytes, fin, damaged } = packet;
    const end = at + bytes.length + (fin ? 1 : 0);
    if (end <= side.next) return watch === null ? 'pass' : this.#again(packet, watch);
    if (bytes.length === 0 && at === side.next) return this.#goOn(packet);
    if (bytes.length > 0 && damaged) return 'pass';
    this.payloads++;
    // A sender may put new bytes behind those that it sends again.
    if (watch !== null && at < side.next) {
      const again = compare(packet, watch);
      if (again === 'unknown') {
        this.peculiarities.add('repeated otherwise');
        return this.#judge(packet);
      }
      if (again === 'other') {
        this.#rewritten();
        return this.#goOn(packet);
      }
    }
    if (at <= side.next && side.contradicts(at, bytes)) {
      this.#rewritten();
      return this.#goOn(packet);
    }
    const arrival = this.#arrival(packet, side);
    if (arrival?.kind === 'dropped') return 'drop';
    if (arrival?.kind === 'kept') {
      this.decided++;
      this.#sample(packet, 'decided');
      return 'pass';
    }
    const facts = arrival?.kind === 'new' ? this.#read(packet, arrival.bytes, index) : [];
    const last = facts.at(-1);
    const acts = facts.reduce((sum, { kind }) => sum + (kind === 'announce' || kind === 'withdraw' ? 1 : 0), 0);
    if (arrival === null) this.peculiarities.add('urgent');
    else if (acts > ACTS) this.peculiarities.add('too much at once');
    if (arrival === null || last?.kind === 'judge' || acts > ACTS) return this.#judge(packet);
    this.decided++;
    if (last?.kind === 'give-up') {
      this.outcome = last.reason;
      this.log.push(`trust ${last.reason}`);
      if (acts > 0) this.peculiarities.add('given up at once');
    } else this.#act(packet, facts);
    if (bytes.length > 0) this.#sample(packet, 'decided');
    return this.#goOn(packet);
  }

  /** Null: urgent bytes are for nobody here to read. */
  #arrival({ at, bytes, fin, urgent }: Packet, side: Follower): Arrival | null {
    if (!urgent) return side.arrive(at, bytes, fin);
    return at > side.next ? { kind: 'dropped' } : null;
  }

  #read(packet: Packet, bytes: Uint8Array, index: number): readonly MachineFact[] {
    const facts = this.#interpreter.feed(packet.from === 0 ? 'original' : 'reply', bytes);
    const { recognised } = this.#interpreter;
    this.reads.push({ packet: index, from: packet.from, bytes, facts, recognised });
    return facts;
  }

  #judge(packet: Packet): Verdict {
    this.outcome = 'judged';
    if (packet.bytes.length > 0) this.#sample(packet, 'holdUnavailable');
    return this.#goOn(packet);
  }

  /** A retransmission of the last announcement. */
  #again(packet: Packet, watch: Watch): Verdict {
    const { at, damaged } = packet;
    if (packet.bytes.length === 1 && this.#sides[packet.from].next - at === 1) return 'pass';
    if (damaged) return 'pass';
    switch (compare(packet, watch)) {
      case 'unknown':
        this.payloads++;
        this.peculiarities.add('repeated otherwise');
        return this.#judge(packet);
      case 'other':
        this.#rewritten();
        return 'pass';
      case 'same':
        return 'pass';
    }
  }

  #rewritten(): void {
    this.outcome = 'rewritten';
    this.log.push('trust rewritten');
    this.#withdraw('rewritten');
  }

  #goOn(packet: Packet): Verdict {
    const side = this.#sides[packet.from];
    const end = packet.at + packet.bytes.length + (packet.fin ? 1 : 0);
    if (end <= side.next) return 'pass';
    side.advance(end);
    if (packet.fin) {
      this.#fins[packet.from] = true;
      if (this.#fins[0] && this.#fins[1] && !this.#ended) this.#end('fin');
    }
    return 'pass';
  }

  #act(packet: Packet, facts: readonly MachineFact[]): void {
    if (this.#interpreter.recognised) this.#recognised = true;
    for (const fact of facts) {
      if (fact.kind === 'withdraw') {
        this.#withdraw('refusedByServer');
        this.#current = null;
      } else if (fact.kind === 'announce') this.#announce(packet, fact);
    }
    const last = facts.findLast((fact) => fact.kind === 'announce');
    if (last === undefined || isDatagram(this.#setup)) return;
    const { start, end } = last;
    const { at } = packet;
    const whole = at <= start && at + packet.bytes.length >= end;
    this.#watches[packet.from] = { start, end, bytes: whole ? packet.bytes.slice(start - at, end - at) : null };
  }

  #withdraw(reason: string): void {
    const place = this.#current === null ? -1 : this.#places.indexOf(this.#current);
    if (place >= 0) this.#remove(place, reason);
  }

  #remove(place: number, reason: string): void {
    this.log.push(`ended ${reason} ${this.#places[place]?.tuple ?? ''}`);
    this.#places[place] = null;
  }

  #announce(packet: Packet, fact: Announced): void {
    const own = this.#ends[packet.from];
    const peer = this.#ends[1 - packet.from];
    if (own === undefined || peer === undefined) throw new RangeError('a connection has two ends');
    const address = fact.address ?? own.address;
    const port = fact.port ?? own.port;
    const source = fact.anyone ? ANYONE : peer.address;
    const tuple = tupleText(source, 0, address, 0, port, fact.protocol === 'tcp' ? 6 : 17);
    this.#current = null;
    const refusal = this.#refusal(packet.from, address, port, own.address);
    if (refusal !== null) this.log.push(`refused ${refusal} ${tuple}`);
    else this.#current = this.#expect(packet.from, tuple);
  }

  #refusal(from: Side, address: Uint8Array, port: number, ownAddress: Uint8Array): string | null {
    const { family, allowed, translated } = this.#setup;
    const own = addressEquals(address, ownAddress);
    if (isMapped(address, 0) !== (family === 4)) return 'wrongFamily';
    if (port < allowed.fromPort || port > allowed.toPort) return 'portRange';
    if (translated && (from === 0 || !own)) return 'nat';
    return own || allowed.thirdParty ? null : 'address';
  }

  #expect(from: Side, tuple: string): Expectation {
    const { limit, timeout } = this.#setup.allowed;
    const deadline = this.#now + timeout;
    const same = this.#places.findIndex((entry) => entry?.tuple === tuple);
    const known = this.#places[same];
    if (known !== undefined && known !== null) {
      if (known.deadline > this.#now) {
        known.deadline = deadline;
        return known;
      }
      this.#remove(same, 'expired');
    }
    const live = this.#places.filter((entry) => entry !== null);
    if (live.length >= limit) {
      const oldest = live.reduce((found, entry) => (entry.created < found.created ? entry : found));
      this.#remove(this.#places.indexOf(oldest), 'evicted');
    }
    const vacant = this.#places.lastIndexOf(null);
    const made = { tuple, created: this.#now, deadline };
    this.#places[vacant < 0 ? this.#places.length : vacant] = made;
    this.log.push(`new ${tuple} of ${String(from)} until ${String(deadline)}`);
    return made;
  }

  #end(reason: string): void {
    this.#ended = true;
    for (const [place, entry] of this.#places.entries()) {
      if (entry === null) continue;
      this.#remove(place, `masterEnded (${String(entry.deadline)})`);
    }
    this.log.push(`end ${reason}${this.#recognised ? ' recognised' : ''}`);
  }

  #sample({ from, at, bytes }: Packet, reason: string): void {
    const datagram = isDatagram(this.#setup);
    // In pieces.
    for (let done = 0; done < bytes.length; done += Limit.sampleBytes) {
      const length = Math.min(Limit.sampleBytes, bytes.length - done);
      this.log.push(sampleText(from, datagram ? 0 : at + done, length, reason));
    }
  }
}

export function sampleText(from: number, at: number, length: number, reason: string): string {
  return `${from === 0 ? 'C' : 'S'} ${String(at)}+${String(length)} ${reason}`;
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let byte = 0; byte < 10; byte++) if (bytes[at + byte] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

function addressText(bytes: Uint8Array, at: number): string {
  if (isMapped(bytes, at)) return bytes.subarray(at + 12, at + 16).join('.');
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, 16).toString('hex');
}

/** An expectation's tuple, out of arrays that have addresses at these places. */
export function tupleText(
  source: Uint8Array,
  sourceAt: number,
  destination: Uint8Array,
  destinationAt: number,
  port: number,
  protocol: number,
): string {
  return `${addressText(source, sourceAt)} -> ${addressText(destination, destinationAt)}:${String(port)}/${String(protocol)}`;
}

/** Whether what comes again of an announcement is the same; not all of it may be here, or be known. */
function compare({ at, bytes }: Packet, { start, end, bytes: known }: Watch): 'same' | 'other' | 'unknown' {
  if (known === null || at > start || at + bytes.length < end) return 'unknown';
  const again = bytes.subarray(start - at, end - at);
  return known.every((byte, index) => again[index] === byte) ? 'same' : 'other';
}

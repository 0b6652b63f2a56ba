// SPDX-License-Identifier: Apache-2.0
// From what both sides say to the packets that carry it: cut, sent again, late, out of order.
import { bytesOf, packet, type Packet, type Side } from './dialogue.js';
import { Follower } from './follower.js';
import type { Piece } from './piece.js';
import type { Random } from './random.js';

/** Bytes of the longest segment: a test run takes no more. Offloads make such. */
const SEGMENT_MAX = 3000;

interface Segment {
  readonly from: Side;
  readonly start: number;
  readonly end: number;
}

/** A network that loses, repeats and reorders; every byte arrives in the end. */
export class Schedule {
  readonly #random: Random;
  readonly #packets: Packet[] = [];
  readonly #streams: readonly [Uint8Array, Uint8Array];
  readonly #sides = [new Follower(), new Follower()] as const;
  readonly #sent = [0, 0];
  readonly #late: { segment: Segment; after: number }[] = [];
  readonly #trouble: number;

  constructor(random: Random, pieces: readonly Piece[]) {
    this.#random = random;
    const stream = (side: Side): Uint8Array =>
      bytesOf(pieces.flatMap(({ from, text }) => (from === side ? [text] : [])).join(''));
    this.#streams = [stream(0), stream(1)];
    this.#trouble = random.pick([0, 0, 0, 0.05, 0.2, 0.5]);
    for (const segment of cut(random, pieces)) this.#send(segment);
    while (this.#late.length > 0) this.#later();
    for (const from of [0, 1] as const) while (this.#sides[from].next < this.#streams[from].length) this.#repair(from);
    if (random.chance(0.25)) this.#finish();
  }

  get packets(): readonly Packet[] {
    return this.#packets;
  }

  #send(segment: Segment): void {
    const random = this.#random;
    this.#sent[segment.from] = Math.max(this.#sent[segment.from] ?? 0, segment.end);
    if (random.chance(this.#trouble / 2)) this.#late.push({ segment, after: random.few(6) });
    else this.#emit(segment);
    for (const late of this.#late) late.after--;
    while (this.#late.some(({ after }) => after <= 0)) this.#later();
    if (random.chance(this.#trouble / 2)) this.#again();
    if (random.chance(this.#trouble / 12)) this.#nuisance();
  }

  #later(): void {
    const due = this.#late.findIndex(({ after }) => after <= 0);
    const [late] = this.#late.splice(Math.max(due, 0), 1);
    if (late !== undefined) this.#emit(late.segment);
  }

  #emit({ from, start, end }: Segment, more: Partial<Packet> = {}): void {
    if (end <= start) return;
    const bytes = this.#streams[from].subarray(start, end);
    const wait = this.#random.chance(0.02) ? this.#random.between(1, 400_000) : 0;
    this.#packets.push(packet(from, start, bytes, { wait, ...more }));
    const side = this.#sides[from];
    const { kind } = side.arrive(start, bytes, false);
    if (kind === 'dropped') this.#late.push({ segment: { from, start, end }, after: this.#random.between(1, 4) });
    if (kind === 'new') side.advance(end);
  }

  /** A retransmission: some of what was sent, not cut as before. */
  #again(): void {
    const from = this.#random.pick([0, 1] as const);
    const sent = this.#sent[from] ?? 0;
    const recent = Math.min(sent, this.#random.chance(0.7) ? 80 : sent);
    const start = this.#edge(from, sent - this.#random.int(recent + 1));
    const end = this.#random.chance(0.5) ? sent : this.#edge(from, start + this.#random.int(sent - start + 1));
    this.#emit({ from, start, end: Math.min(end, start + SEGMENT_MAX, sent) });
  }

  /** The place itself, or the beginning of its line, or one beside it. */
  #edge(from: Side, place: number): number {
    if (this.#random.chance(0.4)) return place;
    const line = this.#streams[from].lastIndexOf(0x0a, Math.max(0, place - 1)) + 1;
    return Math.max(0, line + this.#random.pick([0, 0, 0, 0, -1, 1]));
  }

  /** What does not change what a receiver reads: keep-alives, damaged segments; and what should not be: other bytes. */
  #nuisance(): void {
    const random = this.#random;
    const from = random.pick([0, 1] as const);
    const { next } = this.#sides[from];
    const sent = this.#sent[from] ?? 0;
    if (sent === 0) return;
    const start = random.int(sent);
    const end = Math.min(sent, start + random.between(1, SEGMENT_MAX));
    const bytes = this.#streams[from].slice(start, end);
    const at = random.int(bytes.length);
    switch (random.int(4)) {
      case 0:
        if (next > 0) this.#packets.push(packet(from, next - 1, Uint8Array.of(random.int(256))));
        return;
      case 1:
        bytes[at] = random.int(256);
        this.#packets.push(packet(from, start, bytes, { damaged: true }));
        return;
      case 2:
        if (end > next) return;
        bytes[at] = random.int(256);
        this.#packets.push(packet(from, start, bytes));
        return;
      default:
        if (sent > next + 1)
          this.#packets.push(packet(from, next + 1, this.#streams[from].slice(next + 1, sent), { urgent: true }));
        else if (random.chance(0.1)) this.#emit({ from, start, end }, { urgent: true });
    }
  }

  #repair(from: Side): void {
    const { next } = this.#sides[from];
    const left = this.#streams[from].length - next;
    this.#emit({
      from,
      start: next,
      end:
        next +
        (this.#random.chance(0.7) ? Math.min(left, SEGMENT_MAX) : 1 + this.#random.int(Math.min(left, SEGMENT_MAX))),
    });
  }

  #finish(): void {
    const random = this.#random;
    const first = random.pick([0, 1] as const);
    const sides = random.chance(0.6) ? ([first, first === 0 ? 1 : 0] as const) : ([first] as const);
    for (const from of sides) {
      const end = this.#sides[from].next;
      // With the last bytes once more, or bare.
      const start = random.chance(0.8) ? end : Math.max(0, end - random.int(40));
      const fin = packet(from, start, this.#streams[from].slice(start, end), { fin: true });
      for (let count = random.chance(0.9) ? 1 : 2; count > 0; count--) this.#packets.push(fin);
      this.#sides[from].advance(end + 1);
    }
  }
}

/** Segments in the order in which they are sent. */
function cut(random: Random, pieces: readonly Piece[]): Segment[] {
  const joined: { from: Side; length: number }[] = [];
  const together = random.pick([0, 0, 0.2, 1]);
  for (const { from, text } of pieces) {
    const last = joined.at(-1);
    if (last?.from === from && random.chance(together)) last.length += text.length;
    else joined.push({ from, length: text.length });
  }
  const most = random.chance(0.06) ? 1 : random.pick([SEGMENT_MAX, 1400, 1400, 100, 30, 12]);
  const chance = random.pick([0, 0.1, 0.5, 1]);
  const places = [0, 0];
  return joined.flatMap(({ from, length }) => {
    const segments: Segment[] = [];
    for (let left = length; left > 0;) {
      // Not for long stretches, which would take too many packets.
      const bound = Math.min(left, left > 200 ? Math.max(most, 1400) : most);
      const size = random.chance(chance) ? 1 + random.int(bound) : bound;
      const start = places[from] ?? 0;
      segments.push({ from, start, end: start + size });
      places[from] = start + size;
      left -= size;
    }
    return segments;
  });
}

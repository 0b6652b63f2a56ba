// SPDX-License-Identifier: Apache-2.0
// How the datapath puts a direction's segments in order: bpf/lib/parked.h once more, in other words.

const PARKED_MAX = 1024;

interface Parked {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** What becomes of a segment while the tables decide. */
export type Arrival =
  /** All of it has gone on before. */
  | { readonly kind: 'seen' }
  /** Before its time: it goes on, and is kept. */
  | { readonly kind: 'kept' }
  /** Before its time, and there is no room: its sender has to send it again. */
  | { readonly kind: 'dropped' }
  /** In order; `bytes` are those that nobody has read, kept ones included. */
  | { readonly kind: 'new'; readonly bytes: Uint8Array };

const SEEN: Arrival = { kind: 'seen' };
const KEPT: Arrival = { kind: 'kept' };
const DROPPED: Arrival = { kind: 'dropped' };

/** One direction. */
export class Follower {
  /** Everything before it has gone on. */
  next = 0;
  #parked: Parked | null = null;

  arrive(at: number, bytes: Uint8Array, fin: boolean): Arrival {
    if (at + bytes.length + (fin ? 1 : 0) <= this.next) return SEEN;
    if (at > this.next) return this.#keep(at, bytes, fin) ? KEPT : DROPPED;
    const fresh = bytes.subarray(this.next - at);
    const parked = this.#parked;
    const end = at + bytes.length;
    if (parked === null || parked.at > end || parked.at + parked.bytes.length <= end)
      return { kind: 'new', bytes: fresh };
    return { kind: 'new', bytes: joined(fresh, parked.bytes.subarray(end - parked.at)) };
  }

  /** Whether a segment that closes the gap has other bytes than were kept in their place. */
  contradicts(at: number, bytes: Uint8Array): boolean {
    const parked = this.#parked;
    if (parked === null || parked.at < at) return false;
    const same = bytes.subarray(parked.at - at, parked.at - at + parked.bytes.length);
    return same.some((byte, index) => byte !== parked.bytes[index]);
  }

  /** A segment goes on. */
  advance(end: number): void {
    if (end <= this.next) return;
    this.next = end;
    const parked = this.#parked;
    if (parked === null || parked.at > end) return;
    this.next = Math.max(end, parked.at + parked.bytes.length);
    this.#parked = null;
  }

  #keep(at: number, bytes: Uint8Array, fin: boolean): boolean {
    if (fin || bytes.length === 0 || bytes.length > PARKED_MAX) return false;
    const parked = this.#parked;
    if (parked === null) {
      this.#parked = { at, bytes };
      return true;
    }
    const { length } = parked.bytes;
    if (at !== parked.at + length || length + bytes.length > PARKED_MAX) return false;
    this.#parked = { at: parked.at, bytes: joined(parked.bytes, bytes) };
    return true;
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const all = new Uint8Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}

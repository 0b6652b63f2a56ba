// SPDX-License-Identifier: Apache-2.0
import type { Config } from '@relatd/config';
import type { Event, Reason } from '@relatd/model';
import { assignableHelpers } from '../helpers.js';
import type { CapturedPacket } from './capture.js';
import { readCapture } from './captureFile.js';
import { isoTime } from './events.js';
import { isKnownLink } from './link.js';
import { readPacket, type PortFilter } from './packet.js';
import { Tracker } from './tracker.js';

/** What was in a capture, as far as it was read. */
export interface ReplaySummary {
  readonly packets: number;
  /** ISO 8601, UTC; of the earliest and the latest packet. Null: none had a time. */
  readonly from: string | null;
  readonly to: string | null;
  /** Packets that were not looked at, and other things of the list of reasons that came up. */
  readonly reasons: ReadonlyMap<Reason, number>;
  /** Packets of link types that cannot be read, by link type. */
  readonly unknownLinks: ReadonlyMap<number, number>;
  readonly control: number;
  readonly expectations: number;
  readonly related: number;
  /** Announcements that were turned down. */
  readonly refused: ReadonlyMap<Reason, number>;
  /** Control connections that were not read to their end, by why. */
  readonly distrusted: ReadonlyMap<Reason, number>;
  /** What there still was when the capture ended. */
  readonly open: { readonly control: number; readonly expectations: number; readonly related: number };
  /** Connections to assigned ports that were there before the capture, and those of which it lacks a part of the handshake. */
  readonly unfollowed: { readonly alreadyOpen: number; readonly incomplete: number };
  /** Packets whose time is more than a second before that of one in front of them. */
  readonly early: number;
  /** An assignment with `interface` was taken although the capture does not name the interface. */
  readonly guessedInterface: boolean;
  /** Faults of ours. */
  readonly faults: readonly string[];
}

/** Captures of several queues or interfaces are not quite in order. */
const DISORDER = 1000;
const FAULTS = 16;

/** What the daemon would have made of the packets of a capture, had it been there. Needs neither root nor a kernel. */
export class Replay {
  readonly #tracker: Tracker;
  readonly #unknownLinks = new Map<number, number>();
  readonly #faults = new Set<string>();
  readonly #filter: PortFilter;
  #events: Event[] = [];
  #packets = 0;
  #from = Infinity;
  #early = 0;

  constructor(config: Config) {
    this.#tracker = new Tracker({
      config,
      helpers: assignableHelpers(config),
      emit: (event) => this.#events.push(event),
      failed: (error) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        if (this.#faults.size < FAULTS) this.#faults.add(text);
      },
    });
    const { ports } = this.#tracker;
    this.#filter = (protocol, source, destination) => ports.any(protocol, source, destination);
  }

  /**
   * The events of a capture file, in the order of its packets. To be called once.
   * @throws RelatdError `CAPTURE_UNREADABLE`, or behind the events of what could be read `CAPTURE_DAMAGED`
   */
  async *events(path: string): AsyncGenerator<Event> {
    for await (const group of readCapture(path)) yield* this.play(group);
  }

  /** The events of packets, in their order. */
  *play(packets: Iterable<CapturedPacket>): Generator<Event> {
    for (const packet of packets) {
      this.#packet(packet);
      if (this.#events.length === 0) continue;
      const events = this.#events;
      this.#events = [];
      yield* events;
    }
  }

  #packet(captured: CapturedPacket): void {
    const tracker = this.#tracker;
    const { time, link } = captured;
    this.#packets++;
    if (time !== null) {
      this.#from = Math.min(this.#from, time);
      if (time < tracker.now - DISORDER) this.#early++;
      tracker.advance(time);
    }
    if (!isKnownLink(link)) {
      this.#unknownLinks.set(link, (this.#unknownLinks.get(link) ?? 0) + 1);
      return;
    }
    const packet = readPacket(captured, this.#filter);
    if (typeof packet === 'string') tracker.count(packet);
    else if (packet !== null) tracker.packet(packet);
  }

  /** What was read until now. */
  get summary(): ReplaySummary {
    const tracker = this.#tracker;
    const timed = this.#from !== Infinity;
    return {
      packets: this.#packets,
      from: timed ? isoTime(this.#from) : null,
      to: timed ? isoTime(tracker.now) : null,
      reasons: tracker.reasons,
      unknownLinks: this.#unknownLinks,
      control: tracker.begun.control,
      expectations: tracker.begun.expectation,
      related: tracker.begun.related,
      refused: tracker.refused,
      distrusted: tracker.distrusted,
      open: { ...tracker.alive, expectations: tracker.expected },
      unfollowed: tracker.unfollowed,
      early: this.#early,
      guessedInterface: tracker.guessedInterface,
      faults: [...this.#faults],
    };
  }
}

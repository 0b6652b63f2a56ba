// SPDX-License-Identifier: Apache-2.0
import { BpfObject, type BpfMap, type BpfProgram, type Namespace } from '@relatd/native';
import { ETHERNET_BYTES, HEADER_BYTES, concat } from './header.js';
import type { LoadedDatapath } from './loadedDatapath.js';
import { nativeTool } from './paths.js';

/** A piece of the ring: headers that are taken one after the other. */
export interface Piece {
  readonly start: number;
  readonly count: number;
  /** Behind the headers, the same in every packet. */
  readonly payload: Uint8Array;
  /** Whether each use of an entry goes on where the one before has ended: its sequence number advances by the payload. */
  readonly advances?: boolean;
}

/** Two bytes of a payload that change places with each round through a piece, and the ports that they make. */
export interface Turn {
  readonly offsets: readonly [number, number];
  /** In this round, and in the one before. */
  readonly ports: readonly [number, number];
}

/** What a piece of the ring is sent through. */
export interface Target {
  readonly slot: number;
  readonly namespace: Namespace;
  readonly ifindex: number;
}

/** How packets are run. */
export interface RunOptions {
  /** What the program gives back for each. */
  readonly verdict?: number;
  readonly next?: number;
  readonly turn?: Turn;
}

/** Programs of the ring's own, see ring.bpf.c and yardstick.h. */
export type Yardstick = 'empty' | 'empty_tag' | 'bare_insert' | 'bare_walk' | 'bare_copy';

const SCRATCH_SLOT = 0;
const CURSOR_BYTES = 44;
const INGRESS = 0;

/** Runs programs on packets of many different tuples: see tools/bench/native/ring.bpf.c. */
export class Ring {
  /** How many headers {@link once} takes: few enough for the table of embryonic connections and the ring of events. */
  readonly size = 2048;
  readonly #object: BpfObject;
  readonly #entries: BpfMap;
  readonly #cursor: BpfMap;
  readonly #targets: BpfMap;
  readonly #next: BpfProgram;
  #used: number;
  #slots = 1;

  /** `pieces`: how many headers all pieces have together. `expectations`: room of the yardstick's tables. */
  constructor(pieces: number, expectations = 1) {
    this.#used = this.size;
    this.#object = new BpfObject({
      file: nativeTool('ring.bpf.o'),
      pins: null,
      maxEntries: {
        ring: this.size + pieces,
        bare_index: expectations,
        bare_records: expectations,
        bare_free: expectations,
      },
    });
    this.#entries = this.#object.map('ring');
    this.#cursor = this.#object.map('cursor');
    this.#targets = this.#object.map('targets');
    this.#next = this.#object.program('ring_next');
  }

  /** Adds headers for good. */
  add(headers: readonly Uint8Array[], payload = new Uint8Array(), advances = false): Piece {
    const piece = { start: this.#used, count: headers.length, payload, advances };
    this.#write(this.#used, headers);
    this.#used += headers.length;
    return piece;
  }

  /** One of the yardstick's maps. */
  map(name: 'bare_events' | 'bare_tables'): BpfMap {
    return this.#object.map(name);
  }

  /** A place for a program under test. */
  target(program: BpfProgram | Yardstick, namespace: Namespace, ifindex: number): Target {
    const slot = this.#slots++;
    const chosen = typeof program === 'string' ? this.#object.program(program) : program;
    this.#targets.setProgram(number32(slot), chosen);
    return { slot, namespace, ifindex };
  }

  /** Nanoseconds per packet of `repeat` packets at the ingress of an interface, from entry `next` of the piece on. */
  run(piece: Piece, target: Target, repeat: number, { verdict = -1, next = 0, turn }: RunOptions = {}): number {
    const cursor = new Uint8Array(CURSOR_BYTES);
    const view = new DataView(cursor.buffer);
    const advance = piece.advances === true ? piece.payload.length : 0;
    const turned = turn === undefined ? [0, 0, 0, 0] : [...turn.offsets, ...turn.ports];
    const words = [piece.start, piece.count, next, INGRESS, target.slot, advance, ...turned, 0];
    words.forEach((word, at) => {
      view.setUint32(at * 4, word, true);
    });
    this.#cursor.update(number32(0), cursor);
    const data = new Uint8Array(ETHERNET_BYTES + HEADER_BYTES + piece.payload.length);
    data[12] = 0x08;
    data[14] = 0x45;
    data.set(piece.payload, ETHERNET_BYTES + HEADER_BYTES);
    const { ifindex, namespace } = target;
    const result = this.#next.testRun({ data, repeat, ifindex, namespace });
    if (result.verdict !== verdict)
      throw new Error(`the program under test gave ${String(result.verdict)}, not ${String(verdict)}`);
    return result.nanoseconds;
  }

  /** Sends headers, {@link size} at most, through a datapath once: at its ingress from clients, or from servers. */
  once(headers: readonly Uint8Array[], loaded: LoadedDatapath, fromServer: boolean, payload = new Uint8Array()): void {
    this.#write(0, headers);
    this.#targets.setProgram(number32(SCRATCH_SLOT), loaded.main);
    const { namespace, sides } = loaded;
    const target = { slot: SCRATCH_SLOT, namespace, ifindex: fromServer ? sides.server : sides.client };
    this.run({ start: 0, count: headers.length, payload }, target, headers.length);
  }

  close(): void {
    for (const map of [this.#entries, this.#cursor, this.#targets]) map.close();
    this.#next.close();
    this.#object.close();
  }

  #write(start: number, headers: readonly Uint8Array[]): void {
    const keys = new Uint32Array(headers.length).map((_, at) => start + at);
    this.#entries.updateBatch(new Uint8Array(keys.buffer), concat(headers), headers.length);
  }
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

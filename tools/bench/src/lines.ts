// SPDX-License-Identifier: Apache-2.0
import type { BpfProgram, EventRing } from '@relatd/native';
import { CrowdOfLines, type Sides, type Speech } from './crowdOfLines.js';
import { header } from './header.js';
import { CLIENT_NEXT, SERVER_NEXT, type LoadedDatapath } from './loadedDatapath.js';
import { PER_MASTER, dataConnection, generator, master } from './plan.js';
import { type Ring, type Turn, type Yardstick } from './ring.js';
import { pairedRounds, type Contender } from './rounds.js';
import { differences } from './statistics.js';

/**
 * How often a side says a line before the other answers: at most 16 requests may be pending. Odd, so that the two
 * announcements end with the other one than they began before.
 */
const TIMES = 13;

const LOGIN = [
  ['server', '220 ready\r\n'],
  ['client', 'USER a\r\n'],
  ['server', '331 and\r\n'],
  ['client', 'PASS b\r\n'],
  ['server', '230 in\r\n'],
] as const;
/** 22 bytes each. The two announcements differ by two digits that change places. */
const LINE = '200 Command is okay.\r\n';
const ANNOUNCEMENT = '229 pass (|||12345|)\r\n';
const OTHER = '229 pass (|||32145|)\r\n';
const TURN: Turn = { offsets: [13, 15], ports: [32_145, 12_345] };
const TURNED: Turn = { offsets: [13, 15], ports: [12_345, 32_145] };
/** For the price of a byte. */
const LONG_BYTES = 1000;
/** Of the yardstick's table: what is used of it stays in the nearest cache, as of a helper's. */
const STATES = 4;
const TABLE_ENTRIES = 32_768;

/** Nanoseconds per packet, round by round, less what the empty program behind the same ring takes. */
export type Costs = Readonly<Record<'known' | 'follow' | 'refresh' | 'insert' | 'bare', number[]>>;
/** Nanoseconds per byte. */
export type ByteCosts = Readonly<Record<'matcher' | 'copy' | 'loop', number[]>>;

/** Control connections that are logged in, as many related flows, and yardsticks. */
export class Lines {
  readonly #crowd: CrowdOfLines;
  readonly #bare: Readonly<Record<Exclude<Yardstick, 'empty_tag'>, CrowdOfLines>>;
  readonly #flow: (speech: Required<Pick<Speech, 'count' | 'times'>>) => { known: number; floor: number };

  constructor(ring: Ring, loaded: LoadedDatapath, events: EventRing, tuples: number) {
    const { namespace, sides, main } = loaded;
    const through = (program: BpfProgram | Yardstick): Sides => ({
      client: ring.target(program, namespace, sides.client),
      server: ring.target(program, namespace, sides.server),
    });
    const drain = (): void => {
      loaded.drain();
      while (events.drain() > 0);
    };
    ring.map('bare_tables').update(new Uint8Array(4), yardstickTable());
    loaded.walkTables();
    loaded.masters(ring, tuples);
    const firstFlow = PER_MASTER * (tuples - Math.ceil(tuples / PER_MASTER));
    loaded.relatedFlows(ring, firstFlow, tuples);

    const connections = Array.from({ length: tuples }, (_, at) => master(at));
    const [datapath, empty] = [through(main), through('empty')];
    this.#crowd = CrowdOfLines.of(ring, connections, datapath, drain);
    const base = CrowdOfLines.of(ring, connections, empty, drain);
    this.#bare = {
      empty: base,
      bare_insert: base.through(through('bare_insert')),
      bare_walk: base.through(through('bare_walk')),
      bare_copy: base.through(through('bare_copy')),
    };
    for (const [who, line] of LOGIN) this.#crowd.say(who, line);

    const next = { seq: CLIENT_NEXT, ack: SERVER_NEXT };
    const flows = Array.from({ length: tuples }, (_, at) => dataConnection(firstFlow + at));
    const piece = ring.add(flows.map((one) => header(one, next)));
    this.#flow = ({ count, times }) => ({
      known: ring.run({ ...piece, count }, datapath.client, count * times),
      floor: ring.run({ ...piece, count }, empty.client, count * times),
    });
  }

  /** Of `count` connections that say their line once, or where they are few and stay in the caches, several times. */
  async costs(count: number, warm: boolean, rounds: number): Promise<Costs> {
    const times = warm ? TIMES : 1;
    const [once, often] = [{ count }, { count, times }];
    const { empty, bare_insert: bare } = this.#bare;
    const crowd = this.#crowd;
    /** All expect the same port; the announcement that is measured is asked for. */
    const prepared = (): void => {
      crowd.say('client', 'EPSV\r\n', once);
      crowd.say('server', ANNOUNCEMENT, once);
      crowd.say('client', 'EPSV\r\n', often);
    };
    const contenders: Contender<keyof Costs | 'floor' | 'line'>[] = [
      { name: 'floor', measure: () => this.#flow({ count, times }).floor },
      { name: 'known', measure: () => this.#flow({ count, times }).known },
      { name: 'line', measure: () => empty.say('server', LINE, often) },
      {
        name: 'follow',
        measure: () => {
          crowd.say('client', 'NOOP\r\n', often);
          return crowd.say('server', LINE, often);
        },
      },
      {
        name: 'refresh',
        measure: () => {
          prepared();
          return crowd.say('server', ANNOUNCEMENT, often);
        },
      },
      {
        name: 'insert',
        measure: () => {
          prepared();
          return crowd.say('server', OTHER, { ...often, turn: TURN });
        },
      },
      {
        name: 'bare',
        measure: () => {
          bare.say('server', ANNOUNCEMENT, { ...once, turn: TURNED });
          return bare.say('server', OTHER, { ...often, turn: TURN });
        },
      },
    ];
    for (const { measure } of contenders) await measure();
    const results = await pairedRounds(contenders, rounds);
    return {
      known: differences(results.known, results.floor),
      follow: differences(results.follow, results.line),
      refresh: differences(results.refresh, results.line),
      insert: differences(results.insert, results.refresh),
      bare: differences(results.bare, results.line),
    };
  }

  /** What a byte more costs in a long line. */
  async byteCosts(count: number, rounds: number): Promise<ByteCosts> {
    const often = { count, times: TIMES };
    const long = longLine();
    const perByte = (say: (line: string) => number): number => (say(long) - say(LINE)) / (long.length - LINE.length);
    const contenders = [
      {
        name: 'matcher',
        measure: () =>
          perByte((line) => {
            this.#crowd.say('client', 'NOOP\r\n', often);
            return this.#crowd.say('server', line, often);
          }),
      },
      { name: 'copy', measure: () => perByte((line) => this.#bare.bare_copy.say('server', line, often)) },
      { name: 'walk', measure: () => perByte((line) => this.#bare.bare_walk.say('server', line, often)) },
    ] as const;
    for (const { measure } of contenders) measure();
    const { matcher, copy, walk } = await pairedRounds(contenders, rounds);
    return { matcher: differences(matcher, copy), copy, loop: walk };
  }
}

/** A reply of text, as servers write it. */
function longLine(): string {
  const random = generator(7);
  const letters = Array.from({ length: LONG_BYTES - 6 }, () => 'etaoin shrdlu'[random() % 13] ?? ' ');
  return `200 ${letters.join('')}\r\n`;
}

/** A table in which the next state depends on each byte: states are 256 entries of eight bytes apart. */
function yardstickTable(): Uint8Array {
  const next = new BigUint64Array(TABLE_ENTRIES);
  const random = generator(11);
  for (let index = 0; index < TABLE_ENTRIES; index++) next[index] = BigInt((random() % STATES) * 256);
  return new Uint8Array(next.buffer);
}

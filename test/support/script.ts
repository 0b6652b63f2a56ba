// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint, Lab, Peer, PeerListener } from '@relatd/lab';

/** Which of the lab's addresses a dialogue is between. */
export type Family = 'ipv4' | 'ipv6';

/** One side speaks: each part in a segment or datagram of its own, sent when the one before has arrived. Latin-1. */
export interface Step {
  readonly from: 'client' | 'server';
  readonly parts: readonly string[];
}

/** What is said on one control connection. */
export interface Script {
  readonly protocol: 'tcp' | 'udp';
  /** The server's. */
  readonly port: number;
  readonly family: Family;
  readonly steps: readonly Step[];
}

/** An expectation, as far as netfilter's and relatd's can be compared. */
export interface Expected {
  readonly protocol: string;
  /** Null: anybody. */
  readonly source: string | null;
  readonly destination: string;
  /** `own`: the client's port of the control connection, which nobody knows beforehand. */
  readonly port: number | 'own';
}

/** The two ends of a control connection, as the client sees it. */
export interface Master {
  readonly protocol: 'tcp' | 'udp';
  readonly family: Family;
  readonly client: Endpoint;
  readonly server: Endpoint;
}

/** What watches control connections in the gateway of a lab. */
export interface Tracker {
  readonly lab: Lab;
  /** The live expectations of a control connection. */
  expectations(master: Master): Promise<Expected[]>;
  /** Waits until nothing of a connection that was reset can get in the way of the next. */
  forget(master: Master): Promise<void>;
}

/** What came of a script. */
export interface Outcome {
  /** All that was expected at any time; sorted, each once. */
  readonly expected: readonly Expected[];
  /** What somebody sent and the other side never got. Empty: everything arrived. */
  readonly stuck: string;
}

/** Plays scripts between two programs, one in the lab's client and one in its server. */
export class Actors {
  readonly #tracker: Tracker;
  readonly #client: Peer;
  readonly #server: Peer;
  readonly #listeners = new Map<number, Promise<PeerListener>>();

  constructor(tracker: Tracker, client: Peer, server: Peer) {
    this.#tracker = tracker;
    this.#client = client;
    this.#server = server;
  }

  /** Plays a script on a new connection. What has not arrived within `patienceMs` is stuck, and ends the script. */
  async play(script: Script, patienceMs: number): Promise<Outcome> {
    const { send, master, close } = await this.#open(script);
    const seen = new Map<string, Expected>();
    let stuck = '';
    try {
      for (const { from, parts } of script.steps) {
        for (const part of parts) {
          if (stuck !== '') break;
          if (!(await send(from, part, patienceMs))) stuck = part;
          // What a packet makes expected is so before the packet goes on: netfilter's rule, and relatd's.
          for (const expected of await this.#tracker.expectations(master)) seen.set(JSON.stringify(expected), expected);
        }
      }
    } finally {
      await close();
      await this.#tracker.forget(master);
    }
    const sorted = [...seen].sort(([a], [b]) => (a < b ? -1 : 1));
    return { expected: sorted.map(([, expected]) => expected), stuck };
  }

  #open(script: Script): Promise<Line> {
    return script.protocol === 'tcp' ? this.#connect(script) : this.#bind(script);
  }

  async #connect({ port, family }: Script): Promise<Line> {
    let listener = this.#listeners.get(port);
    if (listener === undefined) this.#listeners.set(port, (listener = this.#server.listen(port)));
    const accepting = await listener;
    const client = await this.#client.connect(this.#tracker.lab.server[family], port);
    const server = await accepting.accept();
    const said = { client: '', server: '' };
    return {
      master: { protocol: 'tcp', family, client: client.local, server: client.remote },
      send: async (from, part, patienceMs) => {
        said[from] += part;
        const [near, far] = from === 'client' ? [client, server] : [server, client];
        await near.write(part);
        return within(patienceMs, () => far.received === said[from]);
      },
      close: async () => {
        await client.reset();
        await server.waitForEnd();
      },
    };
  }

  async #bind({ port, family }: Script): Promise<Line> {
    const server = await this.#server.bind(this.#tracker.lab.server[family], port);
    const client = await this.#client.bind(this.#tracker.lab.client[family]);
    return {
      master: { protocol: 'udp', family, client: client.local, server: server.local },
      send: async (from, part, patienceMs) => {
        const [near, far] = from === 'client' ? [client, server] : [server, client];
        const before = far.received.length;
        await near.send(far.local, part);
        return within(patienceMs, () => far.received[before]?.data === part);
      },
      close: async () => {
        await Promise.all([client.close(), server.close()]);
      },
    };
  }
}

/** An open connection, or a pair of sockets. `send` says whether the part has arrived. */
interface Line {
  readonly master: Master;
  readonly send: (from: Step['from'], part: string, patienceMs: number) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

async function within(patienceMs: number, look: () => boolean): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  while (!look()) {
    if (Date.now() > deadline) return false;
    await sleep(2);
  }
  return true;
}

// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import {
  concat,
  openRawPlace,
  tcp,
  tcpOption,
  type Bytes,
  type DecodedTcp,
  type Lab,
  type RawPlace,
  type TcpOptions,
} from '@relatd/lab';
import type { ControlFlow, Expectation } from '@relatd/model';
import { expect } from 'vitest';
import { eventually, type Gateway } from './gateway.js';

/** Where both ends of a {@link RawConnection} are. */
export interface RawPlaces extends AsyncDisposable {
  readonly client: RawPlace;
  readonly server: RawPlace;
}

/** Addresses at both sides of the gateway that no kernel answers for. */
export async function openRawPlaces(lab: Lab): Promise<RawPlaces> {
  const client = await openRawPlace(lab, lab.client, '10.77.1.99');
  const server = await openRawPlace(lab, lab.server, '10.77.2.99');
  return {
    client,
    server,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    },
  };
}

/** How a {@link RawConnection} begins. */
export interface RawStart {
  clientPort?: number;
  serverPort?: number;
  clientIsn?: number;
  serverIsn?: number;
  /** False: not even the greeting is sent. */
  login?: boolean;
  /** After the login the client says what only user space can judge: from then on lines are held. Default false. */
  judged?: boolean;
}

/** What makes a connection one that user space judges, and its answer. */
export const judgedBy = { command: 'ABOR\r\n', reply: '226 nothing to abort\r\n' } as const;

/** What has arrived at an end, and what it may send. Nothing is acknowledged or repeated by itself. */
export class RawEnd {
  readonly place: RawPlace;
  readonly port: number;
  /** Sequence number of the next byte to send. */
  next: number;
  /** Sequence number of the next byte of the other end. */
  expected = 0;
  /** The other end; set by {@link RawConnection}. */
  peer!: RawEnd;
  readonly #from: number;

  constructor(place: RawPlace, port: number, isn: number) {
    this.place = place;
    this.port = port;
    this.next = isn >>> 0;
    this.#from = place.port.frames.length;
  }

  build(over: Partial<TcpOptions>): Uint8Array {
    const { place, peer, port } = this;
    return tcp({
      ...{ ...place.link, src: place.address, dst: peer.place.address, sport: port, dport: peer.port },
      ...{ seq: this.next, ack: this.expected, ...over },
    });
  }

  /** Sends segments at once, in this order, and counts nothing. */
  async send(...segments: Partial<TcpOptions>[]): Promise<void> {
    await this.place.port.send(...segments.map((segment) => this.build(segment)));
  }

  /** Sends bytes and waits until they are at the other end, which then acknowledges them. */
  async say(payload: Bytes, over: Partial<TcpOptions> = {}): Promise<void> {
    const seq = this.next;
    await this.send({ payload, ...over });
    await this.peer.sees(seq, payload);
    await this.moved(concat(payload).length);
  }

  /** So much more has been sent by hand, and is acknowledged. */
  async moved(bytes: number): Promise<void> {
    this.next = (this.next + bytes) >>> 0;
    this.peer.expected = this.next;
    await this.peer.send({});
  }

  /** What has come in for this connection, in order of arrival. */
  arrived(): DecodedTcp[] {
    const { place, peer, port } = this;
    return place.port.frames.slice(this.#from).flatMap(({ direction, ip, tcp: segment }) => {
      const mine = direction === 'in' && ip?.src === peer.place.address && ip.dst === place.address;
      return mine && segment?.sport === peer.port && segment.dport === port ? [segment] : [];
    });
  }

  /** Payloads that have come in, in order of arrival, repetitions included. */
  texts(): string[] {
    return this.arrived().flatMap(({ payload }) => (payload.length === 0 ? [] : [latin1(payload)]));
  }

  /** Waits for a segment. */
  async gets(accept: (segment: DecodedTcp) => boolean, timeoutMs = 3000): Promise<DecodedTcp> {
    return eventually(
      () => this.arrived().find(accept),
      () => `it did not arrive; this did: ${JSON.stringify(this.arrived().map(shown))}`,
      timeoutMs,
    );
  }

  /** Waits for a payload at its place. */
  async sees(seq: number, payload: Bytes, timeoutMs?: number): Promise<void> {
    const text = latin1(concat(payload));
    await this.gets((segment) => segment.seq === seq >>> 0 && latin1(segment.payload) === text, timeoutMs);
  }

  /** A SYN of a new connection to a port of the other end. Whether it gets through: another one, that may, is behind it. */
  async opens(port: number, from = 5555): Promise<boolean> {
    const { place, peer } = this;
    const ends = { ...place.link, src: place.address, dst: peer.place.address, flags: 'S' } as const;
    const begin = peer.place.port.frames.length;
    // The firewall lets everything pass that has a control port at one end.
    const fence = { sport: 2121, dport: 9 };
    await place.port.send(tcp({ ...ends, sport: from, dport: port, seq: 4000 }));
    await place.port.send(tcp({ ...ends, ...fence }));
    const came = (sport: number, dport: number): boolean =>
      peer.place.port.frames
        .slice(begin)
        .some(
          ({ ip, tcp: segment }) =>
            ip?.src === place.address && segment?.flags === 'S' && segment.sport === sport && segment.dport === dport,
        );
    await eventually(
      () => (came(fence.sport, fence.dport) ? true : undefined),
      () => 'nothing gets through',
    );
    // They may have been sent on different CPUs.
    await sleep(30);
    return came(from, port);
  }
}

/** A control connection of which every segment of both ends is the test's own. */
export class RawConnection {
  readonly client: RawEnd;
  readonly server: RawEnd;
  readonly gateway: Gateway;
  /** Of the control flow; empty when it is not tracked. */
  id = '';

  private constructor(gateway: Gateway, client: RawEnd, server: RawEnd) {
    this.gateway = gateway;
    this.client = client;
    this.server = server;
    client.peer = server;
    server.peer = client;
  }

  /** Ends without a handshake. */
  static ends(gateway: Gateway, places: RawPlaces, start: RawStart = {}): RawConnection {
    const { clientPort = nextPort++, serverPort = 2121, clientIsn = 1000, serverIsn = 2000 } = start;
    return new RawConnection(
      gateway,
      new RawEnd(places.client, clientPort, clientIsn),
      new RawEnd(places.server, serverPort, serverIsn),
    );
  }

  /** A tracked connection; the client is logged in. */
  static async open(gateway: Gateway, places: RawPlaces, start: RawStart = {}): Promise<RawConnection> {
    const self = RawConnection.ends(gateway, places, start);
    await self.handshake();
    await self.tracked();
    if (start.login !== false) await self.login();
    if (start.judged === true) {
      await self.client.say(judgedBy.command);
      await self.server.say(judgedBy.reply);
    }
    return self;
  }

  async handshake(): Promise<void> {
    const { client, server } = this;
    await client.send({ flags: 'S', ack: 0, options: [tcpOption.mss(1460)] });
    await server.gets(({ flags }) => flags === 'S');
    client.next = (client.next + 1) >>> 0;
    server.expected = client.next;
    await server.send({ flags: 'SA', options: [tcpOption.mss(1460)] });
    await client.gets(({ flags }) => flags === 'SA');
    server.next = (server.next + 1) >>> 0;
    client.expected = server.next;
    await client.send({});
    await server.gets(({ flags, seq }) => flags === 'A' && seq === client.next);
  }

  /** Waits for the control flow. */
  async tracked(): Promise<void> {
    const { flow } = await this.gateway.event('control.new', (event) => this.#isMine(event.flow));
    this.id = flow.id;
  }

  async login(): Promise<void> {
    await this.server.say('220 ready\r\n');
    await this.client.say('USER alice\r\n');
    await this.server.say('331 password\r\n');
    await this.client.say('PASS sesame\r\n');
    await this.server.say('230 in\r\n');
  }

  /** Nothing of this connection stays for later tests. */
  async close(): Promise<void> {
    await this.client.send({ flags: 'RA' });
    await this.gateway.event('control.end', ({ flow }) => flow.id === this.id);
  }

  async flow(): Promise<ControlFlow | undefined> {
    const flows = await this.gateway.flows({ kind: 'control' });
    return flows.find((flow): flow is ControlFlow => flow.kind === 'control' && this.#isMine(flow));
  }

  async trust(): Promise<string | undefined> {
    return (await this.flow())?.trust;
  }

  async becomes(trust: string): Promise<void> {
    let last: string | undefined;
    await eventually(
      async () => ((last = await this.trust()) === trust ? true : undefined),
      () => `trust is ${last}, not ${trust}`,
    );
  }

  /** Live expectations. */
  async expectations(): Promise<Expectation[]> {
    return (await this.gateway.expectations()).filter(({ master }) => master === this.id);
  }

  /** Ports that were ever expected, in order; one that was given back or refreshed under a new id counts again. */
  expected(): unknown[] {
    return this.gateway
      .of('expectation.new')
      .filter(({ expectation }) => expectation.master === this.id)
      .map(({ expectation }) => expectation.destination.port);
  }

  async expects(port: number): Promise<Expectation> {
    const { expectation } = await this.gateway.event(
      'expectation.new',
      ({ expectation: { master, destination } }) => master === this.id && destination.port === port,
    );
    return expectation;
  }

  async expectsNothing(): Promise<void> {
    expect(await this.expectations()).toEqual([]);
    expect(this.expected()).toEqual([]);
  }

  #isMine({ source, destination }: ControlFlow): boolean {
    const { client, server } = this;
    return (
      source.address === client.place.address &&
      source.port === client.port &&
      destination.address === server.place.address &&
      destination.port === server.port
    );
  }
}

let nextPort = 10_000;

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function shown({ flags, seq, ack, payload }: DecodedTcp): string {
  return `${flags} seq ${seq} ack ${ack} ${latin1(payload)}`;
}

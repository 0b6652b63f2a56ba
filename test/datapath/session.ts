// SPDX-License-Identifier: Apache-2.0
import { tcp, type TcpOptions } from '@relatd/lab';
import { RequestOp, requestBytes, second, tuple, type End, type Outcome, type Place, type Rig } from './rig.js';
import type { RequestRecord, TupleRecord } from '../../packages/datapath/src/generated/layout.js';

export type Direction = 'client' | 'server';

export const client4: End = { address: '10.0.1.2', port: 40000 };
export const server4: End = { address: '10.0.2.2', port: 21 };
export const client6: End = { address: '2001:db8:1::2', port: 40000 };
export const server6: End = { address: '2001:db8:2::2', port: 21 };

/** What of a segment differs from the next regular one of its sender. */
export type Segment = Partial<
  Pick<TcpOptions, 'flags' | 'payload' | 'seq' | 'ack' | 'ttl' | 'window' | 'vlan' | 'options' | 'checksum'>
>;

export interface SessionOptions {
  readonly client?: End;
  readonly server?: End;
  readonly clientSeq?: number;
  readonly serverSeq?: number;
  /** Where packets of each side are first seen. */
  readonly clientAt?: Place;
  readonly serverAt?: Place;
}

/** One TCP connection, seen by a rig: keeps both sides' sequence numbers. */
export class Session {
  readonly rig: Rig;
  readonly client: End;
  readonly server: End;
  readonly at: Readonly<Record<Direction, Place>>;
  /** Next sequence number of each side, unwrapped. */
  readonly next: Record<Direction, number>;

  constructor(rig: Rig, options: SessionOptions = {}) {
    this.rig = rig;
    this.client = options.client ?? client4;
    this.server = options.server ?? server4;
    this.at = { client: options.clientAt ?? { on: 'lan' }, server: options.serverAt ?? { on: 'wan' } };
    this.next = { client: options.clientSeq ?? 1000, server: options.serverSeq ?? 5000 };
  }

  /** A session whose handshake is done. */
  static open(rig: Rig, options: SessionOptions = {}): Session {
    const session = new Session(rig, options);
    session.handshake();
    return session;
  }

  /** The connection's tuple as the client's packets have it. */
  get tuple(): TupleRecord {
    return tuple(this.client, this.server);
  }

  /** The bytes of a segment; changes nothing. */
  bytes(from: Direction, segment: Segment = {}): Uint8Array {
    const [source, destination] = from === 'client' ? [this.client, this.server] : [this.server, this.client];
    const other = from === 'client' ? 'server' : 'client';
    return tcp({
      src: source.address ?? '',
      dst: destination.address ?? '',
      sport: source.port,
      dport: destination.port,
      seq: this.next[from] >>> 0,
      ack: this.next[other] >>> 0,
      ethernet: this.at[from].ethernet ?? true,
      ...segment,
    });
  }

  /** Runs a segment past its hook without moving any sequence number. */
  probe(from: Direction, segment: Segment = {}, place: Partial<Place> = {}): Outcome {
    return this.rig.packet(this.bytes(from, segment), { ...this.at[from], ...place });
  }

  /** Sends the next segment: sequence numbers move by what it has. */
  send(from: Direction, segment: Segment = {}, place: Partial<Place> = {}): Outcome {
    const result = this.probe(from, segment, place);
    const flags = segment.flags ?? '';
    const payload = segment.payload ?? '';
    this.next[from] += payload.length + (typeof flags === 'string' && /[SF]/.test(flags) ? 1 : 0);
    return result;
  }

  handshake(): void {
    this.send('client', { flags: 'S', ack: 0 });
    this.send('server', { flags: 'SA' });
    this.send('client', { flags: 'A' });
  }

  /** The packet as user space writes it back: at its hook, with the release mark. */
  release(from: Direction, segment: Segment): Outcome {
    return this.probe(from, segment, { mark: this.rig.releaseMark });
  }

  /** Asks for an expectation of this control connection: by default for a passive data connection. */
  expect(parts: Partial<RequestRecord> = {}, source?: End, destination?: End): RequestRecord {
    return this.rig.request(this.#order(parts, source, destination));
  }

  /** The same as bytes for the program that serves requests. */
  expectBytes(parts: Partial<RequestRecord> = {}, source?: End, destination?: End): Uint8Array {
    return requestBytes([this.#order(parts, source, destination)]);
  }

  #order(
    parts: Partial<RequestRecord>,
    source: End = { address: this.client.address, port: 0 },
    destination: End = { address: this.server.address, port: 50000 },
  ): Partial<RequestRecord> {
    return {
      op: RequestOp.expect,
      master: this.tuple,
      tuple: tuple(source, destination),
      timeout: 300n * second,
      limit: 1,
      ...parts,
    };
  }

  /** The passive data connection that {@link expect} announces. */
  data(options: SessionOptions = {}): Session {
    return new Session(this.rig, {
      client: { address: this.client.address, port: 41000 },
      server: { address: this.server.address, port: 50000 },
      clientSeq: 70000,
      serverSeq: 90000,
      clientAt: this.at.client,
      serverAt: this.at.server,
      ...options,
    });
  }
}

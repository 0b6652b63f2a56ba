// SPDX-License-Identifier: Apache-2.0
import type { Config } from '@relatd/config';
import { concat, tcp, udp, type TcpOptions, type UdpOptions } from '@relatd/lab';
import { formatEvent } from '@relatd/model';
import { configOf } from '../testing.js';
import type { CapturedPacket } from './capture.js';
import { Replay } from './replay.js';

export const ETHERNET = 1;

/** For tests: a packet as a capture has it, by default whole, of Ethernet and without an interface's name. */
export function captured(data: Uint8Array, more: Partial<CapturedPacket> = {}): CapturedPacket {
  return { time: 0, length: data.length, data, link: ETHERNET, interface: 0, name: null, side: null, ...more };
}

/** The same packet in Linux's cooked form, as a capture of all interfaces has it. */
export function cooked(frame: Uint8Array, ifindex: number, side: 'in' | 'out'): Pick<CapturedPacket, 'data' | 'link'> {
  const header = new Uint8Array(20);
  header.set(frame.subarray(12, 14));
  header[7] = ifindex;
  header[10] = side === 'out' ? 4 : 0;
  return { data: concat(header, frame.subarray(14)), link: 276 };
}

export interface Ends {
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  readonly serverPort: number;
}

/** A capture in the making. Its clock goes on by a millisecond with each packet. */
export class Recording {
  readonly packets: CapturedPacket[] = [];
  /** Milliseconds since 1970. */
  now = Date.UTC(2026, 10, 22, 12);
  /** What becomes of each frame; by default it is captured once. */
  shape: (frame: Uint8Array) => readonly Partial<CapturedPacket>[] = () => [{}];

  frame(frame: Uint8Array): this {
    for (const more of this.shape(frame)) {
      const data = more.data ?? frame;
      this.packets.push(captured(data, { length: data.length, time: this.now, ...more }));
    }
    this.now += 1;
    return this;
  }

  tcp(options: TcpOptions): this {
    return this.frame(tcp(options));
  }

  udp(options: UdpOptions): this {
    return this.frame(udp(options));
  }

  wait(milliseconds: number): this {
    this.now += milliseconds;
    return this;
  }

  /** What comes of it: events as people see them, without times, and the summary. */
  play(config: string | Config = 'assignments: [{ helper: ftp, port: 21 }]') {
    const replay = new Replay(typeof config === 'string' ? configOf(config) : config);
    const events = [...replay.play(this.packets)];
    const lines = events.map((event) => formatEvent(event).replace(/^\S+ /, '').replaceAll(/ +/g, ' '));
    return { events, lines, summary: replay.summary };
  }
}

/** A TCP connection in a recording. */
export class Conversation {
  readonly #recording: Recording;
  readonly #ends: Ends;
  client = 1000;
  server = 5000;

  constructor(recording: Recording, ends: Partial<Ends> = {}) {
    this.#recording = recording;
    this.#ends = { client: '10.0.1.2', clientPort: 45678, server: '10.0.2.2', serverPort: 21, ...ends };
  }

  /** A segment of the client's; `advance` moves its sequence number on. */
  fromClient(more: Partial<TcpOptions> = {}): this {
    const { client, clientPort, server, serverPort } = this.#ends;
    const common = { src: client, dst: server, sport: clientPort, dport: serverPort };
    this.#recording.tcp({ ...common, seq: this.client, ack: this.server, ...more });
    return this;
  }

  fromServer(more: Partial<TcpOptions> = {}): this {
    const { client, clientPort, server, serverPort } = this.#ends;
    const common = { src: server, dst: client, sport: serverPort, dport: clientPort };
    this.#recording.tcp({ ...common, seq: this.server, ack: this.client, ...more });
    return this;
  }

  /** The handshake. */
  open(): this {
    this.syn().synAck();
    return this.fromClient();
  }

  syn(more: Partial<TcpOptions> = {}): this {
    this.fromClient({ flags: 'S', ack: 0, ...more });
    this.client++;
    return this;
  }

  synAck(more: Partial<TcpOptions> = {}): this {
    this.fromServer({ flags: 'SA', ...more });
    this.server++;
    return this;
  }

  /** The client sends a line, and the server acknowledges it. */
  says(line: string): this {
    this.fromClient({ payload: `${line}\r\n` });
    this.client += line.length + 2;
    return this.fromServer();
  }

  replies(line: string): this {
    this.fromServer({ payload: `${line}\r\n` });
    this.server += line.length + 2;
    return this.fromClient();
  }

  /** Of FTP, up to the log-in. */
  logIn(): this {
    return this.open().replies('220 ready').says('USER alice').replies('331 more').says('PASS x').replies('230 in');
  }

  /** Both sides send their FIN. */
  close(): this {
    this.fromClient({ flags: 'FA' });
    this.client++;
    this.fromServer({ flags: 'FA' });
    this.server++;
    return this.fromClient();
  }
}

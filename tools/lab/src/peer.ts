// SPDX-License-Identifier: Apache-2.0
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from './namespace.js';
import { concat, type Bytes } from './packet.js';
import { PeerSocket } from './peerSocket.js';
import type { RunningProcess } from './process.js';
import { Signal } from './signal.js';

/** An address and a port. */
export interface Endpoint {
  address: string;
  port: number;
}

// Runs inside the namespace, where this process cannot go: it takes commands and reports events, a JSON text per line.
const script = `
const net = require('node:net');
const dgram = require('node:dgram');
const sockets = new Map();
const listeners = new Map();
const datagrams = new Map();
let last = 0;
const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
function adopt(socket) {
  const id = ++last;
  sockets.set(id, socket);
  socket.setNoDelay(true);
  socket.on('data', (data) => say({ event: 'data', socket: id, data: data.toString('base64') }));
  socket.on('end', () => say({ event: 'end', socket: id }));
  socket.on('error', (error) => say({ event: 'error', socket: id, code: error.code }));
  socket.on('close', () => { sockets.delete(id); say({ event: 'close', socket: id }); });
  return {
    socket: id,
    local: { address: socket.localAddress, port: socket.localPort },
    remote: { address: socket.remoteAddress, port: socket.remotePort },
  };
}
const commands = {
  listen({ options }, answer) {
    const server = net.createServer({ allowHalfOpen: true });
    server.once('error', (error) => answer({ error: error.code }));
    server.listen({ ...options, exclusive: true }, () => {
      const id = ++last;
      listeners.set(id, server);
      server.on('connection', (socket) => say({ event: 'connection', listener: id, ...adopt(socket) }));
      answer({ listener: id, local: { address: server.address().address, port: server.address().port } });
    });
  },
  connect({ options }, answer) {
    const socket = net.connect({ ...options, allowHalfOpen: true });
    const fail = (error) => answer({ error: error.code });
    socket.once('error', fail);
    socket.once('connect', () => { socket.off('error', fail); answer(adopt(socket)); });
  },
  write({ socket, data }, answer) {
    const target = sockets.get(socket);
    if (!target) return answer({ error: 'EPIPE' });
    target.write(Buffer.from(data, 'base64'), (error) => answer(error ? { error: error.code } : {}));
  },
  end({ socket }, answer) { sockets.get(socket)?.end(); answer({}); },
  reset({ socket }, answer) { sockets.get(socket)?.resetAndDestroy(); answer({}); },
  close({ listener }, answer) { listeners.get(listener)?.close(); answer({}); },
  bind({ type, options }, answer) {
    const socket = dgram.createSocket({ type, ipv6Only: type === 'udp6' });
    const fail = (error) => answer({ error: error.code });
    socket.once('error', fail);
    socket.bind({ ...options, exclusive: true }, () => {
      socket.off('error', fail);
      socket.on('error', () => undefined);
      const id = ++last;
      datagrams.set(id, socket);
      socket.on('message', (data, { address, port }) => {
        say({ event: 'datagram', datagrams: id, data: data.toString('base64'), remote: { address, port } });
      });
      const { address, port } = socket.address();
      answer({ datagrams: id, local: { address, port } });
    });
  },
  send({ datagrams: id, data, to }, answer) {
    const socket = datagrams.get(id);
    if (!socket) return answer({ error: 'EBADF' });
    socket.send(Buffer.from(data, 'base64'), to.port, to.address, (error) => answer(error ? { error: error.code } : {}));
  },
  unbind({ datagrams: id }, answer) {
    const socket = datagrams.get(id);
    datagrams.delete(id);
    if (socket) socket.close(() => answer({}));
    else answer({});
  },
};
const lines = require('node:readline').createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { id, op, ...rest } = JSON.parse(line);
  commands[op](rest, (result) => say({ id, ...result }));
});
lines.on('close', () => process.exit());
say({ id: 0 });
`;

interface Message {
  id?: number;
  event?: string;
  socket?: number;
  listener?: number;
  datagrams?: number;
  local?: Endpoint;
  remote?: Endpoint;
  data?: string;
  code?: string;
  error?: string;
}

/** A program inside a namespace that listens, connects, speaks and hears as the test says. */
export class Peer implements AsyncDisposable {
  readonly #connections = new Map<number, PeerConnection>();
  readonly #listeners = new Map<number, PeerListener>();
  readonly #sockets = new Map<number, PeerSocket>();
  readonly #pending = new Map<number, (message: Message) => void>();
  #process!: RunningProcess;
  #last = 0;
  #rest = '';

  private constructor() {
    // Made by start alone.
  }

  /** Starts a peer; takes about 50 ms. */
  static async start(namespace: Namespace): Promise<Peer> {
    const peer = new Peer();
    const ready = new Promise<void>((resolve) => peer.#pending.set(0, () => resolve()));
    peer.#process = await namespace.spawn(process.execPath, ['-e', script], { onStdout: (text) => peer.#take(text) });
    void peer.#process.exited.then(() => {
      for (const settle of peer.#pending.values()) settle({ error: `the peer has ended: ${peer.#process.stderr}` });
    });
    await ready;
    return peer;
  }

  /** Listens; port 0 (the default) takes a free one. Rejects with the system's error code. */
  async listen(port = 0, host?: string): Promise<PeerListener> {
    const answer = await this.ask('listen', { options: { port, host } });
    const listener = new PeerListener(this, answer.listener ?? 0, answer.local ?? { address: '', port });
    this.#listeners.set(answer.listener ?? 0, listener);
    return listener;
  }

  /** Connects; rejects with the system's error code in the message (`ECONNREFUSED`), or `timeout` after `timeoutMs`. */
  async connect(
    host: string,
    port: number,
    { timeoutMs = 5000, ...local }: { localAddress?: string; localPort?: number; timeoutMs?: number } = {},
  ): Promise<PeerConnection> {
    const answer = await this.ask('connect', { options: { host, port, ...local } }, timeoutMs);
    const connection = this.#connections.get(answer.socket ?? 0);
    if (!connection) throw new Error('connect: the peer named no connection');
    return connection;
  }

  /** Opens a UDP socket on an address of either family; port 0 (the default) takes a free one. */
  async bind(address: string, port = 0): Promise<PeerSocket> {
    const type = isIPv6(address) ? 'udp6' : 'udp4';
    const answer = await this.ask('bind', { type, options: { address, port } });
    const socket = this.#sockets.get(answer.datagrams ?? 0);
    if (!socket) throw new Error('bind: the peer named no socket');
    return socket;
  }

  /** Ends the peer; its connections are closed as the kernel closes them. */
  async close(): Promise<void> {
    await this.#process.stop({ graceMs: 500 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Used by connections, listeners and sockets. */
  async ask(op: string, rest: object, timeoutMs = 5000): Promise<Message> {
    const id = ++this.#last;
    const answer = new Promise<Message>((resolve) => this.#pending.set(id, resolve));
    await this.#process.write(`${JSON.stringify({ id, op, ...rest })}\n`);
    const timeout = new AbortController();
    const late = sleep(timeoutMs, { error: 'timeout' } satisfies Message, { signal: timeout.signal }).catch(() => ({}));
    const message: Message = await Promise.race([answer, late]);
    timeout.abort();
    this.#pending.delete(id);
    if (message.error !== undefined) throw new Error(`${op}: ${message.error}`);
    return message;
  }

  #adopt(message: Message): PeerConnection {
    const nowhere = { address: '', port: 0 };
    const id = message.socket ?? 0;
    const connection = new PeerConnection(this, id, message.local ?? nowhere, message.remote ?? nowhere);
    this.#connections.set(id, connection);
    return connection;
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      if (message.id !== undefined) {
        // Its first data may be in the same chunk, before whoever asked for the connection runs again.
        if (message.socket !== undefined) this.#adopt(message);
        if (message.datagrams !== undefined) {
          const socket = new PeerSocket(this, message.datagrams, message.local ?? { address: '', port: 0 });
          this.#sockets.set(message.datagrams, socket);
        }
        this.#pending.get(message.id)?.(message);
      } else if (message.event === 'connection') {
        this.#listeners.get(message.listener ?? 0)?.offer(this.#adopt(message));
      } else if (message.event === 'datagram') {
        this.#sockets.get(message.datagrams ?? 0)?.report(message);
      } else {
        this.#connections.get(message.socket ?? 0)?.report(message);
      }
    }
  }
}

/** Where a {@link Peer} listens. */
export class PeerListener {
  readonly port: number;
  readonly address: string;
  readonly #peer: Peer;
  readonly #id: number;
  readonly #arrived: PeerConnection[] = [];
  readonly #signal = new Signal();

  /** Used by {@link Peer}. */
  constructor(peer: Peer, id: number, local: Endpoint) {
    this.#peer = peer;
    this.#id = id;
    this.port = local.port;
    this.address = local.address;
  }

  /** The next connection that came; rejects when none comes within `timeoutMs` (default 5,000). */
  async accept(timeoutMs = 5000): Promise<PeerConnection> {
    return this.#signal.until(
      () => this.#arrived.shift(),
      timeoutMs,
      () => `nobody connected to port ${this.port}`,
    );
  }

  /** Stops listening; its connections stay. */
  async close(): Promise<void> {
    await this.#peer.ask('close', { listener: this.#id });
  }

  /** Used by {@link Peer}. */
  offer(connection: PeerConnection): void {
    this.#arrived.push(connection);
    this.#signal.raise();
  }
}

/** A TCP connection of a {@link Peer}. Nothing is delayed to fill segments, and each side's FIN is sent when told. */
export class PeerConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** All bytes that came, Latin-1. {@link readLine} takes nothing away. */
  received = '';
  /** The other side sent FIN. */
  ended = false;
  /** Both directions are over. */
  closed = false;
  /** Code of the error that ended it, such as `ECONNRESET`. */
  error: string | undefined;
  readonly #peer: Peer;
  readonly #id: number;
  readonly #signal = new Signal();
  #lineAt = 0;

  /** Used by {@link Peer}. */
  constructor(peer: Peer, id: number, local: Endpoint, remote: Endpoint) {
    this.#peer = peer;
    this.#id = id;
    this.local = local;
    this.remote = remote;
  }

  /** Writes; resolves when the kernel has it. The bytes go out at once, in one segment if they fit. */
  async write(data: Bytes): Promise<void> {
    const base64 = Buffer.from(concat(data)).toString('base64');
    await this.#peer.ask('write', { socket: this.#id, data: base64 });
  }

  /** Writes each part in a segment of its own, with a pause between two. */
  async writeSegments(parts: readonly Bytes[], pauseMs = 20): Promise<void> {
    for (const [i, part] of parts.entries()) {
      if (i > 0) await sleep(pauseMs);
      await this.write(part);
    }
  }

  /** The next line without its end; rejects when none comes within `timeoutMs` (default 5,000). */
  async readLine(timeoutMs = 5000): Promise<string> {
    const line = (): string | undefined => {
      const end = this.received.indexOf('\n', this.#lineAt);
      if (end < 0) return undefined;
      const text = this.received.slice(this.#lineAt, end).replace(/\r$/, '');
      this.#lineAt = end + 1;
      return text;
    };
    return this.#signal.until(line, timeoutMs, () => `no line; received:\n${this.received}`);
  }

  /** Waits until all that was received matches; rejects after `timeoutMs` (default 5,000). */
  async waitFor(pattern: RegExp, timeoutMs = 5000): Promise<RegExpExecArray> {
    const match = (): RegExpExecArray | undefined => pattern.exec(this.received) ?? undefined;
    return this.#signal.until(match, timeoutMs, () => `no ${pattern}; received:\n${this.received}`);
  }

  /** Waits for the other side's FIN, or the end of the connection. */
  async waitForEnd(timeoutMs = 5000): Promise<void> {
    const over = (): true | undefined => (this.ended || this.closed ? true : undefined);
    await this.#signal.until(over, timeoutMs, () => 'the other side did not end');
  }

  /** Sends FIN. */
  async end(): Promise<void> {
    await this.#peer.ask('end', { socket: this.#id });
  }

  /** Sends RST. */
  async reset(): Promise<void> {
    await this.#peer.ask('reset', { socket: this.#id });
  }

  /** Used by {@link Peer}. */
  report(message: { event?: string; data?: string; code?: string }): void {
    if (message.event === 'data') this.received += Buffer.from(message.data ?? '', 'base64').toString('latin1');
    else if (message.event === 'end') this.ended = true;
    else if (message.event === 'error') this.error = message.code;
    else if (message.event === 'close') this.closed = true;
    this.#signal.raise();
  }
}

// SPDX-License-Identifier: Apache-2.0
import { isIPv6 } from 'node:net';
import { addressBytes, addressText } from '../address.js';
import type { Peer, PeerConnection, PeerListener } from '../peer.js';

/** An offer of DCC that came. */
export interface DccOffer {
  readonly from: string;
  /** `SEND`, `CHAT`, … */
  readonly type: string;
  /** File name, or `chat`. */
  readonly argument: string;
  readonly address: string;
  readonly port: number;
}

/** An address as DCC writes it: IPv4 as one decimal number, IPv6 as text. */
export function dccAddress(address: string): string {
  if (isIPv6(address)) return address;
  return String(addressBytes(address).reduce((number, byte) => number * 256 + byte, 0));
}

function readDccAddress(text: string): string {
  if (text.includes(':')) return text;
  const number = Number(text);
  return addressText(Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number));
}

/** An IRC client that says what the test wants, byte by byte. It answers the server's pings. */
export class ScriptedIrcClient {
  readonly nick: string;
  readonly peer: Peer;
  readonly connection: PeerConnection;

  private constructor(nick: string, peer: Peer, connection: PeerConnection) {
    this.nick = nick;
    this.peer = peer;
    this.connection = connection;
  }

  /** Connects and registers (RFC 2812, 3.1); resolves when the server has welcomed the client. */
  static async connect(
    peer: Peer,
    { server, port = 6667, nick }: { server: string; port?: number; nick: string },
  ): Promise<ScriptedIrcClient> {
    const client = new ScriptedIrcClient(nick, peer, await peer.connect(server, port));
    await client.connection.write(`NICK ${nick}\r\nUSER ${nick} 0 * :${nick}\r\n`);
    await client.line(/^\S+ 001 /);
    return client;
  }

  /** Skips lines until one matches; pings on the way are answered. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const line = await this.connection.readLine(10_000);
      if (line.startsWith('PING ')) await this.connection.write(`PONG ${line.slice(5)}\r\n`);
      if (pattern.test(line)) return line;
    }
  }

  /** Offers to be connected to, in one segment unless there are several parts. */
  async offer(to: string, type: string, argument: string, at: { address: string; port: number }): Promise<void> {
    const text = `\x01DCC ${type} ${argument} ${dccAddress(at.address)} ${at.port}\x01`;
    await this.connection.write(`PRIVMSG ${to} :${text}\r\n`);
  }

  /** Waits on a free port of an address, and offers it. */
  async listenAndOffer(to: string, type: string, argument: string, address: string): Promise<PeerListener> {
    const listener = await this.peer.listen(0, address);
    await this.offer(to, type, argument, { address, port: listener.port });
    return listener;
  }

  /** The next offer that comes. */
  async offered(): Promise<DccOffer> {
    const line = await this.line(/^:\S+ (PRIVMSG|NOTICE) \S+ :.DCC /);
    const match = /^:([^!\s]+)\S* \S+ \S+ :.DCC (\S+) ("[^"]*"|\S+) (\S+) (\d+)/.exec(line);
    if (match === null) throw new Error(`not an offer with an address: ${JSON.stringify(line)}`);
    const [, from = '', type = '', argument = '', address = '', port = ''] = match;
    return { from, type, argument, address: readDccAddress(address), port: Number(port) };
  }

  /** Connects to where an offer says. */
  async take({ address, port }: DccOffer, timeoutMs = 5000): Promise<PeerConnection> {
    return this.peer.connect(address, port, { timeoutMs });
  }
}

// SPDX-License-Identifier: Apache-2.0
import type { Host, Lab } from './lab.js';
import { concat, tcp, tcpOption, type Bytes, type TcpOptions } from './packet.js';
import { RawPort, type SeenFrame } from './rawPort.js';

/** Where a {@link RawTcp} speaks from and to. */
export interface RawTcpOptions {
  src: string;
  dst: string;
  sport: number;
  dport: number;
  sourceMac: string;
  destinationMac: string;
  /** First sequence number, default 1000. */
  isn?: number;
}

/**
 * One end of a TCP connection without a kernel behind it: every segment is the test's own. It acknowledges what comes in
 * order (unless told not to) and sends nothing again.
 */
export class RawTcp {
  /** Sequence number of the next new byte to send. */
  next: number;
  /** Sequence number of the next byte expected from the other end. */
  expected = 0;
  /** What came in order, Latin-1. */
  received = '';
  /** Whether the other end sent FIN, or RST. */
  finished = false;
  wasReset = false;
  /** False: what comes is taken, but not acknowledged. */
  acknowledge = true;
  readonly port: RawPort;
  readonly options: Readonly<RawTcpOptions>;
  readonly #stop: () => void;
  #established = false;

  private constructor(port: RawPort, options: RawTcpOptions) {
    this.port = port;
    this.options = options;
    this.next = (options.isn ?? 1000) >>> 0;
    this.#stop = port.onFrame((frame) => void this.#take(frame));
  }

  /** Opens a connection by the three-way handshake; rejects when no SYN-ACK comes. */
  static async connect(port: RawPort, options: RawTcpOptions): Promise<RawTcp> {
    const self = new RawTcp(port, options);
    await self.segment({ flags: 'S', ack: 0, options: [tcpOption.mss(1460)] });
    const answer = await port.find((frame) => self.#isMine(frame) && (frame.tcp?.flags.includes('S') ?? false));
    if (!answer?.tcp) throw new Error(`no SYN-ACK from ${options.dst} port ${options.dport}`);
    self.next = (self.next + 1) >>> 0;
    self.expected = (answer.tcp.seq + 1) >>> 0;
    self.#established = true;
    await self.segment({});
    return self;
  }

  /** Builds a segment of this connection; `seq` and `ack` default to what is next. */
  build(over: Partial<TcpOptions>): Uint8Array {
    const { isn: _isn, ...ends } = this.options;
    return tcp({ ...ends, seq: this.next, ack: this.expected, ...over });
  }

  /** Sends a segment and counts nothing: a copy, a forgery, something out of order. */
  async segment(over: Partial<TcpOptions>): Promise<void> {
    await this.port.send(this.build(over));
  }

  /** Sends the next bytes in one segment. */
  async write(payload: Bytes): Promise<void> {
    const frame = this.build({ payload });
    this.next = (this.next + concat(payload).length) >>> 0;
    await this.port.send(frame);
  }

  /** Sends FIN. */
  async end(): Promise<void> {
    const frame = this.build({ flags: 'FA' });
    this.next = (this.next + 1) >>> 0;
    await this.port.send(frame);
  }

  /** Waits until what came in order matches; rejects after `timeoutMs` (default 5,000). */
  async waitFor(pattern: RegExp, timeoutMs = 5000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.received);
      if (match) return match;
      if (Date.now() > deadline) throw new Error(`no ${pattern} within ${timeoutMs} ms; received:\n${this.received}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Stops listening; sends nothing. */
  close(): void {
    this.#stop();
  }

  #isMine({ direction, ip, tcp: segment }: SeenFrame): boolean {
    const { src, dst, sport, dport } = this.options;
    return (
      direction === 'in' && ip?.src === dst && ip.dst === src && segment?.sport === dport && segment.dport === sport
    );
  }

  async #take(frame: SeenFrame): Promise<void> {
    const segment = frame.tcp;
    if (!segment || !this.#established || !this.#isMine(frame)) return;
    if (segment.flags.includes('R')) this.wasReset = true;
    const ahead = (segment.seq - this.expected) | 0;
    const { payload } = segment;
    const fin = segment.flags.includes('F');
    if (payload.length === 0 && !fin) return;
    if (ahead <= 0 && -ahead < payload.length + (fin ? 1 : 0)) {
      this.received += Buffer.from(payload.subarray(-ahead)).toString('latin1');
      this.expected = (segment.seq + payload.length + (fin ? 1 : 0)) >>> 0;
      if (fin) this.finished = true;
    }
    // What came twice or too early is answered too: that is how the sender learns what is missing.
    if (this.acknowledge) await this.segment({}).catch(() => undefined);
  }
}

/** A place in a lab from which raw TCP can be spoken: an address of the host's subnet that no kernel answers for. */
export interface RawPlace extends AsyncDisposable {
  readonly port: RawPort;
  readonly address: string;
  readonly link: { sourceMac: string; destinationMac: string };
}

/** Prepares an address on a host's link, such as 10.77.1.99 on the client's, for {@link RawTcp.connect}. */
export async function openRawPlace(lab: Lab, host: Host, address: string): Promise<RawPlace> {
  await lab.addSilentAddress(host, address);
  const [port, sourceMac, destinationMac] = await Promise.all([
    RawPort.open(host),
    lab.mac(host),
    lab.mac(lab.gateway, lab.gatewayDevice(host)),
  ]);
  return { port, address, link: { sourceMac, destinationMac }, [Symbol.asyncDispose]: () => port.close() };
}

// SPDX-License-Identifier: Apache-2.0
import { decode, type DecodedFrame } from './decode.js';
import type { Namespace } from './namespace.js';
import { nativeTool } from './paths.js';
import type { RunningProcess } from './process.js';

/** A frame on the wire of a {@link RawPort}. */
export interface SeenFrame extends DecodedFrame {
  /** `in`: received by the interface; `out`: sent by it, by whomever. */
  direction: 'in' | 'out';
  data: Uint8Array;
}

/** An interface on which any frame can be sent and every frame is seen. */
export class RawPort implements AsyncDisposable {
  /** All that was seen so far, in order. */
  readonly frames: SeenFrame[] = [];
  #process!: RunningProcess;
  readonly #listeners = new Set<(frame: SeenFrame) => void>();
  readonly #barriers: ((error: Error | undefined) => void)[] = [];
  #rest = '';
  #error: Error | undefined;

  private constructor() {
    // Made by open alone.
  }

  /** Opens an interface. With `quiet` nothing is seen, as a flood wants it. Interfaces without Ethernet header work too. */
  static async open(namespace: Namespace, networkInterface = 'eth0', { quiet = false } = {}): Promise<RawPort> {
    const link = await namespace.run('ip', ['-o', 'link', 'show', 'dev', networkInterface]);
    const ethernet = /link\/(ether|loopback)/.test(link);
    const port = new RawPort();
    const args = quiet ? [networkInterface, 'quiet'] : [networkInterface];
    port.#process = await namespace.spawn(nativeTool('packet'), args, {
      onStdout: (text) => port.#take(text, ethernet),
    });
    void port.#process.exited.then((code) => port.#ended(code));
    // It answers when its socket is bound: what is sent to this interface from now on is seen.
    await port.send();
    return port;
  }

  /** Sends frames in order; resolves when all are on the wire, rejects when one was refused. */
  async send(...frames: readonly Uint8Array[]): Promise<void> {
    if (this.#process.exitCode !== undefined) throw this.#error ?? new Error('this raw port is closed');
    const lines = frames.map((frame) => `${Buffer.from(frame).toString('hex')}\n`);
    const sent = new Promise<void>((resolve, reject) => {
      this.#barriers.push((error) => (error ? reject(error) : resolve()));
    });
    await this.#process.write(`${lines.join('')}.\n`);
    await sent;
  }

  /** Calls back for every frame from now on; returns what ends that. */
  onFrame(listener: (frame: SeenFrame) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The first frame, seen already or to come, that satisfies `accept`; undefined after `timeoutMs` (default 2,000). */
  async find(accept: (frame: SeenFrame) => boolean, timeoutMs = 2000): Promise<SeenFrame | undefined> {
    const seen = this.frames.find(accept);
    if (seen) return seen;
    return new Promise((resolve) => {
      const stop = this.onFrame((frame) => {
        if (accept(frame)) done(frame);
      });
      const timer = setTimeout(() => done(undefined), timeoutMs);
      const done = (frame: SeenFrame | undefined): void => {
        stop();
        clearTimeout(timer);
        resolve(frame);
      };
    });
  }

  async close(): Promise<void> {
    this.#process.endInput();
    await this.#process.stop({ graceMs: 500 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #take(text: string, ethernet: boolean): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [word = '', hex = ''] = line.split(' ', 2);
      if (word === '.') {
        this.#barriers.shift()?.(this.#error);
        this.#error = undefined;
      } else if (word === 'error') {
        this.#error = new Error(`a frame was not sent: ${line.slice(6)}`);
      } else if (word === 'in' || word === 'out') {
        const data = new Uint8Array(Buffer.from(hex, 'hex'));
        const frame: SeenFrame = { direction: word, data, ...decode(data, { ethernet }) };
        this.frames.push(frame);
        for (const listener of [...this.#listeners]) listener(frame);
      }
    }
  }

  #ended(code: number): void {
    this.#error = new Error(`the raw port ended with ${code}: ${this.#process.stderr}`);
    for (const settle of this.#barriers.splice(0)) settle(this.#error);
  }
}

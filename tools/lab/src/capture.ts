// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { readPcap, type CapturedPacket } from './pcap.js';
import type { RunningProcess } from './process.js';

/** A running tcpdump. */
export class Capture implements AsyncDisposable {
  /** The pcap file; it goes with the namespace. */
  readonly path: string;
  readonly #tcpdump: RunningProcess;

  constructor(tcpdump: RunningProcess, path: string) {
    this.#tcpdump = tcpdump;
    this.path = path;
  }

  /** Ends the capture; returns its link type (1 Ethernet, 12 or 101 raw IP) and its packets. */
  async stop(): Promise<{ link: number; packets: CapturedPacket[] }> {
    // The last packets may still be on their way from the socket to the file.
    await sleep(100);
    await this.#tcpdump.stop({ signal: 'SIGINT' });
    return readPcap(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tcpdump.stop({ signal: 'SIGINT' });
  }
}

// SPDX-License-Identifier: Apache-2.0
import { binding, type NativeHold } from './binding.js';
import { handle } from './handle.js';
import type { Namespace } from './namespace.js';

/** How a hold device is made. */
export interface HoldOptions {
  namespace: Namespace;
  /** Interface name, at most 15 characters. */
  name: string;
  /** Frames that wait before the kernel drops: 1000. */
  queueLength?: number;
  /** At most 65521: the default, so that no held packet is too long. */
  mtu?: number;
  /** Where frames are put; at least 64 KiB + 16. */
  buffer: ArrayBuffer;
  /**
   * Gets the bytes in `buffer` (framing: see EventRing) and the number of frames, each with its Ethernet header. Valid until it
   * returns.
   */
  onFrames: (bytes: number, frames: number) => void;
  /** The device was deleted by somebody else: it is closed by then. */
  onGone?: () => void;
}

/** What became of written frames. */
export interface HoldCounters {
  readonly readFrames: number;
  readonly writtenFrames: number;
  /** Frames that the kernel could not take (EAGAIN, ENOBUFS). */
  readonly busy: number;
  /** Frames refused for another reason. */
  readonly refused: number;
  /** The errno of the last refusal, 0 for none. */
  readonly lastErrno: number;
}

/**
 * A TAP device in which packets wait for a verdict. Not persistent: it vanishes with its owner, also after kill -9. Up, without
 * ARP, IPv6 and multicast, so that the host itself never sends into it.
 */
export class HoldDevice {
  /** @internal */
  readonly [handle]: NativeHold;

  /** @throws RELATD_BUSY (the name is taken), RELATD_NO_PERMISSION, RELATD_NOT_FOUND (no /dev/net/tun) */
  constructor(options: HoldOptions) {
    const { onFrames, onGone } = options;
    this[handle] = new binding.HoldDevice(
      options.namespace[handle],
      options.name,
      options.queueLength ?? 1000,
      options.mtu ?? 65521,
      options.buffer,
      (bytes, frames, errno) => {
        if (errno !== 0) onGone?.();
        else onFrames(bytes, frames);
      },
    );
  }

  get ifindex(): number {
    return this[handle].ifindex;
  }

  get name(): string {
    return this[handle].name;
  }

  /** Writes frames in the same framing. Returns how many the kernel took; the others are counted, not queued. */
  write(frames: Uint8Array): number {
    return this[handle].write(frames);
  }

  counters(): HoldCounters {
    return this[handle].counters() as HoldCounters;
  }

  ref(): void {
    this[handle].ref();
  }

  unref(): void {
    this[handle].unref();
  }

  close(): void {
    this[handle].close();
  }
}

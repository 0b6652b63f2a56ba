// SPDX-License-Identifier: Apache-2.0
import {
  HoldDevice,
  attach,
  recordHeader,
  records,
  type Attachment,
  type BpfProgram,
  type Namespace,
} from '@relatd/native';

const DEVICE = 'relatd-hold';
const QUEUE = 8192;
const BUFFER_BYTES = 1 << 20;

/** Where in a batch the next record begins: each is padded to eight bytes. */
const padded = (bytes: number): number => (bytes + 7) & ~7;

/** The hold device with the program that sends released frames on. */
export class Hold {
  readonly #device: HoldDevice;
  /** Kept: the link ends when the collector finds nobody who holds it. */
  readonly #link: Attachment;

  /**
   * `onFrames` gets a batch of frames, views that are valid until it returns; `onGone` when somebody deleted the device.
   * @throws what making the device and attaching to it throw (native/); nothing is left then
   */
  constructor(namespace: Namespace, program: BpfProgram, onFrames: (frames: Uint8Array[]) => void, onGone: () => void) {
    const buffer = new ArrayBuffer(BUFFER_BYTES);
    this.#device = new HoldDevice({
      namespace,
      name: DEVICE,
      queueLength: QUEUE,
      buffer,
      onFrames: (bytes) => {
        onFrames(Array.from(records(buffer, bytes), ({ offset, length }) => new Uint8Array(buffer, offset, length)));
      },
      onGone,
    });
    try {
      const { ifindex } = this.#device;
      this.#link = attach({ program, namespace, ifindex, side: 'ingress', mode: 'auto', pin: null });
    } catch (error) {
      this.#device.close();
      throw error;
    }
  }

  get name(): string {
    return this.#device.name;
  }

  get ifindex(): number {
    return this.#device.ifindex;
  }

  /** Writes frames back. What the kernel cannot take is lost, and its sender repeats it. */
  release(frames: readonly Uint8Array[]): void {
    const batch = new Uint8Array(frames.reduce((bytes, { length }) => bytes + padded(recordHeader + length), 0));
    const view = new DataView(batch.buffer);
    let at = 0;
    for (const frame of frames) {
      view.setUint32(at, recordHeader + frame.length, true);
      batch.set(frame, at + recordHeader);
      at += padded(recordHeader + frame.length);
    }
    this.#device.write(batch);
  }

  close(): void {
    this.#link.close();
    this.#device.close();
  }
}

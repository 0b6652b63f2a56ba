// SPDX-License-Identifier: Apache-2.0
import { argumentError } from './errors.js';
import { binding, type NativeProgram } from './binding.js';
import { handle } from './handle.js';
import type { Namespace } from './namespace.js';

/** What the kernel knows about a loaded program. */
export interface ProgramInfo {
  readonly id: number;
  /** BPF_PROG_TYPE_ number. */
  readonly type: number;
  /** The kernel's name, cut to 15 characters. */
  readonly name: string;
  /** Hex of the kernel's hash over the instructions. */
  readonly tag: string;
  /** Filled only while kernel.bpf_stats_enabled is 1. */
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
  /** Runs refused because the program was already running on that CPU. */
  readonly recursionMisses: bigint;
  readonly jitedBytes: number;
  /** How many instructions the verifier looked at (limit: one million); 0 below 5.16. */
  readonly verifiedInstructions: number;
  readonly mapIds: readonly number[];
}

/** One BPF_PROG_TEST_RUN. */
export interface TestRun {
  /** The packet, for tc programs with its Ethernet header; at least 14 bytes. Absent for programs without packet. */
  data?: Uint8Array;
  /** Runs inside the kernel before it returns; `nanoseconds` is their mean. Default 1. */
  repeat?: number;
  /** ifindex of the device on which the packet is (above 1 it must exist in `namespace`). */
  ifindex?: number;
  /** ifindex by which it came in. Default: `ifindex`. */
  ingressIfindex?: number;
  mark?: number;
  priority?: number;
  /** Up to five words of skb->cb. */
  cb?: readonly number[];
  /** The whole context instead of the fields above (struct __sk_buff for tc programs). */
  ctx?: Uint8Array;
  /** The run happens in it: interfaces and conntrack are found there. Default: the caller's. */
  namespace?: Namespace;
}

/** What a test run gave back. */
export interface TestResult {
  /** The program's return value as signed 32 bits: -1 is TCX_NEXT. */
  readonly verdict: number;
  readonly data: Uint8Array;
  /** The context after the run (mark, cb …); decode with {@link skbField}. Empty when none went in. */
  readonly ctx: Uint8Array;
  readonly nanoseconds: number;
}

/** Offsets in struct __sk_buff (uapi, fixed since 4.x) that test runs may set and read. */
export const skbField = {
  length: 0,
  mark: 8,
  queueMapping: 12,
  protocol: 16,
  priority: 32,
  ingressIfindex: 36,
  ifindex: 40,
  cb: 48,
} as const;

const skbBytes = 192;

function skbContext(run: TestRun): Uint8Array | null {
  const { ifindex, ingressIfindex, mark, priority, cb } = run;
  if (run.ctx !== undefined) return run.ctx;
  if (
    ifindex === undefined &&
    ingressIfindex === undefined &&
    mark === undefined &&
    priority === undefined &&
    cb === undefined
  ) {
    return null;
  }
  if (cb !== undefined && cb.length > 5) throw argumentError('cb has five words at most');
  const bytes = new Uint8Array(skbBytes);
  // Always the byte order of the host: this is memory of this machine's kernel.
  const words = new Uint32Array(bytes.buffer);
  words[skbField.mark / 4] = mark ?? 0;
  words[skbField.priority / 4] = priority ?? 0;
  words[skbField.ifindex / 4] = ifindex ?? 0;
  words[skbField.ingressIfindex / 4] = ingressIfindex ?? ifindex ?? 0;
  cb?.forEach((word, at) => (words[skbField.cb / 4 + at] = word));
  return bytes;
}

/** A loaded BPF program. Holds its own descriptor. */
export class BpfProgram {
  /** @internal */
  readonly [handle]: NativeProgram;

  /** @internal Use {@link BpfProgram.openPinned} or BpfObject.program. */
  constructor(native: NativeProgram) {
    this[handle] = native;
  }

  /** @throws RELATD_NOT_FOUND, RELATD_NO_PERMISSION, RELATD_ARGUMENT (the pin is no program) */
  static openPinned(path: string): BpfProgram {
    return new BpfProgram(new binding.BpfProgram(path));
  }

  get id(): number {
    return this.info().id;
  }
  get name(): string {
    return this.info().name;
  }

  info(): ProgramInfo {
    return this[handle].info() as ProgramInfo;
  }

  /**
   * Runs the program on a packet (or on a batch in the data buffer), on the calling thread.
   * @throws RELATD_NO_INTERFACE (`ifindex` is not in `namespace`), RELATD_ARGUMENT
   */
  testRun(run: TestRun): TestResult {
    return this[handle].testRun(run.data ?? null, skbContext(run), run.repeat ?? 1, run.namespace?.[handle] ?? null);
  }

  /** Pins in a bpffs, in place of what is there; missing directories are made. @throws RELATD_NO_BPFFS */
  pin(path: string): void {
    this[handle].pin(path);
  }

  close(): void {
    this[handle].close();
  }
}

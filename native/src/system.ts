// SPDX-License-Identifier: Apache-2.0
import { binding } from './binding.js';
import type { NativeErrorCode } from './errors.js';

/** What this machine can do. */
export interface SystemCheck {
  /** As `uname -r`. */
  readonly kernel: string;
  readonly root: boolean;
  /** A program could be loaded. */
  readonly bpf: boolean;
  readonly btf: boolean;
  readonly tcx: boolean;
  readonly jit: boolean;
  readonly tun: boolean;
  /** What stands in the way of `up`, each with a sentence that says what to do. */
  readonly problems: readonly { readonly code: NativeErrorCode; readonly message: string }[];
}

/** Tries what relatd needs; never throws for what is missing. */
export function checkSystem(): SystemCheck {
  return binding.checkSystem() as SystemCheck;
}

/** A lock that ends with `close` or the process, however it ends. */
export interface Lock {
  close(): void;
}

/**
 * Takes the exclusive lock on a directory, which must exist (one in a bpffs is fine).
 * @throws RELATD_LOCKED (`error.pid`: the holder, 0 when it cannot be found), RELATD_NOT_FOUND
 */
export function lockDirectory(path: string): Lock {
  return new binding.DirectoryLock(path);
}

/**
 * Makes sure that `path` is (inside) a bpffs: mounts one where none is, then makes missing directories below it.
 * Returns whether it had to mount.
 * @throws RELATD_NO_BPFFS, RELATD_NO_PERMISSION
 */
export function mountBpffs(path = '/sys/fs/bpf'): boolean {
  return binding.mountBpffs(path);
}

/** Removes pins and directories, `path` itself included; returns how many pins. Refuses to work outside a bpffs. Nothing there: 0. */
export function removePins(path: string): number {
  return binding.removePins(path);
}

/** CLOCK_MONOTONIC, what bpf_ktime_get_ns reads. */
export function monotonicNs(): bigint {
  return binding.monotonicNs();
}

/** CLOCK_BOOTTIME, what bpf_ktime_get_boot_ns reads: goes on in suspend. */
export function boottimeNs(): bigint {
  return binding.boottimeNs();
}

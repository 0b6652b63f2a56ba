// SPDX-License-Identifier: Apache-2.0

/**
 * Every `code` that an error of this package can have. The addon's own table (addon/errors.cc) is the
 * source; a test compares the two.
 */
export const nativeErrorCodes = [
  'RELATD_ARGUMENT',
  'RELATD_CLOSED',
  'RELATD_NO_PERMISSION',
  'RELATD_KERNEL_TOO_OLD',
  'RELATD_NO_BPF',
  'RELATD_NO_BTF',
  'RELATD_NO_BPFFS',
  'RELATD_VERIFIER',
  'RELATD_OBJECT',
  'RELATD_LAYOUT',
  'RELATD_TABLE_FULL',
  'RELATD_EXISTS',
  'RELATD_NOT_FOUND',
  'RELATD_NO_INTERFACE',
  'RELATD_NO_NAMESPACE',
  'RELATD_NO_MEMORY',
  'RELATD_BUSY',
  'RELATD_LOCKED',
  'RELATD_GONE',
  'RELATD_SYSTEM',
] as const;

/** One of {@link nativeErrorCodes}. */
export type NativeErrorCode = (typeof nativeErrorCodes)[number];

/** What every method of this package throws when libbpf, the kernel or the caller's arguments refuse. */
export interface NativeError extends Error {
  readonly code: NativeErrorCode;
  /** The positive errno, 0 where the system was not asked. */
  readonly errno: number;
  /** The system or libbpf call that failed, '' where none was made. */
  readonly syscall: string;
  /** What libbpf and the verifier said (its end, when it is long); absent where they said nothing. */
  readonly log?: string;
}

const known: ReadonlySet<unknown> = new Set(nativeErrorCodes);

/** Tells errors of this package from all others. */
export function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && known.has((error as Partial<NativeError>).code);
}

/** An argument that the face itself refuses, in the shape of the addon's own errors. */
export function argumentError(message: string): NativeError {
  return Object.assign(new TypeError(message), { code: 'RELATD_ARGUMENT' as const, errno: 22, syscall: '' });
}
